"""The contract: ends, requeues, and what else a worker reports."""

from __future__ import annotations

import os

import pytest
from jobs import attempts
from support import claim, claimable, end, enlist, prototype, run, status, take_ids

from aque import states
from aque.brokers.base import Broker
from aque.report import Chunk, End, Report, Start
from aque.task import Task


def test_an_end_is_stored_as_it_was(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype()])
    (task,) = claim(broker, worker)
    given = {
        "ended_at": 5.5, "exit_status": None, "exit_signal": 9, "result": "1", "exception": "2",
        "error": "three", "user_time": 0.1, "system_time": 0.2, "max_rss": 4096,
    }  # fmt: skip
    assert broker.finish([End(id, task.attempt, states.ERROR, **given)]) == [True]
    (task,) = broker.fetch([id])
    assert {key: getattr(task, key) for key in given} == given
    assert task.is_complete


@pytest.mark.parametrize("how", [states.SUCCESS, states.ERROR, states.CANCELLED])
def test_only_the_first_end_of_an_attempt_counts(broker: Broker, worker: int, how: str) -> None:
    broker.create([prototype()])
    (task,) = claim(broker, worker)
    ends = [end(task, how), end(task, states.SUCCESS), end(task, states.PENDING)]
    assert broker.finish(ends) == [True, False, False]
    assert broker.finish(ends[1:]) == [False, False]
    assert status(broker, task.id) == how


def test_a_late_end_of_an_earlier_attempt_changes_nothing(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype()])
    (first,) = claim(broker, worker)
    assert broker.requeue([(id, first.attempt)], "its worker died") == [True]
    assert broker.finish([end(first)]) == [False]
    assert status(broker, id) == states.PENDING
    (second,) = claim(broker, enlist(broker))
    assert broker.finish([end(first, states.ERROR)]) == [False]
    assert broker.requeue([(id, first.attempt)], "late") == [False]
    assert status(broker, id) == states.RUNNING
    returned = [end(each, exit_status=None) for each in (first, first, first, second)]
    assert broker.finish(returned) == [False, False, False, True]
    assert status(broker, id) == states.SUCCESS


def test_each_of_many_ends_is_of_its_own_task(broker: Broker, worker: int) -> None:
    broker.create([prototype() for _ in range(40)])
    claimed = claim(broker, worker, 40)
    told = [
        {"result": f'"{n}"', "user_time": n / 8, "system_time": n / 4, "max_rss": n or None}
        for n in range(40)
    ]
    ends = [end(task, exit_status=None, **each) for task, each in zip(claimed, told)]
    assert broker.finish([*ends[::2], *ends[1::2]]) == [True] * 40
    for task, each in zip(broker.fetch([task.id for task in claimed]), told):
        assert each.items() <= task.__dict__.items()
        assert task.started_at == claimed[0].started_at


def test_ends_of_what_never_ran_or_is_gone_change_nothing(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype()])
    ends = [End(id, 0, states.SUCCESS, 1.0), End(id, 1, states.ERROR, 1.0)]
    assert broker.finish([*ends, End(999, 1, states.SUCCESS, 1.0)]) == [False] * 3
    assert claimable(broker, worker) == [id]


def test_one_late_end_does_not_spoil_the_others(broker: Broker, worker: int) -> None:
    broker.create([prototype(), prototype()])
    one, two = claim(broker, worker, 2)
    broker.finish([end(one)])
    assert broker.finish([end(one), end(two)]) == [False, True]
    assert status(broker, two.id) == states.SUCCESS


def test_a_success_lets_run_what_waited_for_it(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    (b,) = broker.create([prototype(after=(a,))])
    (c,) = broker.create([prototype(after=(a, b))])
    run(broker, worker, a)
    assert claimable(broker, worker) == [b]
    run(broker, worker, b)
    assert claimable(broker, worker) == [c]


@pytest.mark.parametrize("how", [states.ERROR, states.CANCELLED])
def test_a_failure_fails_all_that_needed_it_in_the_same_moment(
    broker: Broker, worker: int, how: str
) -> None:
    (a,) = broker.create([prototype()])
    (b,) = broker.create([prototype(after=(a,))])
    c, d = broker.create([prototype(after=(b,), status=states.PAUSED), prototype(after_any=(b,))])
    run(broker, worker, a, how)
    for task in broker.fetch([b, c]):
        assert (task.status, task.cause, task.started_at) == (states.ERROR, a, None)
    assert claimable(broker, worker) == [d]


def test_a_long_chain_of_failures_needs_no_stack(broker: Broker, worker: int) -> None:
    (first,) = broker.create([prototype()])
    last = first
    for _ in range(5):
        last = broker.create(chain(last, 1000))[-1]
    run(broker, worker, first, states.ERROR)
    assert broker.fetch([last])[0].cause == first
    broker.retry([first])
    assert status(broker, last) == states.PENDING


def chain(after: int, length: int) -> list[object]:
    from aque.prototype import Earlier

    return [prototype(after=(Earlier(n - 1) if n else after,)) for n in range(length)]


# Requeue


def test_a_requeued_attempt_is_pending_and_forgets_its_process(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype()])
    (task,) = claim(broker, worker)
    broker.record(Report(starts=[Start(id, task.attempt, 4242, 77, 4242)]))
    assert broker.requeue([(id, task.attempt)], "stopped") == [True]
    (task,) = broker.fetch([id])
    assert (task.status, task.worker, task.pid, task.session) == (states.PENDING, None, None, None)
    assert task.started_at is None
    assert broker.running(worker) == []
    assert claimable(broker, worker) == [id]


def test_an_attempt_is_requeued_once(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype()])
    (task,) = claim(broker, worker)
    assert broker.requeue([(id, task.attempt)] * 2, "twice") == [True, False]
    assert broker.requeue([(999, 1)], "never was") == [False]


def test_an_end_as_pending_is_a_requeue(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype()])
    (task,) = claim(broker, worker)
    assert broker.finish([end(task, states.PENDING)]) == [True]
    assert claimable(broker, worker) == [id]


def test_what_is_requeued_waits_again_for_what_is_retried_meanwhile(
    broker: Broker, worker: int
) -> None:
    (a,) = broker.create([prototype()])
    (b,) = broker.create([prototype(after=(a,))])
    run(broker, worker, a)
    (running,) = claim(broker, worker)
    broker.retry([a])
    assert status(broker, b) == states.RUNNING
    broker.requeue([(b, running.attempt)], "its worker died")
    assert claimable(broker, worker) == [a]
    run(broker, worker, a)
    assert claimable(broker, worker) == [b]


def test_what_is_requeued_fails_with_what_failed_meanwhile(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    (b,) = broker.create([prototype(after=(a,))])
    (c,) = broker.create([prototype(after=(b,))])
    run(broker, worker, a)
    (running,) = claim(broker, worker)
    broker.retry([a])
    run(broker, worker, a, states.ERROR)
    broker.requeue([(b, running.attempt)], "its worker died")
    assert broker.statuses([b, c]) == {b: states.ERROR, c: states.ERROR}
    assert broker.fetch([c])[0].cause == a


def test_what_was_cancelled_is_not_requeued_but_cancelled(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype()])
    (after,) = broker.create([prototype(after=(id,))])
    (task,) = claim(broker, worker)
    broker.cancel([id], 15, 5.0)
    broker.requeue([(id, task.attempt)], "its worker died")
    assert status(broker, id) == states.CANCELLED
    assert status(broker, after) == states.ERROR
    assert claimable(broker, worker) == []


# Reports


def test_a_start_is_recorded_for_the_running_attempt_only(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype()])
    (task,) = claim(broker, worker)
    broker.record(Report(starts=[Start(id, 1, 10, 11, 12), Start(id, 2, 20, 21, 22)]))
    (task,) = broker.fetch([id])
    assert (task.pid, task.pid_started, task.session) == (10, 11, 12)


def test_a_report_is_one_act(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype()])
    (task,) = claim(broker, worker)
    chunk = Chunk(id, 1, "stdout", 0, 1.0, b"hello")
    report = Report([end(task)], [Start(id, 1, os.getpid(), None, None)], [chunk])
    assert broker.record(report) == [True]
    (task,) = broker.fetch([id])
    assert (task.status, task.pid) == (states.SUCCESS, os.getpid())
    assert broker.output(id, 1)[0].data == b"hello"


# Retries


def attempt_of(broker: Broker, worker: int, id: int) -> Task:
    (task,) = broker.claim(worker, take_ids(id)).tasks
    return task


def test_a_retry_waits_for_its_time_and_keeps_how_the_attempt_ended(
    broker: Broker, worker: int
) -> None:
    (id,) = broker.create([prototype(retries=3)])
    (after,) = broker.create([prototype(after=(id,))])
    first = attempt_of(broker, worker, id)
    failed = end(first, states.PENDING, exit_status=7, error="seven", due_at=1e12)
    assert broker.finish([failed]) == [True]
    (task,) = broker.fetch([id])
    assert (task.status, task.attempt, task.retried, task.due_at) == (states.PENDING, 1, 1, 1e12)
    assert (task.worker, task.pid, task.started_at) == (None, None, None)
    assert status(broker, after) == states.PENDING
    assert claimable(broker, worker) == []
    (kept,) = attempts(broker, id)
    assert (kept["attempt"], kept["status"], kept["exit_status"]) == (1, states.ERROR, 7)
    assert (kept["error"], kept["worker"]) == ("seven", worker)


def test_a_retry_that_is_due_runs_as_the_next_attempt(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype(retries=3)])
    for number in range(3):
        task = attempt_of(broker, worker, id)
        assert (task.attempt, task.retried, task.due_at) == (number + 1, number, None)
        assert (task.exit_status, task.error, task.max_rss) == (None, None, None)
        assert broker.fetch([id]) == [task]
        broker.finish([end(task, states.PENDING, exit_status=number, max_rss=1, due_at=1.0)])
    run(broker, worker, id)
    assert [kept["exit_status"] for kept in attempts(broker, id)] == [0, 1, 2]
    assert broker.fetch([id])[0].attempt == 4


def test_the_next_claim_tells_when_a_retry_is_due(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype(retries=1)])
    task = attempt_of(broker, worker, id)
    broker.finish([end(task, states.PENDING, due_at=1e12)])
    assert broker.claim(worker, take_ids()).next_due_at == 1e12


def test_a_late_retry_changes_nothing(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype(retries=1)])
    task = attempt_of(broker, worker, id)
    broker.requeue([(id, task.attempt)], "its worker died")
    before = broker.fetch([id])
    assert broker.finish([end(task, states.PENDING, due_at=1e12)]) == [False]
    assert broker.fetch([id]) == before


def test_a_requeue_is_no_retry(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype(retries=1)])
    task = attempt_of(broker, worker, id)
    broker.requeue([(id, task.attempt)], "its worker died")
    assert broker.fetch([id])[0].retried == 0


def test_what_is_being_killed_is_not_retried(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype(retries=5)])
    task = attempt_of(broker, worker, id)
    broker.cancel([id], 15, 5.0)
    broker.finish([end(task, states.PENDING, due_at=1e12)])
    (task,) = broker.fetch([id])
    assert (task.status, task.error, task.due_at) == (states.CANCELLED, "killed", None)


def test_an_attempt_that_is_retried_keeps_when_it_ended(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype()])
    run(broker, worker, id, states.ERROR)
    (ended,) = broker.fetch([id])
    broker.retry([id])
    (attempt,) = attempts(broker, id)
    assert attempt["ended_at"] == ended.ended_at


def test_a_manual_retry_begins_counting_anew(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype(retries=1)])
    broker.finish([end(attempt_of(broker, worker, id), states.PENDING, due_at=1.0)])
    run(broker, worker, id, states.ERROR)
    broker.retry([id])
    (task,) = broker.fetch([id])
    assert (task.retried, task.due_at, task.retries) == (0, None, 1)
    assert claimable(broker, worker) == [id]
    assert [kept["attempt"] for kept in attempts(broker, id)] == [1, 2]


def test_a_paused_retry_keeps_its_time(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype(retries=1)])
    broker.finish([end(attempt_of(broker, worker, id), states.PENDING, due_at=1e12)])
    broker.pause([id])
    broker.resume([id])
    assert broker.fetch([id])[0].due_at == 1e12
    assert claimable(broker, worker) == []
