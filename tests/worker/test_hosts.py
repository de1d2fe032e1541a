"""Several hosts on one queue of a shared disk: two namespaces are two hosts."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import Host, host
from jobs import attempts, ended, fetch, is_alive, output, running, submit
from support import aque, eventually, started_worker

from aque import brokers, states
from aque.brokers.base import Broker

#: Seconds between two heartbeats here; a host is dead after six.
HEARTBEAT = 0.25

#: Says which attempt it is and where; the first one goes on for ever.
FIRST_STAYS = 'echo $AQUE_ATTEMPT $(hostname); [ $AQUE_ATTEMPT -gt 1 ] || exec sleep 1000'


@pytest.fixture
def broker(own_queue: str) -> Iterator[Broker]:
    opened = brokers.from_url(f"sqlite://{own_queue}?journal=delete", durable=False)
    opened.set_settings({"heartbeat": HEARTBEAT})
    yield opened
    opened.close()


@pytest.fixture
def ash(broker: Broker) -> Iterator[Host]:
    with host("ash") as made:
        made.start("worker", "--broker", broker.to_url())
        yield made


@pytest.fixture
def birch(broker: Broker, ash: Host) -> Iterator[Host]:
    with host("birch") as made:
        made.start("worker", "--broker", broker.to_url())
        eventually(lambda: {w.host for w in broker.workers()} == {"ash", "birch"})
        yield made


def on(broker: Broker, name: str, *words: str) -> int:
    return submit(broker, *words, host=name, cpus=0)


def workers_host(broker: Broker, id: int) -> str:
    worker = fetch(broker, id).worker
    assert worker is not None
    return broker.workers([worker])[0].host


def freeze_out_of_the_lock(of: Host, broker: Broker) -> None:
    """Stop a host, but not while it holds the write lock, which would stop everybody."""

    def is_frozen() -> bool:
        of.freeze()
        with open(os.environ["AQUE_BROKER"] + "-lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                of.thaw()
                return False
        return True

    eventually(is_frozen)


def test_each_host_runs_what_its_name_allows(broker: Broker, ash: Host, birch: Host) -> None:
    ids = [on(broker, name, "hostname") for name in ("ash", "birch", "!ash", "!birch") * 3]
    said = [(ended(broker, id).status, output(broker, id)) for id in ids]
    assert said == [
        (states.SUCCESS, name) for name in (b"ash\n", b"birch\n", b"birch\n", b"ash\n") * 3
    ]


def test_what_is_free_is_counted_for_each_host(broker: Broker, ash: Host, birch: Host) -> None:
    cpus = len(os.sched_getaffinity(0))
    ids = [submit(broker, "sleep", "1000", cpus=cpus) for _ in range(3)]
    eventually(lambda: sum(t.status == states.RUNNING for t in broker.fetch(ids)) == 2)
    where = {workers_host(broker, t.id) for t in broker.fetch(ids) if t.status == states.RUNNING}
    assert where == {"ash", "birch"}
    aque("kill", "-9", *map(str, ids))


@pytest.mark.parametrize("place", ["here", "there"])
def test_a_kill_reaches_a_task_on_another_host(
    broker: Broker, ash: Host, birch: Host, place: str
) -> None:
    before = set(ash.pids())
    id = on(broker, "ash", "sh", "-c", "sleep 1000 & sleep 1000")
    family = eventually(lambda: len(new := set(ash.pids()) - before) == 3 and new)
    if place == "here":
        aque("kill", str(id))
    else:
        assert birch.start("kill", str(id)).wait(20) == 0
    assert fetch(broker, id).status == states.CANCELLED
    assert not [pid for pid in family if is_alive(pid)]


def test_a_signal_reaches_a_task_on_another_host(broker: Broker, ash: Host) -> None:
    id = on(broker, "ash", "sh", "-c", "trap 'echo heard; exit 0' USR1; while :; do sleep 0.02; done")
    running(broker, id)
    aque("kill", "--signal-only", "-USR1", str(id))
    assert ended(broker, id).status == states.SUCCESS
    assert output(broker, id) == b"heard\n"


def test_what_ran_on_a_host_that_vanished_runs_elsewhere(
    broker: Broker, ash: Host, birch: Host
) -> None:
    lost = [on(broker, "ash,birch", "sh", "-c", FIRST_STAYS) for _ in range(3)]
    eventually(lambda: all(output(broker, id, attempt=1) for id in lost))
    there = [id for id in lost if workers_host(broker, id) == "ash"]
    stays = [id for id in lost if workers_host(broker, id) == "birch"]
    ash.vanish()
    for id in there:
        task = ended(broker, id, 30)
        assert (task.status, task.attempt) == (states.SUCCESS, 2)
        assert output(broker, id) == b"2 birch\n"
        (first,) = attempts(broker, id)
        assert (first["status"], first["attempt"]) == ("requeued", 1)
    assert [fetch(broker, id).attempt for id in stays] == [1] * len(stays)
    assert {worker.host for worker in broker.workers()} == {"birch"}
