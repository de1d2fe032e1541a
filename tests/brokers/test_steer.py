"""The contract: cancel, signal, retry and remove."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
from support import (
    child,
    claim,
    claimable,
    end,
    enlist,
    group,
    prototype,
    requirements,
    run,
    status,
)

from aque import states
from aque.brokers.base import Broker
from aque.brokers.questions import Request
from aque.errors import DependencyResolutionError, StateError, TaskNotFoundError
from aque.prototype import Earlier

TERM = 15


# Cancel


@pytest.mark.parametrize("state", [states.PENDING, states.PAUSED])
def test_what_waits_is_cancelled_at_once(broker: Broker, worker: int, state: str) -> None:
    (a,) = broker.create([prototype(status=state)])
    after, after_any = broker.create([prototype(after=(a,)), prototype(after_any=(a,))])
    broker.cancel([a], TERM, 5.0)
    (task,) = broker.fetch([a])
    assert (task.status, task.started_at) == (states.CANCELLED, None)
    assert broker.fetch([after])[0].cause == a
    assert claimable(broker, worker) == [after_any]


def test_what_runs_is_cancelled_by_its_worker(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    (task,) = claim(broker, worker)
    broker.cancel([a], TERM, 2.5)
    assert status(broker, a) == states.RUNNING
    wanted = [Request(a, task.attempt, TERM, 2.5)]
    assert broker.requests(worker) == wanted
    assert broker.requests(worker) == wanted, "a cancel comes again each time"
    assert broker.requests(enlist(broker)) == []
    broker.finish([end(task, states.CANCELLED)])
    assert broker.requests(worker) == []
    assert status(broker, a) == states.CANCELLED


def test_a_second_cancel_can_be_more_severe(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    (task,) = claim(broker, worker)
    broker.cancel([a], TERM, 60.0)
    broker.cancel([a], 9, 0.0)
    assert broker.requests(worker) == [Request(a, task.attempt, 9, 0.0)]


def test_a_cancelled_group_takes_its_children_with_it(broker: Broker, worker: int) -> None:
    parent, one, inner, two = broker.create(
        [group(), child(Earlier(0)), child(Earlier(0), pattern=None), child(Earlier(2))]
    )
    broker.cancel([parent], TERM, 5.0)
    found = broker.statuses([parent, one, inner, two])
    assert set(found.values()) == {states.CANCELLED}


def test_a_cancelled_group_ends_after_its_running_children(broker: Broker, worker: int) -> None:
    parent, one, two = broker.create([group(), child(Earlier(0)), child(Earlier(0))])
    (running,) = claim(broker, worker)
    broker.cancel([parent], TERM, 5.0)
    assert broker.statuses([parent, one, two]) == {
        parent: states.PENDING,
        one: states.RUNNING,
        two: states.CANCELLED,
    }
    assert [request.id for request in broker.requests(worker)] == [one]
    broker.finish([end(running, states.CANCELLED)])
    assert status(broker, parent) == states.CANCELLED
    assert broker.fetch([parent])[0].error == "killed"  # a child had run


def test_a_group_that_is_put_together_is_cancelled_when_it_is_committed(broker: Broker) -> None:
    (parent,) = broker.create([group(status=states.CREATING)])
    (one,) = broker.create([child(parent)])
    broker.cancel([parent], TERM, 5.0)
    assert broker.statuses([parent, one]) == {parent: states.CREATING, one: states.CANCELLED}
    broker.commit([parent])
    assert status(broker, parent) == states.CANCELLED


def test_cancelling_what_has_ended_or_is_gone_changes_nothing(broker: Broker, worker: int) -> None:
    a, gone = broker.create([prototype(), prototype()])
    run(broker, worker, a)
    broker.remove([gone])
    before = broker.fetch([a])
    broker.cancel([a, gone, 999], TERM, 5.0)
    broker.cancel_waiting([a, gone, 999])
    assert broker.fetch([a]) == before


def test_cancel_waiting_leaves_alone_what_runs(broker: Broker, worker: int) -> None:
    a, b = broker.create([prototype(), prototype()])
    claim(broker, worker)
    broker.cancel_waiting([a, b])
    assert broker.statuses([a, b]) == {a: states.RUNNING, b: states.CANCELLED}
    assert broker.requests(worker) == []


def test_cancel_waiting_leaves_alone_a_group_with_unfinished_children(
    broker: Broker, worker: int
) -> None:
    parent, one = broker.create([group(), child(Earlier(0))])
    broker.cancel_waiting([parent])
    assert broker.statuses([parent, one]) == {parent: states.PENDING, one: states.PENDING}
    run(broker, worker, one)
    assert status(broker, parent) == states.SUCCESS


def test_cancel_waiting_does_not_undo_a_cancel(broker: Broker, worker: int) -> None:
    parent, _ = broker.create([group(), child(Earlier(0))])
    (running,) = claim(broker, worker)
    broker.cancel([parent], TERM, 5.0)
    broker.cancel_waiting([parent])
    broker.finish([end(running, states.CANCELLED)])
    assert status(broker, parent) == states.CANCELLED
    before = broker.fetch([parent])
    broker.cancel_waiting([parent])
    assert broker.fetch([parent]) == before


# Signals


def test_a_signal_is_passed_on_once(broker: Broker, worker: int) -> None:
    a, b = broker.create([prototype(), prototype()])
    (task,) = claim(broker, worker)
    assert broker.signal([a, b, 999], 10) == [a]
    assert broker.signal([a], 12) == [a]
    assert broker.requests(enlist(broker)) == []
    assert broker.requests(worker) == [Request(a, 1, 10), Request(a, 1, 12)]
    assert broker.requests(worker) == []
    assert broker.fetch([a])[0].status == task.status


def test_a_signal_for_an_attempt_never_reaches_the_next(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    (task,) = claim(broker, worker)
    broker.signal([a], 10)
    broker.requeue([(a, task.attempt)], "again")
    claim(broker, worker)
    assert [request for request in broker.requests(worker) if request.attempt != 1] == []


# Retry


@pytest.mark.parametrize("how", [states.SUCCESS, states.ERROR, states.CANCELLED])
def test_what_has_ended_runs_again_under_its_id(broker: Broker, worker: int, how: str) -> None:
    (a,) = broker.create([prototype()])
    run(broker, worker, a, how, error="so it was", exit_signal=3, result="1", exception="2")
    broker.retry([a])
    (task,) = broker.fetch([a])
    assert (task.status, task.attempt) == (states.PENDING, 1)
    assert (task.error, task.exit_status, task.exit_signal) == (None, None, None)
    assert (task.result, task.exception, task.ended_at, task.worker) == (None,) * 4
    (task,) = claim(broker, worker)
    assert (task.id, task.attempt) == (a, 2)


@pytest.mark.parametrize("state", [states.CREATING, states.PENDING, states.PAUSED])
def test_what_has_not_ended_cannot_be_retried(broker: Broker, state: str) -> None:
    (a,) = broker.create([prototype(status=state)])
    with pytest.raises(StateError, match=f"task {a} is {state}"):
        broker.retry([a])


def test_what_runs_cannot_be_retried_nor_what_is_gone(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    claim(broker, worker)
    with pytest.raises(StateError, match="running"):
        broker.retry([a])
    with pytest.raises(TaskNotFoundError, match="999"):
        broker.retry([999])


def test_a_cancel_is_forgotten_by_a_retry(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    (task,) = claim(broker, worker)
    broker.cancel([a], TERM, 5.0)
    broker.finish([end(task, states.CANCELLED)])
    broker.retry([a])
    claim(broker, worker)
    assert broker.requests(worker) == []


def test_a_retry_revives_what_failed_only_because_of_it(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    b, c = broker.create([prototype(after=(a,)), prototype(after=(Earlier(0),))])
    run(broker, worker, a, states.ERROR)
    broker.retry([a])
    for task in broker.fetch([b, c]):
        assert (task.status, task.cause, task.error) == (states.PENDING, None, None)
    for id in (a, b, c):
        assert claimable(broker, worker) == [id]
        run(broker, worker, id)


def test_a_retry_revives_a_diamond_that_then_runs_through(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    b, c, d = broker.create(
        [prototype(after=(a,)), prototype(after=(a,)), prototype(after=(Earlier(0), Earlier(1)))]
    )
    run(broker, worker, a, states.ERROR)
    broker.retry([a])
    assert broker.fetch([d])[0].waiting == 2
    for id in (a, b, c, d):
        run(broker, worker, id)
    assert status(broker, d) == states.SUCCESS


def test_a_retry_leaves_failed_what_failed_by_another_too(broker: Broker, worker: int) -> None:
    a, b = broker.create([prototype(), prototype()])
    (c,) = broker.create([prototype(after=(a, b))])
    run(broker, worker, a, states.ERROR)
    run(broker, worker, b, states.ERROR)
    broker.retry([a])
    assert status(broker, c) == states.ERROR
    broker.retry([b])
    assert broker.fetch([c])[0].waiting == 2


def test_a_retry_leaves_failed_what_failed_by_another_that_was_removed(
    broker: Broker, worker: int
) -> None:
    a, b = broker.create([prototype(), prototype()])
    (c,) = broker.create([prototype(after=(a, b))])
    run(broker, worker, b, states.ERROR)
    run(broker, worker, a, states.ERROR)
    broker.remove([b])
    broker.retry([a])
    assert status(broker, c) == states.ERROR


def test_a_retry_leaves_cancelled_what_was_cancelled(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    (b,) = broker.create([prototype(after=(a,))])
    broker.cancel([b], TERM, 5.0)
    run(broker, worker, a, states.ERROR)
    broker.retry([a])
    assert status(broker, b) == states.CANCELLED


def test_a_retried_child_revives_its_parent_and_what_waits_for_that(
    broker: Broker, worker: int
) -> None:
    parent, one, two = broker.create([group(), child(Earlier(0)), child(Earlier(0))])
    (after,) = broker.create([prototype(after=(parent,))])
    run(broker, worker, one, states.ERROR)
    run(broker, worker, two)
    broker.retry([one])
    assert broker.statuses([parent, after]) == {parent: "pending", after: "pending"}
    run(broker, worker, one)
    assert status(broker, parent) == states.SUCCESS
    assert claimable(broker, worker) == [after]


def test_a_retried_child_takes_the_mark_off_a_parent_that_still_waits(
    broker: Broker, worker: int
) -> None:
    parent, one, two = broker.create([group(), child(Earlier(0)), child(Earlier(0))])
    run(broker, worker, one, states.ERROR)
    broker.retry([one])
    run(broker, worker, one)
    run(broker, worker, two)
    assert status(broker, parent) == states.SUCCESS


def test_a_retried_parent_takes_its_failed_children_along_and_theirs(
    broker: Broker, worker: int
) -> None:
    top, middle, good, bad, killed = broker.create(
        [group(), child(Earlier(0), pattern=None), *[child(Earlier(1)) for _ in range(3)]]
    )
    run(broker, worker, good)
    broker.cancel([killed], signal.SIGTERM, 1.0)
    run(broker, worker, bad, states.ERROR)
    assert status(broker, top) == states.ERROR
    broker.retry([top])
    assert broker.statuses([top, middle, good, bad, killed]) == {
        top: "pending", middle: "pending", good: "success", bad: "pending", killed: "pending",
    }  # fmt: skip
    run(broker, worker, bad)
    run(broker, worker, killed)
    assert status(broker, top) == states.SUCCESS


def test_a_retried_parent_whose_child_needs_what_failed_elsewhere_is_refused(
    broker: Broker, worker: int
) -> None:
    other, parent, one = broker.create(
        [prototype(), group(), child(Earlier(1), after=(Earlier(0),))]
    )
    run(broker, worker, other, states.ERROR)
    with pytest.raises(StateError, match=f"task {one} needs .*; aque-retry -r {parent} "):
        broker.retry([parent])
    assert status(broker, parent) == states.ERROR


def test_retrying_a_success_holds_up_what_still_waits_and_nothing_else(
    broker: Broker, worker: int
) -> None:
    (a,) = broker.create([prototype()])
    b, c, d = broker.create([prototype(after=(a,)) for _ in range(3)])
    run(broker, worker, a)
    run(broker, worker, b)
    claimed = broker.claim(worker, lambda offer: [c]).tasks
    broker.retry([a])
    assert broker.statuses([b, c, d]) == {b: "success", c: "running", d: "pending"}
    assert claimable(broker, worker) == [a]
    broker.finish([end(task) for task in claimed])
    run(broker, worker, a)
    assert claimable(broker, worker) == [d]


def test_a_retry_is_refused_whose_dependency_has_failed(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    (b,) = broker.create([prototype(after=(a,))])
    run(broker, worker, a, states.ERROR)
    before = broker.fetch([a, b])
    with pytest.raises(StateError, match=f"aque-retry -r {b}"):
        broker.retry([b])
    assert broker.fetch([a, b]) == before
    broker.retry([b, a])
    assert broker.fetch([b])[0].waiting == 1


def test_a_retry_is_refused_whose_dependency_was_removed(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    (b,) = broker.create([prototype(after=(a,))])
    run(broker, worker, a)
    run(broker, worker, b, states.ERROR)
    broker.remove([a])
    with pytest.raises(DependencyResolutionError, match=f"task {a}"):
        broker.retry([b])


def test_a_retry_is_all_or_nothing(broker: Broker, worker: int) -> None:
    a, b = broker.create([prototype(), prototype()])
    run(broker, worker, a)
    with pytest.raises(StateError):
        broker.retry([a, b])
    assert status(broker, a) == states.SUCCESS


def test_a_group_whose_children_all_succeeded_is_through_again_at_once(
    broker: Broker, worker: int
) -> None:
    parent, one = broker.create([group(), child(Earlier(0))])
    run(broker, worker, one)
    broker.retry([parent])
    assert status(broker, parent) == states.SUCCESS
    broker.retry([parent, one])
    assert broker.statuses([parent, one]) == {parent: "pending", one: "pending"}


def test_a_task_reserved_for_a_worker_that_has_ended_goes_to_any(
    broker: Broker, worker: int
) -> None:
    gone = enlist(broker)
    needs = requirements(cpus=2, reserved=gone)
    a, b = broker.create([prototype(requirements=needs), prototype(requirements=needs)])
    run(broker, gone, a, states.ERROR)
    run(broker, gone, b, states.ERROR)
    broker.retry([a])
    assert broker.fetch([a])[0].reserved == gone
    run(broker, gone, a, states.ERROR)
    broker.dismiss(gone)
    broker.retry([a, b])
    assert [(task.reserved, task.cpus) for task in broker.fetch([a, b])] == [(None, 2)] * 2
    broker.remove([a])
    assert claimable(broker, worker) == [b]


# Remove


def test_what_is_removed_is_gone(broker: Broker, worker: int) -> None:
    a, b, c = broker.create([prototype() for _ in range(3)])
    run(broker, worker, a)
    broker.remove([a, b])
    assert broker.existing(0, 2**62) == [c]
    with pytest.raises(TaskNotFoundError):
        broker.fetch([a])
    with pytest.raises(TaskNotFoundError, match=str(a)):
        broker.remove([c, a])
    assert broker.existing(0, 2**62) == [c]


def test_a_group_is_removed_with_its_children(broker: Broker, worker: int) -> None:
    parent, inner, _ = broker.create([group(), child(Earlier(0), pattern=None), child(Earlier(1))])
    with pytest.raises(StateError, match=f"needed by task {parent}"):
        broker.remove([inner])
    broker.remove([parent])
    assert broker.last_id() is None


def test_what_runs_cannot_be_removed_nor_what_is_above_it(broker: Broker, worker: int) -> None:
    parent, one = broker.create([group(), child(Earlier(0))])
    claim(broker, worker)
    for id in (one, parent):
        with pytest.raises(StateError, match=f"task {one} is running"):
            broker.remove([id])
    assert broker.existing(0, 2**62) == [parent, one]


@pytest.mark.parametrize("ended", [True, False])
def test_what_an_unfinished_task_waits_for_cannot_be_removed(
    broker: Broker, worker: int, ended: bool
) -> None:
    (a,) = broker.create([prototype()])
    (b,) = broker.create([prototype(after=(a,))])
    if ended:
        run(broker, worker, a)
    with pytest.raises(StateError, match=f"task {a} is needed by task {b}"):
        broker.remove([a])
    broker.remove([a, b])
    assert broker.last_id() is None


def test_what_only_ended_tasks_waited_for_can_be_removed(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    (b,) = broker.create([prototype(after=(a,))])
    run(broker, worker, a)
    run(broker, worker, b)
    broker.remove([a])
    assert status(broker, b) == states.SUCCESS


def test_an_environment_goes_with_its_last_task(broker: Broker, worker: int) -> None:
    a, b = broker.create([prototype(environ={"A": "1"}) for _ in range(2)])
    environment = broker.fetch([a])[0].environment
    assert environment is not None
    broker.remove([a])
    assert broker.environ(environment) == {"A": "1"}
    broker.remove([b])
    (c,) = broker.create([prototype(environ={"A": "1"})])
    assert broker.fetch([c])[0].environment != environment


def test_acts_on_more_tasks_than_fit_into_a_statement(
    broker: Broker, worker: int, check_storage: Callable[[Broker], None]
) -> None:
    count = 1100
    top, *children = broker.create([group(), *[child(Earlier(0)) for _ in range(count)]])
    family = [top, *children]
    assert broker.pause(family) == family
    assert claim(broker, worker, count) == []
    assert broker.resume(family) == family
    assert broker.prioritize(family, 7) == family
    stopped = [task.id for task in claim(broker, worker, 300)]
    assert broker.pause(stopped) == stopped
    assert len(broker.requests(worker)) == 300
    broker.resume(stopped)
    broker.cancel([top], TERM, 5.0)
    assert broker.count_children([top]) == {top: {"running": 300, "cancelled": count - 300}}
    broker.finish([end(task, states.CANCELLED) for task in broker.fetch(stopped)])
    assert broker.statuses([top]) == {top: states.CANCELLED}
    broker.retry([top])
    assert set(broker.statuses(family).values()) == {states.PENDING}
    assert [task.waiting for task in broker.fetch([top, children[-1]])] == [count, 0]
    assert broker.fetch([stopped[0]])[0].attempt == 1
    check_storage(broker)
    broker.remove([top])
    assert broker.existing(0, 10_000) == []
    check_storage(broker)
