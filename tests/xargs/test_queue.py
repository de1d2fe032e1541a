"""What a run leaves in the queue, and what becomes of it where there can be no queue."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support import aque, eventually
from xargs import pair
from xargs.pair import TELL

from aque import states
from aque import task as tasks
from aque.brokers.base import Broker
from aque.brokers.sqlite.lock import WriteLock


def run(*argv: str | bytes, data: bytes = b"", **options: object) -> pair.Outcome:
    return pair.run_ours(argv, data, **options)


def test_the_commands_are_tasks_of_one_group(broker, tmp_path):
    data = "a e3 é\n".encode() + b"\xff k b\n"
    assert run("-n1", *TELL, data=data, cwd=tmp_path).status == 123
    (group,), _ = broker.roots(0.0, None, None)
    children = broker.children(group.id, 100)
    begun = [task for task in children if task.attempt]
    assert [tasks.shell_words(task)[-1] for task in begun][:5] == ["a", "e3", "é", "\udcff", "k"]
    assert {task.cwd for task in (group, *children)} == {str(tmp_path)}
    ends = [(task.status, task.exit_status, task.exit_signal) for task in begun[:5]]
    assert ends == [
        (states.SUCCESS, 0, None),
        (states.ERROR, 3, None),
        (states.SUCCESS, 0, None),
        (states.SUCCESS, 0, None),
        (states.ERROR, None, 9),
    ]
    assert all(t.user_time is not None and t.started_at <= t.ended_at for t in begun)
    assert (group.status, group.name[:9]) == (states.ERROR, "xargs sh ")
    assert group.is_complete
    assert not [task for task in children if not task.is_complete]


def test_a_run_that_succeeds_is_a_group_that_succeeded(broker):
    assert run("--name", "mine", "-n1", "true", data=b"a b").status == 0
    (group,), _ = broker.roots(0.0, None, None)
    assert (group.name, group.status) == ("mine", states.SUCCESS)
    assert broker.count_children([group.id]) == {group.id: {states.SUCCESS: 2}}
    assert "2 success" in aque("status").stdout or "true a" in aque("status").stdout


def test_what_was_never_run_is_cancelled(broker):
    assert run("-n1", "sh", "-c", "exit 255", data=b"a b c").status == 124
    (group,), _ = broker.roots(0.0, None, None)
    found = [task.status for task in broker.children(group.id, 9)]
    assert found == [states.ERROR, states.CANCELLED, states.CANCELLED]


def test_one_that_cannot_be_run_has_the_status_of_a_shell(broker):
    assert run("nope", data=b"a").status == 127
    (group,), _ = broker.roots(0.0, None, None)
    (child,) = broker.children(group.id, 9)
    assert (child.exit_status, child.error) == (127, "nope: No such file or directory")


@pytest.mark.parametrize("name", [b"\xff", "ü".encode(), b"a b"])
def test_any_directory_and_command_will_do(broker, tmp_path, name):
    here = os.path.join(os.fsencode(tmp_path), name)
    os.mkdir(here)
    done = run("-n1", "sh", "-c", "pwd; echo $0 $1", name, data=b"\xfe", cwd=here)
    assert done == pair.Outcome(here + b"\n" + name + b" \xfe\n", b"", 0)


def directory(place: Path) -> str:
    return str(place)


def no_database(place: Path) -> str:
    (place / "q.db").write_text("something else entirely, and long enough to have a header" * 30)
    return str(place / "q.db")


def below_a_file(place: Path) -> str:
    (place / "file").touch()
    return str(place / "file" / "q.db")


def unwritable(place: Path) -> str:
    return "/proc/q.db"


def unknown(place: Path) -> str:
    return "ftp://host/q.db"


@pytest.mark.parametrize("make", [directory, no_database, below_a_file, unwritable, unknown])
def test_where_there_can_be_no_queue_it_is_xargs_with_one_warning(tmp_path, make):
    (tmp_path / "place").mkdir()
    url = make(tmp_path / "place")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    env = pair.environ(AQUE_BROKER=url, TMPDIR=str(temporary))
    before = set(os.listdir("/dev/shm"))
    argv = ["-n1", "-P2", "sh", "-c", "echo $0; exit $0"]
    theirs = pair.run_gnu(argv, b"0 1", env=env)
    ours = run(*argv, data=b"0 1", env=env)
    assert sorted(ours.stdout.split()) == sorted(theirs.stdout.split())
    assert ours.status == theirs.status == 123
    assert ours.stderr.startswith(b"xargs: warning: ")
    assert ours.stderr.endswith(b"; nothing of this run will be kept\n")
    assert (ours.stderr.count(b"\n"), ours.stderr.count(b";")) == (1, 1)
    assert os.listdir(temporary) == []
    made = {name for name in os.listdir("/dev/shm") if name.startswith("aque")} - before
    eventually(lambda: not made & set(os.listdir("/dev/shm")))  # other runs come and go


def test_a_queue_named_on_the_command_line_must_make_sense():
    done = run("--broker", "ftp://host/q.db", "echo", data=b"a")
    assert (done.stdout, done.status) == (b"", 1)
    assert done.stderr == b"xargs: no broker for ftp://; use sqlite:///path or a path\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_disk_that_is_full_costs_a_warning(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], check=False
    )
    if mounted.returncode:
        pytest.skip("the kernel refuses to mount")
    try:
        done = run("-n1", "echo", data=b"a b", env=pair.environ(AQUE_BROKER=str(place / "q.db")))
        assert (done.stdout, done.status) == (b"a\nb\n", 0)
        assert b"no room left to write" in done.stderr
        assert done.stderr.count(b"\n") == 1
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_queue_that_goes_away_at_once_leaves_no_command_alone(own_queue, tmp_path):
    script = 'case $0 in a) mv "$1" "$1.gone";; b) sleep 1; : > done;; esac'
    argv = (*pair.OURS, "-P2", "-I{}", "sh", "-c", script, "{}", own_queue)
    with open(tmp_path / "said", "wb") as said:  # no pipe, for which b would be waited anyway
        done = subprocess.run(
            argv, input=b"a\nb\nc\nd\n", cwd=tmp_path, env=pair.environ(), check=False,
            stdout=subprocess.DEVNULL, stderr=said,
        )  # fmt: skip
    assert (tmp_path / "done").exists()
    assert done.returncode == 1  # c has not run
    assert "the next worker closes task" in (tmp_path / "said").read_text()


def test_while_the_queue_is_locked_the_run_waits(broker: Broker, own_queue):
    """The lock is held from the first command to the last but one, and nothing is lost."""
    broker.settings()
    lock = WriteLock(own_queue)
    with lock.held():
        words = [*pair.OURS, "-n1", "echo"]
        pipe = subprocess.PIPE
        with subprocess.Popen(words, stdin=pipe, stdout=pipe, env=pair.environ()) as process:
            assert process.stdin is not None
            process.stdin.write(b"a b")
            process.stdin.close()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.5)
            lock._release()
            assert process.stdout is not None
            assert process.stdout.read() == b"a\nb\n"
            assert process.wait(10) == 0


def test_every_library_file_has_the_same_sum(tmp_path, broker):
    """`find -print0 | xargs -0 -n1 -P4 sha256sum` on real files."""
    library = Path(shutil.__file__).parent
    files = sorted(library.glob("*.py"))[:150]
    data = b"".join(os.fsencode(file) + b"\0" for file in files)
    argv = ["-0", "-n1", "-P4", "sha256sum"]
    theirs = pair.run_gnu(argv, data)
    ours = run(*argv, data=data)
    assert (ours.status, ours.stderr) == (0, b"")
    assert sorted(ours.stdout.splitlines()) == sorted(theirs.stdout.splitlines())
    (group,), _ = broker.roots(0.0, None, None)
    assert broker.count_children([group.id]) == {group.id: {states.SUCCESS: len(files)}}


def test_what_has_begun_and_is_yet_to_be_recorded_is_not_taken_for_lost(broker):
    """A run looks each poll what is still its own; commands begin before the queue hears of it."""
    broker.set_settings({"poll": 0.01})
    data = b"".join(b"%d\n" % number for number in range(300))
    ours = run("-n1", "-P4", "sh", "-c", "sleep 0.005", data=data)
    assert (ours.status, ours.stderr) == (0, b"")
