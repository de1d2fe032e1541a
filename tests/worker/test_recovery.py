"""After a worker was killed by -9: what it left is ended first, and then runs again."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jobs import (
    attempts,
    ended,
    fetch,
    is_alive,
    kill_unguarded,
    output,
    read_pid,
    running,
    script,
    submit,
    work,
)
from support import aque, eventually, python, started, started_worker

from aque import states
from aque.brokers.base import Broker
from aque.queue import Queue

#: The first attempt writes its pid and sleeps; a later one says which it is.
TWICE = 'echo $AQUE_ATTEMPT; [ $AQUE_ATTEMPT -gt 1 ] || { echo $$ > "$1"; sleep 600 & wait; }'


def abandon(broker: Broker, id: int) -> int:
    """Have a worker run a task, and kill it and its guard; return the pid that the task left."""
    with started_worker(broker) as worker:
        pid = running(broker, id).pid
        assert pid is not None
        eventually(lambda: output(broker, id) == b"1\n")
        kill_unguarded(worker)
    assert is_alive(pid)
    return pid


def twice(broker: Broker, tmp_path: Path) -> int:
    return submit(broker, "sh", "-c", TWICE, "sh", str(tmp_path / "pid"))


def test_the_next_worker_ends_what_was_left_and_runs_it_again(
    broker: Broker, tmp_path: Path
) -> None:
    id = twice(broker, tmp_path)
    pid = abandon(broker, id)
    (dead,) = broker.workers()
    work(broker)
    assert not is_alive(pid)
    task = fetch(broker, id)
    assert (task.status, task.attempt) == (states.SUCCESS, 2)
    assert output(broker, id, attempt=1) == b"1\n"
    assert output(broker, id, attempt=2) == b"2\n"
    (first,) = attempts(broker, id)
    assert (first["attempt"], first["status"], first["worker"]) == (1, "requeued", dead.id)
    assert f"worker {dead.name} died" in first["error"]
    assert not broker.workers()


def test_a_worker_that_runs_already_notices_at_its_next_look(
    broker: Broker, tmp_path: Path
) -> None:
    id = twice(broker, tmp_path)
    with started_worker(broker) as first:
        pid = running(broker, id).pid
        assert pid is not None
        eventually(lambda: output(broker, id) == b"1\n")
        with started_worker(broker):
            eventually(lambda: len(broker.workers()) == 2)
            first.kill()
            assert ended(broker, id, 10).attempt == 2
    assert not is_alive(pid)


def test_a_strangers_process_of_the_same_number_is_left_alone(
    broker: Broker, tmp_path: Path
) -> None:
    """As if the job had ended and its pid were used again: the start time differs."""
    id = twice(broker, tmp_path)
    pid = abandon(broker, id)
    os.killpg(pid, signal.SIGKILL)
    with started(["sleep", "600"], start_new_session=True) as stranger:
        change(broker, f"UPDATE task SET pid = {stranger.pid}, session = {stranger.pid}")
        work(broker)
        assert stranger.poll() is None
    assert fetch(broker, id).attempt == 2


def test_a_job_so_young_that_it_was_never_recorded_is_found_by_its_mark(
    broker: Broker, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    id = submit(broker, "sh", "-c", TWICE, "sh", str(pid_file))
    with started_worker(broker) as worker:
        eventually(lambda: pid_file.exists())
        kill_unguarded(worker)
    pid = read_pid(pid_file)
    work(broker)
    assert not is_alive(pid)
    assert fetch(broker, id).status == states.SUCCESS


def test_a_python_task_runs_again_too(broker: Broker) -> None:
    with started_worker(broker) as worker:
        future = Queue(broker).submit(time.sleep, 1.0)
        pid = running(broker, future.id).pid
        assert pid is not None
        worker.kill()
        worker.wait()
    work(broker)
    assert not is_alive(pid)
    assert (future.task().attempt, future.result()) == (2, None)


def test_what_was_being_killed_stays_killed(broker: Broker, tmp_path: Path) -> None:
    with started_worker(broker) as worker:
        id = submit(broker, "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done")
        eventually(lambda: output(broker, id) == b"ready\n")
        Queue(broker).kill([id], grace=600)
        kill_unguarded(worker)
    work(broker)
    assert (fetch(broker, id).status, fetch(broker, id).attempt) == (states.CANCELLED, 1)


def test_many_workers_bury_one_and_the_task_runs_once_more(broker: Broker, tmp_path: Path) -> None:
    id = twice(broker, tmp_path)
    abandon(broker, id)
    words = [sys.executable, "-m", "aque.commands.worker", "--to-end"]
    racers = [subprocess.Popen(words) for _ in range(4)]
    assert [racer.wait(30) for racer in racers] == [0] * 4
    assert (fetch(broker, id).status, fetch(broker, id).attempt) == (states.SUCCESS, 2)
    assert len(attempts(broker, id)) == 1


def test_workers_killed_over_and_over_lose_nothing(broker: Broker, tmp_path: Path) -> None:
    words = ["sh", "-c", 'sleep 0.02; echo >> "$1/$AQUE_TID"', "sh", str(tmp_path)]
    prototypes = [{"pattern": "shell", "args": words, "cpus": 0.5} for _ in range(150)]
    ids = [future.id for future in Queue(broker).submit_many(prototypes)]
    for _ in range(4):
        before = done(broker, ids)
        with started_worker(broker) as worker:
            eventually(lambda before=before: done(broker, ids) >= before + 15)
            worker.kill()
            worker.wait()
    work(broker)
    tasks = broker.fetch(ids)
    assert {task.status for task in tasks} == {states.SUCCESS}
    for task in tasks:
        ran = (tmp_path / str(task.id)).read_text().count("\n")
        assert 1 <= ran <= task.attempt
    assert sum(task.attempt - 1 for task in tasks) == sum(len(attempts(broker, i)) for i in ids)


def done(broker: Broker, ids: list[int]) -> int:
    return sum(task.is_complete for task in broker.fetch(ids))


def test_idle_runners_end_with_their_worker(broker: Broker) -> None:
    with started_worker(broker) as worker:
        pid = Queue(broker).submit(os.getpid).result(10)
        assert is_alive(pid)
        worker.kill()
        worker.wait()
    eventually(lambda: not is_alive(pid))


def test_a_dead_workers_life_file_goes_with_it(broker: Broker) -> None:
    with started_worker(broker) as worker:
        eventually(broker.workers)
        worker.kill()
        worker.wait()
    directory = Path(broker.directory) / "workers"
    assert len(list(directory.iterdir())) == 1
    work(broker)
    assert not list(directory.iterdir())


def test_what_was_stopped_by_a_pause_is_ended_too(broker: Broker, tmp_path: Path) -> None:
    id = twice(broker, tmp_path)
    with started_worker(broker) as worker:
        pid = running(broker, id).pid
        assert pid is not None
        eventually(lambda: output(broker, id) == b"1\n")
        assert broker.pause([id]) == [id]
        eventually(lambda: Path(f"/proc/{pid}/stat").read_text().split()[2] == "T")
        kill_unguarded(worker)
    work(broker)
    assert not is_alive(pid)
    assert (fetch(broker, id).status, fetch(broker, id).attempt) == (states.SUCCESS, 2)


def test_what_called_setsid_or_has_no_environment_is_ended_first(
    broker: Broker, tmp_path: Path
) -> None:
    text = f"""
[ $AQUE_ATTEMPT = 1 ] || exit 0
(setsid sh -c 'echo $$ > {tmp_path}/daemon; exec sleep 600' &)
env -i sh -c 'echo $$ > {tmp_path}/bare; exec sleep 600'
"""
    id = script(broker, text)
    with started_worker(broker) as worker:
        pids = [read_pid(tmp_path / name) for name in ("daemon", "bare")]
        running(broker, id)
        kill_unguarded(worker)
    assert all(map(is_alive, pids))
    work(broker)
    assert not any(map(is_alive, pids))
    assert fetch(broker, id).status == states.SUCCESS


def test_who_waits_by_a_command_recovers_too(broker: Broker, tmp_path: Path) -> None:
    """So that nobody waits for what will never end: here there is no other worker."""
    id = twice(broker, tmp_path)
    pid = abandon(broker, id)
    aque("wait", "--timeout", "3", str(id), status=124)
    assert not is_alive(pid)
    assert fetch(broker, id).status == states.PENDING


def test_a_command_inside_a_dead_workers_task_does_not_stop_itself(
    broker: Broker, tmp_path: Path
) -> None:
    """It is a leftover too; who is none comes and ends it."""
    wait = f"{sys.executable} -m aque.commands.wait {{}}"
    first = submit(broker, "sleep", "600", cpus=0)
    id = script(broker, f"echo $$ > {tmp_path}/pid; exec {wait.format(first)}", cpus=0)
    with started_worker(broker) as worker:
        pid = read_pid(tmp_path / "pid")
        running(broker, id)
        kill_unguarded(worker)
    with started_worker(broker):
        eventually(lambda: not is_alive(pid))
        eventually(lambda: running(broker, first).attempt == 2)
        Queue(broker).kill([first, id], signal.SIGKILL)
        ended(broker, first)


def test_what_cannot_die_yet_keeps_its_task_from_running_twice(
    broker: Broker, tmp_path: Path
) -> None:
    id = twice(broker, tmp_path)
    pid = abandon(broker, id)
    with held_at_its_exit(pid), started_worker(broker, "-v", stderr=subprocess.PIPE) as worker:
        assert worker.stderr is not None
        stderr = worker.stderr
        eventually(lambda: b"what it left is still ending" in stderr.readline())
        assert (fetch(broker, id).status, fetch(broker, id).attempt) == (states.RUNNING, 1)
        assert ended(broker, submit(broker, "true")).status == states.SUCCESS
    work(broker)
    assert (fetch(broker, id).status, fetch(broker, id).attempt) == (states.SUCCESS, 2)


def test_what_is_not_ours_to_kill_is_known_to_be_left(tmp_path: Path) -> None:
    """Here a worker's of root, looked at by a user: the queue says which process it is."""
    if os.getuid() != 0:
        pytest.skip("only root has processes that others may not signal")
    code = """
import os, sys, time
from aque.worker import leftovers, processes
pid = int(sys.argv[1])
leader = leftovers.Leader(pid, processes.start_time(pid), True)
os.setuid(65534)
print(leftovers.end([leader], "no such token", time.monotonic() + 60))
"""
    with started(["sleep", "600"], start_new_session=True) as stranger:
        assert python(code, str(stranger.pid), timeout=20).stdout == "False\n"
        assert stranger.poll() is None


@contextmanager
def held_at_its_exit(pid: int) -> Iterator[None]:
    """Have a process that is killed stay where it is, as if a device did not answer."""
    seize, detach, trace_exit = 0x4206, 17, 0x40  # sys/ptrace.h
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if ptrace(seize, pid, None, trace_exit) != 0:
        pytest.skip("the system refuses ptrace")
    try:
        yield
    finally:
        ptrace(detach, pid, None, None)


# Who is dead


def test_a_worker_that_sleeps_for_long_is_not_dead(broker: Broker) -> None:
    """A laptop that is closed: no time that passes makes it dead, only its end does."""
    aque("init", "--set", "poll=0.05", "--set", "heartbeat=0.05")
    id = script(broker, "sleep 0.3; echo done")
    with started_worker(broker) as sleeper:
        running(broker, id)
        sleeper.send_signal(signal.SIGSTOP)
        for _ in range(3):
            work(broker)
        assert (fetch(broker, id).status, len(broker.workers())) == (states.RUNNING, 1)
        sleeper.send_signal(signal.SIGCONT)
        task = ended(broker, id)
    assert (task.status, task.attempt) == (states.SUCCESS, 1)
    assert output(broker, id) == b"done\n"


def test_after_a_reboot_nothing_is_signalled_and_all_runs_again(
    broker: Broker, tmp_path: Path
) -> None:
    """Its pids mean other processes now, even where number and start time are the same."""
    id = twice(broker, tmp_path)
    pid = abandon(broker, id)
    change(broker, "UPDATE worker SET boot = 'another'")
    work(broker)
    assert is_alive(pid)
    os.killpg(pid, signal.SIGKILL)
    task = fetch(broker, id)
    assert (task.status, task.attempt, task.crashes) == (states.SUCCESS, 2, 0)


def change(broker: Broker, sql: str) -> None:
    connection = sqlite3.connect(os.environ["AQUE_BROKER"])
    with connection:
        connection.execute(sql)
    connection.close()


def test_a_worker_without_its_file_is_dead(broker: Broker, tmp_path: Path) -> None:
    """What lives beside the queue was deleted after the worker's end: nothing is lost by it."""
    id = twice(broker, tmp_path)
    abandon(broker, id)
    shutil.rmtree(broker.directory)
    work(broker)
    assert (fetch(broker, id).status, fetch(broker, id).attempt) == (states.SUCCESS, 2)


# A task that takes its workers down


def take_down(broker: Broker, ids: list[int], attempt: int) -> None:
    """Have a worker begin these, and kill it."""
    with started_worker(broker) as worker:
        for id in ids:
            eventually(lambda id=id: running(broker, id).attempt == attempt)
        worker.kill()
        worker.wait()


KILLER = "kill -9 $PPID; exec sleep 600"


def test_a_task_that_kills_its_workers_ends_as_an_error(broker: Broker) -> None:
    id = script(broker, KILLER)
    for _ in range(3):
        with started_worker(broker) as worker:
            assert worker.wait(20) == -signal.SIGKILL
    later = submit(broker, "true")
    work(broker)
    task = fetch(broker, id)
    assert (task.status, task.attempt, task.crashes) == (states.ERROR, 3, 3)
    assert task.error == (
        "its worker died 3 times with nothing else running; aque-retry runs it again"
    )
    assert [a["status"] for a in attempts(broker, id)] == ["requeued"] * 2
    assert fetch(broker, later).status == states.SUCCESS
    assert "its worker died 3 times" in aque("status", "--why", str(id)).stdout
    aque("wait", str(id), status=1)


def test_how_often_is_a_setting_and_a_retry_begins_anew(broker: Broker) -> None:
    aque("init", "--set", "crashes=1")
    id = script(broker, KILLER)
    for _ in range(2):
        with started_worker(broker) as worker:
            assert worker.wait(20) == -signal.SIGKILL
        work(broker)
        task = fetch(broker, id)
        assert (task.status, task.crashes) == (states.ERROR, 1)
        assert task.error is not None
        assert task.error.startswith("its worker died once")
        aque("retry", str(id))
        assert fetch(broker, id).crashes == 0


def test_a_task_that_was_not_alone_is_not_blamed(broker: Broker) -> None:
    ids = [script(broker, "[ $AQUE_ATTEMPT -gt 2 ] || exec sleep 600", cpus=0) for _ in range(2)]
    for attempt in (1, 2):
        take_down(broker, ids, attempt)
    work(broker)
    for task in broker.fetch(ids):
        assert (task.status, task.attempt, task.crashes) == (states.SUCCESS, 3, 0)
