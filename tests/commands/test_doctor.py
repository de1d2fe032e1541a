"""aque-doctor: what it finds wrong, what it says to do, and what it puts right."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from jobs import ended, fetch, running, submit, work
from support import aque, child, claim, enlist, group, prototype, started_worker
from users import ALICE, USERS, aque_as

from aque import brokers
from aque.brokers.base import Broker
from aque.commands import examining
from aque.prototype import Earlier


def wrong(broker: str | None = None, repair: bool = False) -> dict[str, str]:
    """Return what is found wrong: subjects, and what is said of them with what to do."""
    findings = list(examining.examine(broker, repair))
    return {each.subject: f"{each.text}\n{each.remedy}" for each in findings if each.remedy}


def parse(said: str, status: int) -> dict[str, str]:
    lines = said.splitlines()
    found = {}
    for line, after in itertools.pairwise([*lines, ""]):
        mark, _, rest = line.partition("  ")
        if mark == "wrong":
            subject, _, text = rest.partition(": ")
            assert after.startswith("       "), "nothing is said to do"
            found[subject] = f"{text}\n{after.strip()}"
    assert status == (1 if found else 0), said
    return found


def change(path: str, sql: str) -> None:
    """Write to a queue past aque."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.executescript(sql)


def test_all_is_well_with_a_queue_in_use(broker: Broker) -> None:
    first = submit(broker, "true", environ={"A": "1"})
    submit(broker, "false", dependencies=[first])
    work(broker)
    with started_worker(broker):
        waiting = submit(broker, "sleep", "600")
        broker.create([group(), child(Earlier(0)), prototype(after=(waiting,))])
        running(broker, waiting)
        assert wrong() == {}
        assert wrong(repair=True) == {}
        assert fetch(broker, waiting).status == "running"
        aque("kill", str(waiting))
    said = aque("doctor").stdout
    for (
        subject
    ) in "SQLite disk locks directory permissions integrity counters bells workers files".split():
        assert f"ok     {subject}: " in said


def test_where_there_is_no_queue_none_is_made(tmp_path: Path) -> None:
    path = tmp_path / "no" / "queue.db"
    assert f"there is no directory {path.parent}" in wrong(str(path))["directory"]
    assert not path.parent.exists()
    assert "aque-init --broker" in wrong(str(tmp_path / "qeue.db"))["queue"]
    assert not (tmp_path / "qeue.db").exists()


def test_counters_are_counted_anew(broker: Broker, own_queue: str) -> None:
    first, second, third = broker.create(
        [prototype(environ={"A": "1"}), prototype(after=(Earlier(0),)), prototype()]
    )
    change(
        own_queue,
        f"UPDATE task SET waiting = 3 WHERE id = {second};"
        f"UPDATE task SET waiting = 1 WHERE id = {third};"
        "UPDATE uses SET count = 99 * (kind = 'requirements')",
    )
    said = wrong()
    assert set(said) == {"counters"}
    for part in (
        f"task {second} is said to wait for 3, and 1 have not ended",
        f"task {third} is said to wait for 1, and 0",
        "1 rows of environment", "1 rows of requirements", "--repair",
    ):  # fmt: skip
        assert part in said["counters"]
    assert wrong(repair=True) == {}
    assert wrong() == {}
    work(broker)
    assert [fetch(broker, id).status for id in (first, second, third)] == ["success"] * 3


def test_what_could_have_ended_ends(broker: Broker, own_queue: str) -> None:
    (first,) = broker.create([prototype()])
    held, waiting = broker.create([group(after=(first,)), prototype(after=(Earlier(0),))])
    miscount = "UPDATE uses SET count = 2 WHERE kind = 'requirements'"
    change(own_queue, f"DELETE FROM task WHERE id = {first}; {miscount}")
    assert f"task {held} is said to wait for 1, and 0" in wrong()["counters"]
    assert wrong(repair=True) == {}
    assert fetch(broker, held).status == "success"
    assert fetch(broker, waiting).waiting == 0


def test_what_runs_by_a_worker_that_has_ended_waits_again(broker: Broker, own_queue: str) -> None:
    worker = enlist(broker)
    (id,) = broker.create([prototype()])
    claim(broker, worker)
    with closing(sqlite3.connect(own_queue)) as connection:  # the broker itself refuses to
        connection.execute("UPDATE worker SET ended_at = 1")
        connection.commit()
    assert f"task {id} is running, and its worker {worker} has ended" in wrong()["counters"]
    assert wrong(repair=True) == {}
    work(broker)
    assert ended(broker, id).status == "success"


def test_a_dead_workers_tasks_wait_again_and_its_file_goes(broker: Broker) -> None:
    with started_worker(broker) as worker:
        id = submit(broker, "sleep", "600")
        running(broker, id)
        worker.kill()
        worker.wait()
    assert "died and nobody has seen to what they ran" in wrong()["workers"]
    assert wrong(repair=True) == {}
    assert fetch(broker, id).status == "pending"
    assert os.listdir(f"{broker.directory}/workers") == []


def test_files_that_belong_to_nothing_are_removed(broker: Broker) -> None:
    (kept, gone) = broker.create([prototype(), prototype()])
    for id in (kept, gone):
        os.close(broker.open_output(id, 1, "stdout"))
    broker.remove([gone])
    Path(broker.output_path(gone, 1, "stdout")).touch()
    assert broker.output_path(gone, 1, "stdout") in wrong()["files"]
    assert wrong(repair=True) == {}
    assert os.path.exists(broker.output_path(kept, 1, "stdout"))
    assert not os.path.exists(broker.output_path(gone, 1, "stdout"))


def test_damage_is_found_and_the_way_out_named(broker: Broker, own_queue: str) -> None:
    broker.create([prototype(name=f"{n:0500}") for n in range(200)])
    broker.close()
    with open(own_queue, "r+b") as file:
        size = os.path.getsize(own_queue)
        file.seek(size // 2)
        file.write(os.urandom(4096))
    said = wrong()
    assert "--backup" in said.get("integrity", "") or "is damaged" in said.get("queue", "")
    os.truncate(own_queue, 20000)
    said = wrong()
    assert f"{own_queue} is damaged" in said["queue"]
    assert "--backup" in said["queue"]


def test_a_schema_that_is_damaged_into_no_text_is_told(broker: Broker, own_queue: str) -> None:
    broker.close()
    with open(own_queue, "r+b") as file:
        content = file.read()
        file.seek(content.index(b"CREATE INDEX"))
        file.write(b"CR\xe9ATE")
    assert r"CR\xe9ATE" in wrong()["queue"]


@pytest.mark.parametrize("what", ["directory", "fifo", "text", "empty"])
def test_what_is_no_queue_is_said_to_be_none(tmp_path: Path, what: str) -> None:
    path = tmp_path / "queue.db"
    if what == "directory":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    else:
        path.write_text("no database " * 100 if what == "text" else "")
    assert len(wrong(str(path))) == 1


def test_each_refusal_is_explained(open_place: Path) -> None:
    path = f"{open_place}/q/queue.db"
    (open_place / "q").mkdir(mode=0o700)
    brokers.from_url(path).close()
    os.chmod(open_place / "q", 0o755)

    done = aque_as(ALICE, "doctor", "--broker", path, status=1)
    found = parse(done.stdout, done.returncode)
    assert "belongs to user root, not to you" in found["permissions"]
    os.chmod(path, 0o660)
    said = wrong(path)
    assert "chmod g-w makes it private" in said["permissions"]
    os.chmod(path, 0o600)
    os.chmod(open_place / "q", 0o777)
    assert f"chmod o-w {open_place}/q" in wrong(path)["permissions"]
    os.chmod(open_place / "q", 0o755)
    said = wrong(path)
    assert f"{open_place} belongs to" in said["root"]
    shutil.rmtree(f"{path}.d")
    (open_place / "q" / "queue.db.d").symlink_to(open_place)
    assert "is not a directory" in wrong(path)["permissions"]
    assert USERS[ALICE] == os.stat(open_place).st_uid


def test_what_may_not_be_written_to_is_told_and_what_is_beside_the_queue_put_right(
    open_place: Path,
) -> None:
    env = {"XDG_STATE_HOME": str(open_place), "AQUE_BROKER": ""}
    open_place.chmod(0o555)
    said = aque_as(ALICE, "doctor", env=env, status=1).stdout
    assert f"directory: cannot write to {open_place}: Permission denied" in said
    assert "aque-submit makes it" not in said
    open_place.chmod(0o755)
    (open_place / "aque").mkdir(mode=0o700)
    path = f"{open_place}/aque/queue.db"
    brokers.from_url(path).close()
    os.makedirs(f"{path}.d/workers", mode=0o700)
    Path(f"{path}-shm").touch()
    for one in (f"{open_place}/aque", *map(str, (open_place / "aque").rglob("*"))):
        os.chown(one, USERS[ALICE], USERS[ALICE])
    os.chmod(f"{path}-shm", 0o400)
    os.chmod(f"{path}.d/workers", 0o500)
    os.chmod(f"{path}.d", 0o500)
    said = aque_as(ALICE, "doctor", env=env, status=1).stdout
    for suffix in ("-shm", ".d", ".d/workers"):
        assert (
            f"cannot write to {path}{suffix}: Permission denied\n       aque-doctor --rep" in said
        )
    parse(aque_as(ALICE, "doctor", "--repair", env=env).stdout, 0)
    assert [os.stat(path + suffix).st_mode & 0o777 for suffix in (".d", ".d/workers")] == [
        0o700
    ] * 2
    aque_as(ALICE, "submit", "true", env=env)


def test_a_clock_that_is_not_the_disks_is_told(
    own_queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = f"sqlite://{own_queue}?journal=delete"
    brokers.from_url(shared).close()
    assert wrong(shared) == {}
    true = time.time
    monkeypatch.setattr(time, "time", lambda: true() + 100)
    assert wrong(shared)["clock"].startswith("100 s ahead of that of the disk")
