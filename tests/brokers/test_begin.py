"""What a worker began before the queue heard of it; and groups that are put together again."""

from __future__ import annotations

import dataclasses

import pytest
from support import (
    child,
    claim,
    claimable,
    end,
    enlist,
    group,
    prototype,
    recount_uses,
    requirements,
    run,
    status,
)  # fmt: skip

from aque import states
from aque.brokers.base import Broker
from aque.brokers.claims import Limit
from aque.errors import StateError, TaskNotFoundError
from aque.prototype import Prototype
from aque.report import Begin, Report
from aque.task import Task


def reserved(broker: Broker, worker: int, count: int) -> tuple[int, list[Task]]:
    """Return a group in the making, and so many children reserved for a worker."""
    (parent,) = broker.create([group(status=states.CREATING, owner=worker)])
    need = requirements(cpus=0.0, reserved=worker)
    ids = broker.create_like(
        child(parent, requirements=need), [f'["true","{n}"]' for n in range(count)]
    )
    return parent, broker.fetch(ids)


def like(worker: int) -> Prototype:
    """Return what children of a group that is put together again are like."""
    return prototype(requirements=requirements(cpus=2.0, reserved=worker), timeout=7.0, retries=3)


def begin(task: Task, worker: int) -> Begin:
    return Begin(task.id, task.attempt + 1, worker, 5.0)


def test_tasks_made_alike_differ_in_their_arguments_alone(broker: Broker) -> None:
    worker = enlist(broker)
    parent, tasks = reserved(broker, worker, 3)
    assert [task.args for task in tasks] == [f'["true","{n}"]' for n in range(3)]
    assert len({task.changed for task in tasks}) == 1  # they came at once
    plain = [dataclasses.replace(task, id=0, args=None, changed=0) for task in tasks]
    assert plain[0] == plain[1] == plain[2]
    assert (broker.fetch([parent])[0].waiting, tasks[0].parent) == (3, parent)
    recount_uses(broker)


def test_what_began_is_running_and_what_ended_too_is_through(broker: Broker) -> None:
    worker = enlist(broker)
    parent, tasks = reserved(broker, worker, 4)
    begun = [begin(task, worker) for task in tasks[:3]]
    first = dataclasses.replace(tasks[0], attempt=1)
    ends = [end(first), end(dataclasses.replace(tasks[1], attempt=1), states.ERROR)]
    assert broker.record(Report(ends=ends, begun=begun)) == [True] * 5
    found = broker.fetch([task.id for task in tasks])
    assert [task.status for task in found] == ["success", "error", "running", "pending"]
    assert [(task.attempt, task.worker, task.started_at) for task in found[:3]] == [
        (1, worker, 5.0)
    ] * 3
    assert broker.fetch([parent])[0].waiting == 2
    assert broker.record(Report(ends=ends, begun=begun)) == [False] * 5


def test_what_was_cancelled_before_it_was_known_to_run_stays_so(broker: Broker) -> None:
    worker = enlist(broker)
    _, (first, second) = reserved(broker, worker, 2)
    broker.cancel([first.id, second.id], 15, 0.0)
    ended = [end(dataclasses.replace(first, attempt=1))]
    begun = [begin(first, worker), begin(second, worker)]
    assert broker.record(Report(ends=ended, begun=begun)) == [False] * 3
    assert [status(broker, id) for id in (first.id, second.id)] == [states.CANCELLED] * 2


def test_what_was_paused_before_it_was_known_to_run_is_stopped(broker: Broker) -> None:
    worker = enlist(broker)
    _, (first, second) = reserved(broker, worker, 2)
    broker.pause([first.id, second.id])
    ended = [end(dataclasses.replace(second, attempt=1))]
    begun = [begin(first, worker), begin(second, worker)]
    assert broker.record(Report(ends=ended, begun=begun)) == [True] * 3
    (found,) = broker.fetch([first.id])
    assert (found.status, found.stopped_at is not None) == (states.RUNNING, True)
    assert [request.id for request in broker.requests(worker)] == [first.id]
    assert status(broker, second.id) == states.SUCCESS


def test_a_reopened_group_runs_what_did_not_succeed(broker: Broker) -> None:
    worker, later = enlist(broker), enlist(broker)
    parent, tasks = reserved(broker, worker, 4)
    run(broker, worker, tasks[0].id)
    run(broker, worker, tasks[1].id, states.ERROR)
    broker.cancel([tasks[2].id], 15, 0.0)
    (follower,) = broker.create([prototype(after=(parent,))])
    broker.dismiss(worker)
    broker.cancel([parent], 15, 0.0)
    broker.commit([parent])
    assert [status(broker, id) for id in (parent, follower)] == [states.CANCELLED, states.ERROR]
    broker.reopen(parent, like(later))
    (found,) = broker.fetch([parent])
    assert (found.status, found.owner, found.waiting) == (states.CREATING, later, 3)
    assert status(broker, follower) == states.PENDING
    ids = [task.id for task in tasks]
    assert claimable(broker, later) == ids[1:]
    assert {task.reserved for task in broker.fetch(ids[1:])} == {later}
    recount_uses(broker)
    for id in ids[1:]:
        run(broker, later, id)
    broker.commit([parent])
    assert status(broker, parent) == states.SUCCESS


def test_a_group_at_work_is_not_reopened(broker: Broker) -> None:
    worker = enlist(broker)
    parent, tasks = reserved(broker, worker, 2)
    with pytest.raises(StateError, match="still at work"):
        broker.reopen(parent, like(worker))
    broker.commit([parent])
    claim(broker, worker)
    with pytest.raises(StateError, match="still at work"):
        broker.reopen(parent, like(worker))
    with pytest.raises(StateError, match="no run"):
        broker.reopen(tasks[0].id, like(worker))
    with pytest.raises(TaskNotFoundError):
        broker.reopen(99, like(worker))


def test_a_limit_of_a_tasks_own_goes_with_it(broker: Broker) -> None:
    (task,) = broker.create([group()])
    broker.set_limits({"own": 2}, task=task)
    broker.set_limits({"own": 3, "other": 1})
    assert broker.limits() == {"other": Limit(1, 0), "own": Limit(3, 0)}
    broker.remove([task])
    assert broker.limits() == {"other": Limit(1, 0)}
