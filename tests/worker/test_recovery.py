"""After a worker was killed by -9: what it left is ended first, and then runs again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from jobs import attempts, ended, fetch, is_alive, output, read_pid, running, submit, work
from support import eventually, started, started_worker

from aque import states
from aque.brokers.base import Broker
from aque.queue import Queue

#: The first attempt writes its pid and sleeps; a later one says which it is.
TWICE = 'echo $AQUE_ATTEMPT; [ $AQUE_ATTEMPT -gt 1 ] || { echo $$ > "$1"; sleep 600 & wait; }'


def abandon(broker: Broker, id: int) -> int:
    """Have a worker run a task and kill it by -9; return the pid that the task left."""
    with started_worker(broker) as worker:
        pid = running(broker, id).pid
        assert pid is not None
        eventually(lambda: output(broker, id) == b"1\n")
        worker.kill()
        worker.wait()
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
    import sqlite3

    id = twice(broker, tmp_path)
    pid = abandon(broker, id)
    os.killpg(pid, signal.SIGKILL)
    with started(["sleep", "600"], start_new_session=True) as stranger:
        connection = sqlite3.connect(os.environ["AQUE_BROKER"])
        change = "UPDATE task SET pid = ?, session = ? WHERE id = ?"
        with connection:
            connection.execute(change, (stranger.pid, stranger.pid, id))
        connection.close()
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
        worker.kill()
        worker.wait()
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
        worker.kill()
        worker.wait()
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
