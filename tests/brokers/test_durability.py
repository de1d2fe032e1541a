"""SQLite's own: the rules that keep a queue whole, each broken on purpose."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support import (
    claim,
    end,
    enlist,
    eventually,
    prototype,
    run,
    started_python,
)

from aque import brokers, location, states
from aque.brokers.sqlite import sync
from aque.brokers.sqlite.broker import SQLiteBroker
from aque.errors import BrokerError, FullError, LockTimeoutError
from aque.report import Chunk, Report, Start

TESTS = Path(__file__).resolve().parent.parent
ENVIRON = {**os.environ, "PYTHONPATH": str(TESTS)}

#: Writes what was committed after each line it is given; stays inside a transaction after `hold`.
WRITER = """
import sys
from support import enlist, prototype, take
from aque import brokers
broker = brokers.from_url(sys.argv[1], durable=False)
worker = enlist(broker)
def hold(offer):
    print("inside", flush=True)
    sys.stdin.readline()
    return []
print("ready", flush=True)
for line in sys.stdin:
    if line == "hold\\n":
        broker.claim(worker, hold)
        print("outside", flush=True)
    else:
        print(*broker.create([prototype()]), flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "queue.db")


@pytest.fixture(params=["wal", "delete"])
def broker(request: pytest.FixtureRequest, path: str) -> Iterator[SQLiteBroker]:
    place = location.find(f"sqlite://{path}?journal={request.param}")
    opened = SQLiteBroker(place, durable=False, lock_timeout=0.05)
    yield opened
    opened.close()


@pytest.fixture
def writer(broker: SQLiteBroker) -> Iterator[subprocess.Popen[bytes]]:
    url = broker.to_url()
    with started_python(WRITER, url, stdin=subprocess.PIPE, env=ENVIRON) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process


def say(process: subprocess.Popen[bytes], line: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(line + b"\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline().strip()


# The write lock


def is_locked(path: str) -> bool:
    """Whether somebody holds the write lock, seen as another process would."""
    with open(path + "-lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def use_all_that_writes(broker: SQLiteBroker) -> None:
    worker = enlist(broker)
    ids = broker.create([prototype(), prototype(environ={"A": "1"}), prototype(), prototype()])
    broker.pause(ids[:1])
    broker.resume(ids[:1])
    (task,) = claim(broker, worker)
    broker.signal([task.id], 10)
    broker.requests(worker)
    chunk = Chunk(task.id, task.attempt, "stdout", 0, 1.0, b"text")
    broker.record(Report(starts=[Start(task.id, 1, 1, 1, 1)], output=[chunk]))
    broker.requeue([(task.id, 1)], "again")
    run(broker, worker, ids[0])
    broker.finish([end(*claim(broker, worker), states.ERROR)])
    broker.cancel(ids[2:], 15, 1.0)
    broker.retry(ids[2:3])
    broker.remove(ids[:1])
    broker.set_settings({"grace": 3.0})
    broker.set_limits({"nuke": 3})
    broker.beat(worker)
    broker.dismiss(worker)
    broker.reset()


def test_whatever_a_connection_writes_it_writes_under_the_lock(
    broker: SQLiteBroker, path: str
) -> None:
    broker.search()  # so that a reader is open
    thread = broker._database._thread()
    assert thread.writer is not None
    assert thread.reader is not None
    seen: list[str] = []

    def note(sql: str) -> None:
        if not re.match(r"\s*(SELECT|WITH|--)", sql):
            seen.append(sql if is_locked(path) else f"UNLOCKED {sql}")

    thread.writer.set_trace_callback(note)
    use_all_that_writes(broker)
    assert len(seen) > 60
    assert not [sql for sql in seen if sql.startswith("UNLOCKED")]
    assert not is_locked(path)


def test_what_reads_cannot_write_whatever_it_is_asked(broker: SQLiteBroker) -> None:
    broker.create([prototype()])
    for sql in (
        "INSERT INTO setting VALUES ('poll', 1)",
        "DELETE FROM task",
        "CREATE TABLE other (a)",
        "PRAGMA user_version = 7",
    ):
        with pytest.raises(BrokerError, match="cannot write"):
            broker._database.read(sql)
    assert len(broker.search()) == 1


def test_only_one_place_in_the_code_can_reach_what_writes() -> None:
    """And that one takes the lock: `Database.write`."""
    package = Path(sys.modules["aque"].__file__ or "").parent
    reaching = {
        file.relative_to(package).as_posix()
        for file in package.rglob("*.py")
        if re.search(r"thread\.writer\b|\._writer\(", file.read_text())
    }
    assert reaching == {"brokers/sqlite/connection.py"}


def test_a_writer_that_was_stopped_makes_others_fail_and_is_named(
    broker: SQLiteBroker, writer: subprocess.Popen[bytes]
) -> None:
    assert broker.search() == []
    say(writer, b"hold")
    assert hear(writer) == b"inside"
    writer.send_signal(signal.SIGSTOP)
    who = f"process {writer.pid} on {re.escape(os.uname().nodename)}"
    with pytest.raises(LockTimeoutError, match=who) as caught:
        broker.create([prototype()])
    assert "continue that process" in str(caught.value)
    assert broker.search() == [], "readers go on"
    writer.send_signal(signal.SIGCONT)
    say(writer, b"go")
    assert hear(writer) == b"outside"
    assert broker.create([prototype()]) == [1]


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_stop_from_the_terminal_waits_for_the_end_of_the_transaction(
    broker: SQLiteBroker,
) -> None:
    url = broker.to_url()
    options = {"stdin": subprocess.PIPE, "env": ENVIRON, "process_group": 0}
    with started_python(WRITER, url, **options) as writer:
        assert hear(writer) == b"ready"
        say(writer, b"hold")
        assert hear(writer) == b"inside"
        os.killpg(writer.pid, signal.SIGTSTP)
        pending = Path(f"/proc/{writer.pid}/status")
        eventually(lambda: _has_pending(pending.read_text(), signal.SIGTSTP))
        assert state(writer.pid) != "T"
        say(writer, b"go")
        eventually(lambda: state(writer.pid) == "T")
        assert broker.create([prototype()]) == [1], "the lock was let go before"
        os.killpg(writer.pid, signal.SIGCONT)
        assert hear(writer) == b"outside"


def _has_pending(text: str, number: int) -> bool:
    masks = re.findall(r"^(?:Sig|Shd)Pnd:\s*(\w+)", text, re.MULTILINE)
    return any(int(mask, 16) >> (number - 1) & 1 for mask in masks)


def test_a_lock_file_that_is_replaced_is_noticed_by_all_who_write(
    broker: SQLiteBroker, writer: subprocess.Popen[bytes], path: str
) -> None:
    say(writer, b"one")
    assert hear(writer) == b"1"
    for number in range(3):
        os.rename(path + "-lock", f"{path}.old{number}")
        if number:
            Path(path + "-lock").touch(0o600)
        say(writer, b"hold")
        assert hear(writer) == b"inside"
        with pytest.raises(LockTimeoutError, match=f"process {writer.pid} "):
            broker.create([prototype()])
        say(writer, b"go")
        assert hear(writer) == b"outside"
        assert broker.create([prototype()]) == [number + 2]


def test_no_lock_file_is_made_where_the_queue_has_gone(own_queue: str, tmp_path: Path) -> None:
    """As on the mount point of a disk that was unmounted: with a file in it it stays so."""
    opened = brokers.from_url(f"sqlite://{own_queue}?journal=delete")
    place = os.path.dirname(own_queue)
    os.rename(place, tmp_path / "away")
    os.mkdir(place)
    opened.close()
    assert os.listdir(place) == []


# Forks

FORKS = """
import os, signal, sys
from support import prototype
from aque import brokers
broker = brokers.from_url(sys.argv[1], durable=False)
broker.create([prototype()])
read, write = os.pipe()
if os.fork() == 0:
    os.close(write)
    os.read(read, 1)  # until the parent is dead
    if sys.argv[2] == "uses":
        broker.create([prototype()])
    if sys.argv[2] == "drops":
        del broker
    sys.stderr.close()
    sys.exit(0)
os.close(read)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("what", ["ignores", "drops"])
def test_a_fork_that_ends_does_not_close_what_it_inherited(path: str, what: str) -> None:
    """With its parent dead its close would be the last, and checkpoint without the lock."""
    with started_python(FORKS, path, what, env=ENVIRON) as parent:
        assert parent.stdout is not None
        parent.stdout.read()  # until the child has ended too
    log = Path(path + "-wal")
    assert log.exists()
    assert log.stat().st_size > 0
    broker = brokers.from_url(path)
    assert broker.last_id() == 1
    broker.close()
    assert not log.exists()


def test_a_fork_that_uses_the_queue_has_a_connection_of_its_own(path: str) -> None:
    with started_python(FORKS, path, "uses", env=ENVIRON) as parent:
        assert parent.stdout is not None
        parent.stdout.read()
    broker = brokers.from_url(path)
    assert broker.last_id() == 2
    broker.close()


#: A daemon that closes all, has the numbers for files of its own, and ends.
DAEMON = """
import os, sys
from support import prototype
from aque import brokers
broker = brokers.from_url(sys.argv[1])
broker.create([prototype()])
if os.fork() == 0:
    os.closerange(3, 256)
    own = [os.open(os.devnull, os.O_RDONLY) for _ in range(20)]
    del broker
    [os.close(descriptor) for descriptor in own]
    sys.exit(0)
os.wait()
"""


def test_a_fork_that_has_closed_all_keeps_the_files_it_opened_then(path: str) -> None:
    words = [sys.executable, "-c", DAEMON, path]
    done = subprocess.run(words, env=ENVIRON, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


# The file

#: Runs a command of aque, and ends at once where Python itself opens what is SQLite's.
WATCHED = """
import os, runpy, sys
path = os.path.realpath(sys.argv[1])
def watch(event, arguments):
    if event != "open" or not isinstance(arguments[0], (str, bytes)):
        return
    name, _, flags = arguments
    if flags & os.O_EXCL:
        return  # one that was not there has no locks
    if os.path.realpath(os.fsdecode(name)) in (path, path + "-shm"):  # no locks lie on the log
        os.write(2, f"opens {name}".encode())
        os._exit(99)
sys.addaudithook(watch)
sys.argv = sys.argv[2:]
runpy.run_module(f"aque.commands.{sys.argv[0]}", run_name="__main__", alter_sys=True)
"""


#: Says of each sync of a file by Python what it is, and whether others may write meanwhile.
SYNCED = """
import fcntl, os, sys
def watched(descriptor, sync=os.fdatasync):
    with open(sys.argv[1] + "-lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    print(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")), flush=True)
    sync(descriptor)
os.fdatasync = watched
import aque
from aque import brokers
queue = aque.Queue(brokers.from_url(sys.argv[1], durable=sys.argv[2] == "durable"))
queue.submit(print)
print("submitted", flush=True)
queue.future(1).task()
print("read", flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it asks /proc")
def test_a_durable_submit_is_synced_once_with_the_lock_let_go(path: str) -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", SYNCED, path, kind],
            capture_output=True, text=True, check=True, timeout=60, cwd=Path(path).parent,
        ).stdout.split()
        for kind in ("durable", "not")
    ]  # fmt: skip
    assert said == [["queue.db-wal", "submitted", "read"], ["submitted", "read"]]


def test_where_the_disk_fails_it_is_said_that_the_task_is_stored(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with closing(brokers.from_url(path)) as broker:
        monkeypatch.setattr(sync, "_sync", fail)
        with pytest.raises(BrokerError, match=r"^it is in the queue, .*No space left") as raised:
            broker.create([prototype()])
        assert not isinstance(raised.value, FullError)  # which would say: try again
        assert broker.last_id() == 1


def test_the_log_is_open_before_it_is_written_so_that_no_error_is_missed(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_no_log(name: str, *arguments: int, opened: Callable[..., int] = os.open) -> int:
        if str(name).endswith("-wal"):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return opened(name, *arguments)

    with closing(brokers.from_url(path)) as broker:
        monkeypatch.setattr(os, "open", open_no_log)
        with pytest.raises(BrokerError, match="Too many open files"):
            broker.create([prototype()])
        monkeypatch.undo()
        assert broker.last_id() is None
        assert broker.create([prototype()]) == [1]


def test_the_watch_for_descriptors_sees_them(path: str, tmp_path: Path) -> None:
    Path(path).touch()
    code = WATCHED.partition("sys.argv = ")[0] + "open(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, path], check=False, capture_output=True)
    assert done.returncode == 99


def test_no_command_opens_the_file_but_through_sqlite(path: str) -> None:
    """Closing any other descriptor of it would drop the locks that SQLite holds."""

    def command(*words: str, expected: int = 0, **options: object) -> str:
        done = subprocess.run(
            [sys.executable, "-c", WATCHED, path, *words],
            capture_output=True, text=True, check=False, timeout=60,
            env={**ENVIRON, "AQUE_BROKER": path}, **options,
        )  # type: ignore[call-overload]  # fmt: skip
        assert done.returncode == expected, (words, done.stderr)
        return str(done.stdout)

    command("init")
    command("submit", "echo", "hello")
    command("submit", "sh", "-c", "exit 3")
    command("xargs", "-n1", "echo", input="a b c")
    command("worker", "--to-end")
    assert command("output", "1") == "hello\n"
    command("status", "--json", "all")
    command("status", "--why", "2")
    command("status", "--workers")
    command("wait", "2", expected=3)
    command("retry", "2")
    command("kill", "2")
    command("limit", "nuke=2")
    command("rm", "all")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
