"""Who is dead: asked of the kernel here, judged by heartbeats elsewhere."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from jobs import ended, fetch, running, submit
from support import enlist, eventually, started_python, started_worker

from aque import location, states
from aque.brokers.base import Broker
from aque.brokers.sqlite.broker import SQLiteBroker
from aque.commands import options
from aque.errors import BrokerError, LockTimeoutError
from aque.queue import Queue
from aque.worker import host
from aque.worker.liveness import LIMIT, Observer
from aque.worker.recovery import recover

HOLD = """
import os, signal, sys
from aque.brokers.sqlite.lock import WriteLock
with WriteLock(sys.argv[1]).held():
    print("held", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
print("let go", flush=True)
"""


@pytest.fixture
def shared(own_queue: str) -> Iterator[SQLiteBroker]:
    """A queue of several hosts, each look at which is a beat."""
    place = location.find(f"sqlite://{own_queue}?journal=delete")
    broker = SQLiteBroker(place, durable=False, lock_timeout=0.02)
    broker.set_settings({"heartbeat": 1e-9})
    yield broker
    broker.close()


def dead(observer: Observer) -> list[int]:
    return [worker.id for worker in observer.dead()]


def test_a_worker_elsewhere_is_dead_after_six_beats_of_ours_without_one_of_its_own(
    shared: SQLiteBroker,
) -> None:
    silent, lively = enlist(shared), enlist(shared)
    observer = Observer(shared, host.this_host())
    for _ in range(LIMIT):
        assert dead(observer) == []
        shared.beat(lively)
    assert dead(observer) == [silent]
    shared.beat(silent)
    assert dead(observer) == []


def test_while_nobody_can_write_nobody_grows_old(shared: SQLiteBroker) -> None:
    enlisted = enlist(shared)
    observer = Observer(shared, host.this_host())
    assert dead(observer) == []
    with started_python(HOLD, os.environ["AQUE_BROKER"]) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert [dead(observer) for _ in range(LIMIT + 1)] == [[]] * (LIMIT + 1)
        with pytest.raises(LockTimeoutError):
            Observer(shared, host.this_host(), enlisted).dead()
        holder.send_signal(signal.SIGCONT)
        assert holder.stdout.readline() == b"let go\n"
    assert dead(observer) == []


def test_on_a_full_disk_nobody_grows_old_and_who_waits_goes_on(shared: SQLiteBroker) -> None:
    here = host.this_host()
    enlisted = enlist(shared)
    gone = enlist(shared, boot=here.boot, pid_namespace=here.pid_namespace, pid=1 << 30)
    observer = Observer(shared, here)
    assert dead(observer) == [gone]
    size, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))  # nothing can be written, as if full
    try:
        assert [dead(observer) for _ in range(LIMIT + 1)] == [[gone]] * (LIMIT + 1)
        with pytest.raises(BrokerError):
            recover(observer)
        options.recovery(Queue(shared))()
        beating = Observer(shared, here, enlisted)
        with pytest.raises(BrokerError):
            beating.dead()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    shared.set_settings({"heartbeat": 1000.0})
    assert dead(beating) == [gone], "it beats at once"
    assert [worker.heartbeat for worker in shared.workers([enlisted])] == [1]


def test_an_observer_that_was_stopped_for_long_begins_to_count_anew(shared: SQLiteBroker) -> None:
    shared.set_settings({"heartbeat": 1000.0})
    enlist(shared)
    observer = Observer(shared, host.this_host())
    assert [dead(observer) for _ in range(2 * LIMIT)] == [[]] * 2 * LIMIT


def test_on_a_local_disk_nobody_beats_and_the_kernel_is_asked(broker: Broker) -> None:
    contained = enlist(broker, boot=host.this_host().boot)
    observer = Observer(broker, host.this_host(), contained)
    assert dead(observer) == [contained]
    (record,) = broker.workers()
    assert record.heartbeat == 0
    life = host.hold_life(broker, record.token)
    assert dead(observer) == []
    os.close(life)
    assert dead(observer) == [contained]


def test_a_worker_here_is_dead_at_once_on_a_shared_disk_too(shared: SQLiteBroker) -> None:
    here = host.this_host()
    id = enlist(shared, boot=here.boot, pid_namespace=here.pid_namespace, pid=1 << 30)
    assert dead(Observer(shared, here)) == [id]


def test_a_worker_whose_file_was_removed_makes_it_anew_and_is_not_taken_for_dead(
    broker: Broker, tmp_path: Path
) -> None:
    with started_worker(broker), started_worker(broker):
        eventually(lambda: len(broker.workers()) == 2)
        id = submit(broker, "sleep", "1000")
        running(broker, id)
        os.rename(broker.directory, tmp_path / "away")
        made = Path(broker.directory) / "workers"
        eventually(lambda: made.exists() and len(list(made.iterdir())) == 2)
        again = submit(broker, "true")
        assert ended(broker, again).status == states.SUCCESS
        assert (fetch(broker, id).status, fetch(broker, id).attempt) == (states.RUNNING, 1)
        assert len(broker.workers()) == 2


def test_a_worker_that_was_dismissed_by_mistake_gives_up_its_tasks_and_goes_on(
    broker: Broker,
) -> None:
    with started_worker(broker) as worker:
        first = submit(broker, "sh", "-c", "[ $AQUE_ATTEMPT -gt 1 ] || exec sleep 1000")
        task = running(broker, first)
        assert broker.dismiss(task.worker or 0) is False, "it runs something"
        assert broker.requeue([(first, 1)], "by mistake") == [True]
        broker.dismiss(task.worker or 0)
        assert (ended(broker, first).status, fetch(broker, first).attempt) == (states.SUCCESS, 2)
        assert worker.poll() is None
        assert [record.id for record in broker.workers()] == [task.worker]


def test_a_worker_that_the_queue_has_forgotten_enlists_anew(shared: SQLiteBroker) -> None:
    shared.set_settings({"heartbeat": 0.05, "poll": 0.05})
    slots = ("--slots", "1")
    with started_worker(shared, "--name", "pine", *slots, stderr=subprocess.PIPE) as worker:
        (before,) = eventually(shared.workers)
        worker.send_signal(signal.SIGUSR1)
        eventually(lambda: shared.workers()[0].slots == 2)
        with closing(sqlite3.connect(os.environ["AQUE_BROKER"], isolation_level=None)) as past:
            past.execute("DELETE FROM worker")
        (after,) = eventually(shared.workers)
        assert (after.id, after.name, after.token) == (before.id, "pine", before.token)
        assert after.slots == 2
        assert ended(shared, submit(shared, "true")).status == states.SUCCESS
        worker.terminate()
        worker.wait()
        assert worker.stderr is not None
        assert worker.stderr.read() == b""
    assert shared.workers() == []
