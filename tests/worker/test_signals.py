"""How a worker ends: gently, at once, or not at all."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest
from jobs import attempts, ended, fetch, is_alive, output, running, script, submit
from support import aque, eventually, started_worker

from aque import states
from aque.brokers.base import Broker
from aque.commands import why
from aque.queue import Queue

Popen = subprocess.Popen[bytes]

#: Waits for the file that $1 names.
GATE = 'until [ -e "$1" ]; do sleep 0.01; done; echo done'


def gated(broker: Broker, gate: Path, **fields: object) -> int:
    return submit(broker, "sh", "-c", GATE, "sh", str(gate), **fields)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_first_signal_lets_what_runs_end_and_starts_nothing_new(
    broker: Broker, tmp_path: Path, number: int
) -> None:
    gate = tmp_path / "gate"
    with started_worker(broker, "-v", stderr=subprocess.PIPE) as worker:
        done = ended(broker, submit(broker, "true")).id
        id = gated(broker, gate)
        running(broker, id)
        worker.send_signal(number)
        assert worker.stderr is not None
        eventually(lambda: b"waits for task " in worker.stderr.readline())  # type: ignore[union-attr]
        later = submit(broker, "true", cpus=0)
        eventually(lambda: broker.workers()[0].draining_at)
        assert why.explain(broker, fetch(broker, later))[0] == (
            "no worker starts anything; aque-worker starts another"
        )
        assert "draining" in aque("status", "--workers").stdout
        assert "all workers are draining" in aque("retry", "-s", str(done)).stderr
        gate.touch()
        assert worker.wait(10) == 0
    assert fetch(broker, id).status == states.SUCCESS
    assert output(broker, id) == b"done\n"
    assert {fetch(broker, waits).status for waits in (later, done)} == {states.PENDING}
    assert not broker.workers()


def test_an_idle_worker_ends_at_once(broker: Broker) -> None:
    with started_worker(broker) as worker:
        eventually(broker.workers)
        worker.terminate()
        assert worker.wait(5) == 0
    assert not broker.workers()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_requeues_what_runs(broker: Broker, tmp_path: Path, number: int) -> None:
    with started_worker(broker, "-v", stderr=subprocess.PIPE) as worker:
        id = gated(broker, tmp_path / "gate")
        pid = running(broker, id).pid
        assert pid is not None
        worker.send_signal(number)
        assert worker.stderr is not None
        eventually(lambda: b"waits for task " in worker.stderr.readline())  # type: ignore[union-attr]
        worker.send_signal(number)
        assert worker.wait(10) == 0
    assert not is_alive(pid)
    requeued(broker, id)


def requeued(broker: Broker, id: int) -> None:
    task = fetch(broker, id)
    assert (task.status, task.attempt, task.pid) == (states.PENDING, 1, None)
    (first,) = attempts(broker, id)
    assert (first["status"], first["error"]) == ("requeued", "its worker was stopped")


def test_quit_requeues_what_runs_at_once(broker: Broker, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with started_worker(broker) as worker:
        id = gated(broker, gate)
        running(broker, id)
        call = Queue(broker).submit(time.sleep, 600)
        running(broker, call.id)
        worker.send_signal(signal.SIGQUIT)
        assert worker.wait(10) == 0
    requeued(broker, id)
    requeued(broker, call.id)
    Queue(broker).kill([call.id])
    gate.touch()
    aque("worker", "--to-end")
    assert (fetch(broker, id).status, fetch(broker, id).attempt) == (states.SUCCESS, 2)
    assert output(broker, id, attempt=2) == b"done\n"


def test_what_is_requeued_has_the_queues_grace_to_end(broker: Broker) -> None:
    aque("init", "--set", "grace=0.3")
    with started_worker(broker) as worker:
        id = script(broker, "trap '' TERM; echo ready; while :; do sleep 0.01; done")
        eventually(lambda: output(broker, id) == b"ready\n")
        began = time.monotonic()
        worker.send_signal(signal.SIGQUIT)
        assert worker.wait(10) == 0
        assert 0.3 <= time.monotonic() - began < 5
    requeued(broker, id)


def test_the_workers_grace_bounds_how_long_it_waits(broker: Broker, tmp_path: Path) -> None:
    with started_worker(broker, "--grace", "0.3") as worker:
        id = gated(broker, tmp_path / "gate")
        running(broker, id)
        began = time.monotonic()
        worker.terminate()
        assert worker.wait(10) == 0
        assert 0.3 <= time.monotonic() - began < 5
    requeued(broker, id)


def test_a_job_that_ends_within_the_workers_grace_succeeds(broker: Broker, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with started_worker(broker, "--grace", "600") as worker:
        id = gated(broker, gate)
        running(broker, id)
        worker.terminate()
        gate.touch()
        assert worker.wait(10) == 0
    assert fetch(broker, id).status == states.SUCCESS


def test_usr1_and_usr2_are_one_task_more_and_one_less(broker: Broker, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with started_worker(broker, "--slots", "1") as worker:
        ids = [gated(broker, gate, cpus=0) for _ in range(3)]

        def count() -> int:
            return sum(fetch(broker, id).status == states.RUNNING for id in ids)

        eventually(lambda: count() == 1)
        worker.send_signal(signal.SIGUSR1)
        eventually(lambda: count() == 2)
        assert eventually(broker.workers)[0].slots == 2
        worker.send_signal(signal.SIGUSR2)
        worker.send_signal(signal.SIGUSR2)  # never fewer than one
        gate.touch()
        for id in ids:
            ended(broker, id)
        gate.unlink()
        more = [gated(broker, gate, cpus=0) for _ in range(2)]
        eventually(lambda: fetch(broker, more[0]).status == states.RUNNING)
        assert fetch(broker, more[1]).status == states.PENDING
        gate.touch()
        ended(broker, more[1])


def test_a_stopped_worker_goes_on_where_it_was(broker: Broker) -> None:
    with started_worker(broker) as worker:
        eventually(broker.workers)
        worker.send_signal(signal.SIGTSTP)
        eventually(lambda: Path(f"/proc/{worker.pid}/stat").read_text().split()[2] == "T")
        id = submit(broker, "true")
        worker.send_signal(signal.SIGCONT)
        assert ended(broker, id).status == states.SUCCESS
