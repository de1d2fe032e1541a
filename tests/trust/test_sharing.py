"""A queue that is shared with a group, and who is let in."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path

import pytest
from jobs import CHECKOUT, fetch, is_alive, one_line, running
from support import aque, claim, end, enlist, eventually, prototype, started
from users import ALICE, BOB, EVE, FILM, USERS, aque_as, words_as

from aque import brokers
from aque.brokers.sqlite import place
from aque.errors import BrokerError, TrustError
from aque.report import Chunk, Report


@pytest.fixture
def shared(open_place: Path) -> str:
    path = str(open_place / "film" / "queue.db")
    said = aque_as(ALICE, "init", "--broker", path, "--group", "film")
    one_line(said.stderr, "members of film can run commands as each other")
    return path


def test_members_work_on_one_queue_each_with_their_own_tasks(shared: str) -> None:
    env = {"AQUE_BROKER": shared}
    assert aque_as(BOB, "submit", "id", "-un", env=env).stdout == "1\n"
    assert aque_as(ALICE, "submit", "-s", "id -un; umask", env=env).stdout == "2\n"
    aque_as(ALICE, "worker", "--to-end", env=env, umask=0o077)
    status = aque_as(EVE, "status", "--all-users", "--csv", "id,status", env=env, status=3)
    one_line(status.stderr, "cannot reach", "Permission denied")
    rows = aque_as(BOB, "status", "-x", "--csv", "id,status", env=env).stdout
    assert rows.split() == ["id,status", "1,pending", "2,success"]
    aque_as(BOB, "worker", "--to-end", env=env, umask=0o022)
    assert aque_as(ALICE, "output", "1", env=env).stdout == "bob\n"
    assert aque_as(BOB, "output", "2", env=env).stdout.startswith("alice\n")


def test_all_that_is_made_carries_the_group_whoever_makes_it(shared: str) -> None:
    env = {"AQUE_BROKER": shared}
    aque_as(ALICE, "init", "--set", "output-inline=10", env=env)
    for user, umask in ((BOB, 0o077), (ALICE, 0o077)):
        aque_as(user, "submit", "seq", "100", env=env, umask=umask)
        aque_as(user, "worker", "--to-end", env=env, umask=umask)
    assert (
        aque_as(ALICE, "output", "1", env=env).stdout == aque_as(BOB, "output", "2", env=env).stdout
    )
    directory = Path(shared).parent
    for made in (directory, *directory.rglob("*")):
        there = made.stat()
        assert there.st_gid == FILM, made
        wanted = 0o2770 if made.is_dir() else 0o660
        assert stat.S_IMODE(there.st_mode) == wanted, made


def test_a_member_looks_while_another_works(shared: str) -> None:
    """SQLite's own files, which are there only while it is open, are everybody's too."""
    env = {"AQUE_BROKER": shared}
    aque_as(ALICE, "submit", "-s", "stat -c '%G %a' $1-wal $1-shm", shared, env=env, umask=0o077)
    aque_as(ALICE, "worker", "--to-end", env=env, umask=0o077)
    assert aque_as(BOB, "output", "1", env=env).stdout == "film 660\nfilm 660\n"


def own_place(open_place: Path) -> str:
    """Return where alice's own queue is to be."""
    (open_place / "own").mkdir(mode=0o700)
    os.chown(open_place / "own", USERS[ALICE], USERS[ALICE])
    return str(open_place / "own" / "queue.db")


def test_a_queue_that_is_there_is_shared_with_all_it_has(open_place: Path) -> None:
    path = own_place(open_place)
    env = {"AQUE_BROKER": path}
    aque_as(ALICE, "submit", "true", env=env)
    aque_as(ALICE, "worker", "--to-end", env=env)
    one_line(aque_as(BOB, "status", env=env, status=3).stderr, "cannot reach")
    aque_as(ALICE, "init", "--group", "film", env=env)
    assert aque_as(BOB, "status", "-x", "--csv", "status", env=env).stdout == "status\nsuccess\n"
    assert aque_as(BOB, "submit", "true", env=env).stdout == "2\n"


def test_a_directory_that_holds_other_things_is_not_shared(open_place: Path) -> None:
    (open_place / "diary").touch()
    words = ["--broker", str(open_place / "queue.db"), "--group", "film"]
    one_line(
        aque_as(ALICE, "init", *words, status=2).stderr, "diary", f"{open_place}/queue/queue.db"
    )
    assert stat.S_IMODE(open_place.stat().st_mode) == 0o755
    assert not (open_place / "queue.db").exists()


@pytest.mark.parametrize(
    ("user", "group", "says"),
    [(ALICE, "nosuch", "no group 'nosuch'"), (BOB, "sound", "you are not in group 'sound'")],
)
def test_only_a_group_of_ones_own_can_be_shared_with(
    open_place: Path, user: str, group: str, says: str
) -> None:
    words = ["--broker", str(open_place / "queue.db"), "--group", group]
    one_line(aque_as(user, "init", *words, status=2).stderr, says)


def test_somebody_elses_queue_is_not_ours_to_share(open_place: Path) -> None:
    path = str(open_place / "queue.db")
    aque_as(ALICE, "init", "--broker", path)
    said = aque_as(BOB, "init", "--broker", path, "--group", "film", status=3).stderr
    one_line(said, "not yours to share")


def test_who_shares_is_told_where_members_cannot_pass(open_place: Path) -> None:
    os.mkdir(open_place / "home", 0o700)
    os.chown(open_place / "home", USERS[ALICE], USERS[ALICE])
    said = aque_as(
        ALICE, "init", "--broker", f"{open_place}/home/q/queue.db", "--group", "film"
    ).stderr
    one_line(said, f"once they may enter {open_place}/home")


# What is refused


def test_a_private_queue_is_refused_and_the_way_to_share_it_named(open_place: Path) -> None:
    path = str(open_place / "queue.db")
    aque_as(ALICE, "init", "--broker", path)
    said = aque_as(BOB, "status", "--broker", path, status=3).stderr
    one_line(said, "belongs to user alice, not to you", "--broker", "aque-init --group")


def test_a_queue_that_everybody_may_write_to_is_refused_to_its_owner_too(open_place: Path) -> None:
    path = str(open_place / "queue.db")
    aque_as(ALICE, "init", "--broker", path)
    os.chmod(path, 0o666)
    for command in ("status", "worker"):
        said = aque_as(ALICE, command, "--broker", path, status=3).stderr
        one_line(said, "everybody may write", "chmod o-w")


def test_a_group_by_chmod_alone_is_refused_and_repaired_by_sharing(open_place: Path) -> None:
    path = own_place(open_place)
    aque_as(ALICE, "init", "--broker", path)
    os.chmod(path, 0o660)
    one_line(aque_as(ALICE, "status", "--broker", path, status=3).stderr, "aque-init", "chmod g-w")
    aque_as(ALICE, "init", "--broker", path, "--group", "film")
    aque_as(ALICE, "status", "--broker", path)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A queue of alice's, closed."""
    path = str(tmp_path / "queue.db")
    if os.geteuid() == 0:
        place.create_empty(path)
        os.chown(path, USERS[ALICE], USERS[ALICE])
    broker = brokers.from_url(path)
    broker.create([prototype()])
    broker.close()
    return path


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal", "-lock"])
def test_files_that_somebody_else_put_beside_it_are_refused(path: str, suffix: str) -> None:
    """A planted write-ahead log would be replayed into the queue."""
    if os.geteuid() != 0:
        pytest.skip("only root can plant a file of somebody else's")
    planted = Path(path + suffix)
    planted.unlink(missing_ok=True)
    planted.write_bytes(b"planted")
    os.chown(planted, USERS[BOB], USERS[BOB])
    with pytest.raises(TrustError, match=f"{planted} belongs to user .*; move it away"):
        brokers.from_url(path)
    assert planted.read_bytes() == b"planted"


def test_a_second_name_of_the_file_is_refused_by_either_name(tmp_path: Path) -> None:
    one, other = tmp_path / "one.db", tmp_path / "other.db"
    brokers.from_url(str(one)).close()
    os.link(one, other)
    for name in (one, other):
        with pytest.raises(BrokerError, match="has 2 names"):
            brokers.from_url(str(name))
    other.unlink()
    brokers.from_url(str(one)).close()


@pytest.mark.parametrize("suffix", ["-lock", "-wal", ".d", ".d/output", ".d/workers"])
@pytest.mark.parametrize("kind", ["link", "fifo", "other"])
def test_what_is_no_file_or_directory_beside_it_is_refused(
    tmp_path: Path, path: str, suffix: str, kind: str
) -> None:
    aside, precious, is_directory = Path(path + suffix), tmp_path / "precious", ".d" in suffix
    if suffix == ".d":
        shutil.rmtree(aside)
    aside.unlink(missing_ok=True)
    if kind == "link":
        precious.mkdir() if is_directory else precious.write_text("precious")
        aside.symlink_to(precious)
    elif kind == "fifo":
        os.mkfifo(aside)
    elif is_directory:
        aside.touch()
    else:
        aside.mkdir()
    with pytest.raises(BrokerError, match=f"{aside} is not a .*; move it away"):
        brokers.from_url(path)
    if kind == "link":
        kept = list(precious.iterdir()) if is_directory else precious.read_text()
        assert kept in ([], "precious")


# A queue that is in use when something is planted


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_large_output_never_goes_through_what_was_planted(
    tmp_path: Path, path: str, kind: str
) -> None:
    broker = brokers.from_url(path)
    os.close(broker.open_output(1, 1, "stderr"))
    planted, precious = Path(broker.output_path(1, 1, "stdout")), tmp_path / "precious"
    precious.write_text("precious")
    planted.symlink_to(precious) if kind == "link" else os.mkfifo(planted)
    with pytest.raises(BrokerError):
        broker.open_output(1, 1, "stdout")
    assert precious.read_text() == "precious"
    broker.close()


def test_an_id_or_stream_never_leads_out_of_the_directory(path: str) -> None:
    broker = brokers.from_url(path)
    with pytest.raises(ValueError, match="invalid literal"):
        broker.output_path("../../x", 1, "stdout")  # type: ignore[arg-type]
    inside = os.path.realpath(f"{path}.d") + os.sep
    for token in ("../../../etc/passwd", "/etc/passwd", "a/b"):
        assert os.path.realpath(broker.life_path(token)).startswith(inside)
    broker.close()


def test_a_link_in_place_of_output_is_not_followed(tmp_path: Path, path: str) -> None:
    """It could show a member's own secrets to whoever looks over their shoulder, or in a log."""
    for one in tmp_path.glob("queue.db*"):
        os.chown(one, os.geteuid(), -1)  # for a worker of ours
    broker = brokers.from_url(path)
    (task,) = claim(broker, enlist(broker))
    os.close(broker.open_output(task.id, 1, "stderr"))
    (tmp_path / "secret").write_text("secret")
    Path(broker.output_path(task.id, 1, "stdout")).symlink_to(tmp_path / "secret")
    broker.record(Report(output=[Chunk(task.id, 1, "stdout", 0, 1.0, None)], ends=[end(task)]))
    done = aque("output", "--broker", path, str(task.id), status=None)
    assert "secret" not in done.stdout
    broker.close()


def test_a_member_leaves_another_members_dead_worker_to_them(shared: str) -> None:
    """What it left cannot be ended by others, and its tasks must not run twice."""
    env = {"AQUE_BROKER": shared}
    aque_as(ALICE, "submit", "sleep", "600", env=env)
    words = words_as(ALICE, sys.executable, "-m", "aque.commands.worker")
    environ = {**os.environ, **env, "PYTHONPATH": str(CHECKOUT)}
    with started(words, env=environ, cwd="/", start_new_session=True) as worker:
        broker = brokers.from_url(shared)
        pid = running(broker, 1).pid
        worker.kill()
        worker.wait()
        aque_as(BOB, "worker", "--to-end", env=env)
        assert fetch(broker, 1).status == "running"
        aque_as(ALICE, "kill", "-9", "1", env=env)
        assert fetch(broker, 1).status == "cancelled"
        assert pid is not None
        eventually(lambda: not is_alive(pid))
        broker.close()
