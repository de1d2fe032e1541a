"""SQLite's own: a write-ahead log is for one kernel, and a queue says which uses it.

Another kernel is a mount namespace in which machine id and boot id are others.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from jobs import in_namespace
from support import prototype, started_python

from aque import brokers, location, machine
from aque.brokers.base import Broker
from aque.errors import BrokerError

ADD = """
import os, sys
from support import prototype
from aque import brokers
from aque.errors import AqueError
try:
    broker = brokers.from_url(sys.argv[1])
    print("added", *broker.create([prototype()]), broker.to_url(), flush=True)
except AqueError as error:
    sys.exit(f"{error}")
if sys.argv[2:]:
    sys.stdin.readline()
    os.kill(os.getpid(), 9)
broker.close()
"""
TESTS = os.path.dirname(os.path.dirname(__file__))


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "queue.db")


def elsewhere(
    tmp_path: Path,
    url: str,
    *words: str,
    machine: str | None = None,
    boot: str | None = None,
    host: str = os.uname().nodename,
) -> subprocess.CompletedProcess[str]:
    """Add a task by a process of another boot, or machine."""
    mounts = []
    for name, text, real in (
        ("machine", machine, "/etc/machine-id"),
        ("machine", machine, "/var/lib/dbus/machine-id"),
        ("boot", boot, "/proc/sys/kernel/random/boot_id"),
    ):
        if text is not None and os.path.exists(real):
            (tmp_path / name).write_text(text + "\n")
            mounts.append(f"mount --bind '{tmp_path / name}' {real}")
    script = " && ".join([*mounts, f"hostname {host}", 'exec "$@"'])
    namespace = in_namespace("--mount", "--uts")
    done = subprocess.run(
        [*namespace, "sh", "-c", script, "sh", sys.executable, "-c", ADD, url, *words],
        env={**os.environ, "PYTHONPATH": TESTS}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if "mount:" in done.stderr:
        pytest.skip(f"no mounts here: {done.stderr}")
    return done


def killed_in_use(url: str) -> None:
    """Have a process use the queue and die, so that it never closes it."""
    environ = {**os.environ, "PYTHONPATH": TESTS}
    with started_python(ADD, url, "stay", stdin=subprocess.PIPE, env=environ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"added")
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_another_machine_is_refused_while_this_one_uses_the_queue(
    tmp_path: Path, path: str
) -> None:
    broker = brokers.from_url(path)
    broker.create([prototype()])
    before = sorted(os.listdir(tmp_path))
    done = elsewhere(tmp_path, path, machine="1" * 32, boot="2" * 36)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    for part in (path, os.uname().nodename, f"delete {path}-lock", "journal=delete"):
        assert part in done.stderr
    assert sorted(os.listdir(tmp_path)) == sorted({*before, "machine", "boot"}), "nothing is opened"
    broker.create([prototype()])
    broker.close()


def test_a_queue_that_nobody_uses_may_go_to_another_machine(tmp_path: Path, path: str) -> None:
    for number, name in enumerate("abcab", 1):
        done = elsewhere(tmp_path, path, machine=name * 32, boot=name * 36)
        assert done.stdout.startswith(f"added {number} "), done.stderr


def test_a_crash_of_this_machine_leaves_nothing_in_the_way(tmp_path: Path, path: str) -> None:
    killed_in_use(path)
    done = elsewhere(tmp_path, path, boot="2" * 36)
    assert done.stdout.startswith("added 2 "), done.stderr
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_what_another_machine_left_is_refused_until_the_lock_file_is_deleted(
    tmp_path: Path, path: str
) -> None:
    killed_in_use(path)
    assert elsewhere(tmp_path, path, machine="1" * 32, boot="2" * 36).returncode == 1
    os.unlink(path + "-lock")
    done = elsewhere(tmp_path, path, machine="1" * 32, boot="2" * 36)
    assert done.stdout.startswith("added 2 "), done.stderr


def test_a_clone_of_this_machine_is_another_and_so_is_one_without_an_id(
    tmp_path: Path, path: str
) -> None:
    killed_in_use(path)
    done = elsewhere(tmp_path, path, boot="2" * 36, host="clone")
    assert "in use on" in done.stderr
    os.unlink(path + "-lock")
    assert elsewhere(tmp_path, path, "stay", machine="", boot="3" * 36).returncode == -9
    done = elsewhere(tmp_path, path, machine="", boot="4" * 36)
    assert "in use on" in done.stderr


def test_containers_of_one_kernel_use_a_queue_together(tmp_path: Path, path: str) -> None:
    broker = brokers.from_url(path)
    done = elsewhere(tmp_path, path, machine="1" * 32, host="container")
    assert done.stdout.startswith("added 1 "), done.stderr
    assert broker.last_id() == 1
    broker.close()


def test_a_note_lost_with_the_lock_file_is_put_back(tmp_path: Path, path: str) -> None:
    broker = brokers.from_url(path)
    broker.create([prototype()])
    os.unlink(path + "-lock")
    broker.create([prototype()])
    done = elsewhere(tmp_path, path, machine="1" * 32, boot="2" * 36)
    assert "in use on" in done.stderr
    broker.close()


def test_a_queue_in_use_by_its_log_is_not_taken_for_a_shared_one(path: str) -> None:
    shared = f"sqlite://{path}?journal=delete"
    broker = brokers.from_url(path)
    broker.create([prototype()])
    with pytest.raises(BrokerError, match="in use") as caught:
        brokers.from_url(shared)
    assert "\n" not in str(caught.value)
    broker.close()
    again = brokers.from_url(shared)
    assert (again.last_id(), again.is_shared) == (1, True)
    again.close()


def test_an_outsider_keeps_a_log_from_being_given_up(path: str) -> None:
    brokers.from_url(path).close()
    with closing(sqlite3.connect(path)) as outsider:
        assert outsider.execute("SELECT count(*) FROM task").fetchall() == [(0,)]
        with pytest.raises(BrokerError, match="in use"):
            brokers.from_url(f"sqlite://{path}?journal=delete")
    brokers.from_url(f"sqlite://{path}?journal=delete").close()


def test_a_shared_queue_stays_one_however_it_is_named(tmp_path: Path, path: str) -> None:
    shared = brokers.from_url(f"sqlite://{path}?journal=delete")
    for name in (path, f"sqlite://{path}", f"sqlite://{path}?journal=wal"):
        broker = brokers.from_url(name)
        assert broker.is_shared
        assert broker.listen("ready").fileno() == -1
        assert broker.create([prototype()])
        broker.close()
    done = elsewhere(tmp_path, path, machine="1" * 32, boot="2" * 36)
    assert done.stdout.startswith("added 4 "), done.stderr
    assert "journal=delete" in done.stdout or location.find(path).is_shared
    assert not os.path.exists(path + "-wal")
    shared.close()


def test_the_note_says_machine_boot_and_host(path: str) -> None:
    broker: Broker = brokers.from_url(path)
    note = json.loads(Path(path + "-lock").read_bytes()[256:])
    assert note == {
        "machine": machine.machine_id(),
        "boot": machine.boot_id(),
        "host": os.uname().nodename,
    }
    assert machine.boot_id()
    broker.close()
    assert not Path(path + "-lock").read_bytes()[256:].strip()
