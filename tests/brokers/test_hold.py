"""The contract: pause and resume, of what waits and of what runs."""

from __future__ import annotations

import signal

import pytest
from support import child, claim, claimable, enlist, group, prototype, run, status

from aque import states
from aque.brokers.base import Broker
from aque.brokers.questions import Request


def test_a_paused_task_is_not_claimed_until_it_is_resumed(broker: Broker, worker: int) -> None:
    a, b = broker.create([prototype(), prototype()])
    assert broker.pause([a]) == [a]
    assert status(broker, a) == states.PAUSED
    assert claimable(broker, worker) == [b]
    assert broker.resume([a]) == [a]
    assert claimable(broker, worker) == [a, b]


def test_what_is_paused_already_or_has_ended_is_not_changed(broker: Broker, worker: int) -> None:
    held, done = broker.create([prototype(status=states.PAUSED), prototype()])
    run(broker, worker, done)
    assert broker.pause([held, done, 999]) == []
    assert broker.resume([done, 999]) == []
    assert broker.resume([held]) == [held]
    assert broker.resume([held]) == []


def test_a_running_task_is_stopped_and_stays_running(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype()])
    (task,) = claim(broker, worker)
    assert broker.pause([id]) == [id]
    (stopped,) = broker.fetch([id])
    assert (stopped.status, stopped.worker) == (states.RUNNING, worker)
    assert stopped.stopped_at is not None
    assert broker.requests(worker) == [Request(id, task.attempt, signal.SIGSTOP)]
    assert broker.pause([id]) == []
    assert broker.requests(worker) == []
    assert broker.resume([id]) == [id]
    assert broker.fetch([id])[0].stopped_at is None
    assert broker.requests(worker) == [Request(id, task.attempt, signal.SIGCONT)]
    assert broker.resume([id]) == []


def test_what_is_being_killed_is_not_stopped(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype()])
    claim(broker, worker)
    broker.cancel([id], signal.SIGTERM, 5.0)
    assert broker.pause([id]) == []


def test_a_requeued_task_is_stopped_no_more(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype()])
    (task,) = claim(broker, worker)
    broker.pause([id])
    broker.requeue([(id, task.attempt)], "its worker died")
    assert broker.fetch([id])[0].stopped_at is None
    claim(broker, enlist(broker))
    assert broker.fetch([id])[0].stopped_at is None


def test_what_is_retried_is_stopped_no_more(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype()])
    (task,) = claim(broker, worker)
    broker.pause([id])
    assert broker.requests(worker)
    broker.cancel([id], signal.SIGTERM, 5.0)
    broker.requeue([(id, task.attempt)], "its worker died")
    broker.retry([id])
    assert broker.fetch([id])[0].stopped_at is None


def test_a_paused_task_goes_on_counting_what_it_waits_for(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    (b,) = broker.create([prototype(after=(a,))])
    broker.pause([b])
    run(broker, worker, a)
    assert claimable(broker, worker) == []
    broker.resume([b])
    assert claimable(broker, worker) == [b]


@pytest.mark.parametrize("how", [states.ERROR, states.CANCELLED])
def test_a_paused_task_fails_with_what_it_needs(broker: Broker, worker: int, how: str) -> None:
    (a,) = broker.create([prototype()])
    (b,) = broker.create([prototype(after=(a,))])
    broker.pause([b])
    run(broker, worker, a, how)
    assert status(broker, b) == states.ERROR
    assert broker.resume([b]) == []


def test_a_paused_group_does_not_end_until_it_is_resumed(broker: Broker, worker: int) -> None:
    (parent,) = broker.create([group(status=states.PAUSED)])
    (id,) = broker.create([child(parent)])
    (after,) = broker.create([prototype(after=(parent,))])
    run(broker, worker, id)
    assert status(broker, parent) == states.PAUSED
    assert broker.resume([parent]) == [parent]
    assert status(broker, parent) == states.SUCCESS
    assert claimable(broker, worker) == [after]


def test_resuming_a_group_with_its_children_lets_them_run(broker: Broker, worker: int) -> None:
    (parent,) = broker.create([group(status=states.PAUSED)])
    ids = broker.create([child(parent), child(parent)])
    assert broker.pause([parent, *ids]) == ids
    assert broker.resume([parent, *ids]) == [parent, *ids]
    assert status(broker, parent) == states.PENDING
    assert claimable(broker, worker) == ids


def test_a_task_due_later_keeps_its_time_while_it_is_paused(broker: Broker, worker: int) -> None:
    past, future = broker.create([prototype(due_at=1.0), prototype(due_at=1e12)])
    broker.pause([past, future])
    assert claimable(broker, worker) == []
    assert broker.fetch([past])[0].due_at == 1.0
    broker.resume([past, future])
    assert claimable(broker, worker) == [past]
    assert broker.fetch([future])[0].due_at == 1e12


def test_a_resume_rings_for_the_workers(broker: Broker) -> None:
    (id,) = broker.create([prototype(status=states.PAUSED)])
    bells = broker.listen("ready")
    try:
        bells.drain()
        broker.resume([id])
        if bells.fileno() >= 0:
            assert "ready" in bells.drain()
    finally:
        bells.close()
