"""Where the system lacks processes or descriptors a worker runs fewer tasks, and fails none."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobs import fetch, submit
from support import python, started

from aque import brokers, states
from aque.brokers.base import Broker
from aque.worker.room import Room, is_shortage

#: Nobody's number: what a user may run is counted by it.
USER = 61_803

# Runs a program with a limit of its own: NAME, its soft value, then the words.
LIMITED = """
import os, resource, sys
limit = getattr(resource, sys.argv[1])
resource.setrlimit(limit, (int(sys.argv[2]), resource.getrlimit(limit)[1]))
os.execvp(sys.argv[3], sys.argv[3:])
"""


def limited(name: str, most: int, *words: str) -> list[str]:
    return [sys.executable, "-c", LIMITED, name, str(most), *words]


def worker(broker: Broker, *arguments: str) -> list[str]:
    module = [sys.executable, "-m", "aque.commands.worker", "--broker", broker.to_url()]
    return [*module, *(arguments or ["--to-end"])]


def work(words: list[str]) -> str:
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def all_succeeded(broker: Broker, ids: list[int]) -> bool:
    return {task.status for task in broker.fetch(ids)} == {states.SUCCESS}


def test_a_worker_with_few_descriptors_runs_as_many_as_there_is_room_for(broker: Broker) -> None:
    ids = [submit(broker, "sleep", "0.2", cpus=0) for _ in range(60)]
    said = work(limited("RLIMIT_NOFILE", 64, *worker(broker, "--to-end", "--slots", "100")))
    assert all_succeeded(broker, ids)
    assert "Too many open files" in said
    assert said.count("\n") == 1
    assert max(task.attempt for task in broker.fetch(ids)) < 6


def test_runners_too_wait_for_descriptors(broker: Broker) -> None:
    code = """if True:
        import sys
        import time
        from aque.queue import Queue
        Queue(sys.argv[1]).submit_many(
            [{"func": time.sleep, "args": [0.2], "cpus": 0, "name": str(n)} for n in range(14)])
    """
    python(code, broker.to_url())
    said = work(limited("RLIMIT_NOFILE", 64, *worker(broker, "--to-end", "--slots", "100")))
    tasks = broker.search()
    assert {(task.status, task.error) for task in tasks} == {(states.SUCCESS, None)}
    assert "Too many open files" in said


def test_a_worker_of_one_task_that_finds_no_room_waits_for_it(broker: Broker) -> None:
    id = submit(broker, "true")
    words = limited("RLIMIT_NOFILE", 20, *worker(broker, "--one"))
    with started(words, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert b"Too many open files" in process.stderr.readline()
        resource.prlimit(
            process.pid,
            resource.RLIMIT_NOFILE,
            (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        )
        assert process.wait(20) == 0
    assert fetch(broker, id).status == states.SUCCESS


@pytest.fixture
def crowded() -> Iterator[tuple[list[str], str]]:
    """Give the words that run a command as a user who may have five processes, and its queue."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can change to another user")
    with tempfile.TemporaryDirectory() as directory:
        os.chown(directory, USER, USER)
        environ = f"AQUE_BROKER={directory}/queue.db"
        user = ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups"]
        words = limited("RLIMIT_NPROC", 5, *user, "env", "-C", directory, environ)
        if subprocess.run([*words, sys.executable, "-c", "import aque"], check=False).returncode:
            pytest.skip("another user cannot use this Python")
        yield words, f"{directory}/queue.db"


def test_a_worker_waits_where_no_process_is_to_be_had(crowded: tuple[list[str], str]) -> None:
    words, queue = crowded
    submitting = """if True:
        import sys
        from aque.queue import Queue
        Queue(sys.argv[1]).submit_many(
            [{"pattern": "shell", "args": ["sleep", "0.2"], "cpus": 0} for _ in range(12)])
    """
    subprocess.run([*words, sys.executable, "-c", submitting, queue], check=True)
    said = work([*words, sys.executable, "-m", "aque.commands.worker", "--to-end"])
    broker = brokers.from_url(queue)
    tasks = broker.search()
    broker.close()
    assert len(tasks) == 12
    assert {(task.status, task.error) for task in tasks} == {(states.SUCCESS, None)}
    assert "Resource temporarily unavailable" in said


def test_xargs_waits_where_no_process_is_to_be_had(crowded: tuple[list[str], str]) -> None:
    xargs = [sys.executable, "-m", "aque.commands.xargs", "-P20", "-n1", "sh", "-c"]
    done = subprocess.run(
        [*crowded[0], *xargs, 'sleep 0.1; echo "$0"'],
        input=" ".join(map(str, range(30))), capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(map(int, done.stdout.split())) == list(range(30))
    assert "Resource temporarily unavailable" in done.stderr
    assert done.stderr.count("\n") == 1


def test_xargs_with_few_descriptors_runs_a_hundred_at_once(tmp_path: Path) -> None:
    text = f'touch {tmp_path}/in.$0; until [ -e {tmp_path}/in.100 ]; do sleep 0.1; done; echo "$0"'
    xargs = [sys.executable, "-m", "aque.commands.xargs", "-P100", "-n1", "sh", "-c", text]
    done = subprocess.run(
        limited("RLIMIT_NOFILE", 64, *xargs), input=" ".join(map(str, range(1, 101))),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(map(int, done.stdout.split())) == list(range(1, 101))


# How many there is room for


def test_room_that_was_lacking_is_tried_again_one_by_one_and_ever_later() -> None:
    room = Room()
    assert room.most(0.0) > 1_000_000
    assert room.note_shortage(3, 100.0)
    assert room.most(100.5) == 3
    assert room.most(101.0) == 4
    assert not room.note_shortage(3, 101.0)
    assert room.most(102.5) == 3
    assert room.most(103.0) == 4
    room.note_started(4)
    assert room.most(103.0) == 5
    for second in range(200, 300, 10):
        room.note_shortage(5, float(second))
    assert room.most(299.9) == 5
    assert room.most(300.0) == 6


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE])
def test_a_lack_of_the_system_is_not_the_tasks_fault(number: int) -> None:
    assert is_shortage(OSError(number, "lacking"))


@pytest.mark.parametrize("number", [errno.E2BIG, errno.ENOENT, errno.EACCES, errno.ENOSPC])
def test_what_is_wrong_with_a_task_is(number: int) -> None:
    assert not is_shortage(OSError(number, "wrong"))
