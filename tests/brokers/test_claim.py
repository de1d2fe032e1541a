"""The contract: claiming, and what a claim may choose from."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from support import (
    claim,
    claimable,
    end,
    enlist,
    eventually,
    group,
    prototype,
    requirements,
    run,
    status,
    take,
)

from aque import states
from aque.brokers.base import Broker
from aque.brokers.claims import Candidate, Offer
from aque.report import Report
from aque.requirements import Requirements


def test_a_claimed_task_runs_and_is_claimed_by_nobody_else(broker: Broker, worker: int) -> None:
    other = enlist(broker)
    (id,) = broker.create([prototype()])
    before = time.time()
    (task,) = claim(broker, worker, 5)
    assert (task.id, task.status, task.worker, task.attempt) == (id, states.RUNNING, worker, 1)
    assert before - 1 < (task.started_at or 0) < time.time() + 1
    assert claim(broker, other, 5) == []
    assert [task.id for task in broker.running(worker)] == [id]
    assert broker.running(other) == []


def test_the_best_come_first_by_priority_then_duration_then_id(broker: Broker, worker: int) -> None:
    fields = [(1000, 0), (1000, 9), (5, 99), (2000, 0), (1000, 9), (-1, 0), (1000, 0.5)]
    ids = broker.create([prototype(priority=p, duration=d) for p, d in fields])
    expected = [3, 1, 4, 6, 0, 2, 5]
    assert claimable(broker, worker) == [ids[n] for n in expected]
    assert [task.id for task in claim(broker, worker, 3)] == [ids[n] for n in expected[:3]]


def test_a_kind_offers_its_best_first_and_no_more_than_asked(broker: Broker, worker: int) -> None:
    ids = broker.create([prototype(priority=n) for n in range(10)])
    seen: list[Sequence[Candidate]] = []

    def choose(offer: Offer) -> Sequence[int]:
        (kind,) = offer.kinds
        seen.append(offer.heads(kind, 3))
        return []

    broker.claim(worker, choose)
    assert [candidate.id for candidate in seen[0]] == [ids[9], ids[8], ids[7]]
    assert seen[0][0] == Candidate(ids[9], 9, 0.0)


def test_equal_requirements_are_one_kind(broker: Broker, worker: int) -> None:
    needs = [requirements(), requirements(cpus=2), requirements(memory=1), requirements()]
    broker.create([prototype(requirements=need) for need in needs])
    broker.create([prototype(requirements=requirements(cpus=2))])
    kinds = offered_kinds(broker, worker)
    assert sorted(kinds, key=repr) == sorted(needs[:3], key=repr)


def test_a_kind_of_which_nothing_is_ready_is_not_offered(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype(requirements=requirements(cpus=2))])
    broker.create(
        [prototype(after=(a,)), prototype(status=states.PAUSED), prototype(due_at=4e9),
         group(after=(a,)), prototype(status=states.CREATING)]
    )  # fmt: skip
    assert [kind.cpus for kind in offered_kinds(broker, worker)] == [2.0]
    claim(broker, worker)
    assert offered_kinds(broker, worker) == []


def test_what_is_reserved_for_a_worker_says_so(broker: Broker, worker: int) -> None:
    broker.create([prototype(requirements=requirements(reserved=worker))])
    assert [kind.reserved for kind in offered_kinds(broker, worker)] == [worker]


def test_many_are_claimed_as_they_are_however_much_alike(broker: Broker, worker: int) -> None:
    needs = requirements(cpus=2)
    odd: list[dict[str, Any]] = [
        {}, {"name": "odd"}, {"cwd": "/\udcff"}, {"timeout": 1.5}, {"priority": 2, "kwargs": "{}"},
        {"requirements": needs}, {"stdin": "/\udcff", "retry_delay": 0.1},
    ]  # fmt: skip
    calls: list[dict[str, Any]] = [{"args": f"[{n}]", "cwd": "/\udcff"} for n in range(5)]
    for fields in [odd, calls, [*odd, *calls], [*calls, *odd, *odd, {"args": None}]]:
        ids = broker.create([prototype(**each) for each in fields])
        claimed = claim(broker, worker, len(ids))
        assert sorted(task.id for task in claimed) == ids
        assert claimed == broker.fetch([task.id for task in claimed])


def test_a_group_is_never_claimed(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    broker.create([group(after=(a,))])
    assert claimable(broker, worker) == [a]


def test_a_task_that_is_not_due_waits_and_the_claim_says_until_when(
    broker: Broker, worker: int
) -> None:
    late, soon = time.time() + 1000, time.time() + 500
    broker.create([prototype(due_at=late), prototype(due_at=soon)])
    brought = broker.claim(worker, take(5))
    assert list(brought.tasks) == []
    assert brought.next_due_at == pytest.approx(soon)


def test_a_task_that_is_due_is_like_any_other(broker: Broker, worker: int) -> None:
    past, _ = broker.create([prototype(due_at=time.time() - 1, priority=2000), prototype()])
    brought = broker.claim(worker, take(1))
    assert [task.id for task in brought.tasks] == [past]
    assert brought.next_due_at is None


def test_a_group_with_a_start_time_ends_when_that_has_come(broker: Broker, worker: int) -> None:
    soon = time.time() + 0.2
    timer, past = broker.create([group(due_at=soon), group(due_at=time.time() - 1)])
    (after,) = broker.create([prototype(after=(timer,))])
    assert status(broker, timer) == states.PENDING
    brought = broker.claim(worker, take(5))
    assert (list(brought.tasks), brought.next_due_at) == ([], pytest.approx(soon))
    assert status(broker, past) == states.SUCCESS
    assert [t.id for t in eventually(lambda: broker.claim(worker, take(5)).tasks)] == [after]
    assert status(broker, timer) == states.SUCCESS


def test_a_group_whose_time_has_come_still_waits_for_its_tasks(broker: Broker, worker: int) -> None:
    (first,) = broker.create([prototype()])
    (late,) = broker.create([group(due_at=time.time() - 1, after=(first,))])
    run(broker, worker, first)
    broker.claim(worker, take(0))
    assert status(broker, late) == states.SUCCESS


def test_now_never_goes_back(broker: Broker, worker: int) -> None:
    seen: list[float] = []

    def choose(offer: Offer) -> Sequence[int]:
        seen.append(offer.now)
        return []

    before = time.monotonic()
    broker.claim(worker, choose)
    assert before <= seen[0] <= time.monotonic()


def test_each_claim_is_the_next_attempt(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype()])
    for attempt in (1, 2, 3):
        (task,) = claim(broker, worker)
        assert (task.id, task.attempt) == (id, attempt)
        broker.requeue([(id, attempt)], "again")
    run(broker, worker, id)
    broker.retry([id])
    assert claim(broker, worker)[0].attempt == 5


def test_what_runs_on_a_host_is_used_by_all_its_workers(broker: Broker) -> None:
    one, two = enlist(broker), enlist(broker)
    elsewhere = enlist(broker, boot="other")
    contained = enlist(broker, pid_namespace="other")
    needs = requirements(cpus=1.5, memory=100)
    broker.create([prototype(requirements=needs) for _ in range(3)])
    claim(broker, one)
    claim(broker, two)
    claim(broker, elsewhere)
    assert used(broker, one) == used(broker, two) == (3.0, 200)
    assert used(broker, elsewhere) == (1.5, 100)
    assert used(broker, contained) == (0, 0)


def test_what_has_ended_is_used_no_more(broker: Broker, worker: int) -> None:
    (id,) = broker.create([prototype(requirements=requirements(cpus=2))])
    run(broker, worker, id)
    assert used(broker, worker) == (0, 0)


def test_a_claim_records_before_it_chooses(broker: Broker, worker: int) -> None:
    first, second = broker.create([prototype(), prototype(after=())])
    (after,) = broker.create([prototype(after=(first, second))])
    tasks = claim(broker, worker, 2)
    report = Report(ends=[end(task) for task in tasks])
    assert [task.id for task in broker.claim(worker, take(9), report).tasks] == [after]


def test_a_choice_that_fails_claims_and_records_nothing(broker: Broker, worker: int) -> None:
    broker.create([prototype(), prototype()])
    (task,) = claim(broker, worker)

    def choose(offer: Offer) -> Sequence[int]:
        raise RuntimeError("a bug of the policy")

    with pytest.raises(RuntimeError):
        broker.claim(worker, choose, Report(ends=[end(task)]))
    assert [running.id for running in broker.running(worker)] == [task.id]
    assert len(claim(broker, worker, 5)) == 1


def test_kinds_are_still_known_after_they_went_and_others_came(
    make_broker: Callable[[], Broker],
) -> None:
    here, there = make_broker(), make_broker()
    worker = enlist(here)
    for cpus in (1, 2, 3, 1):
        (id,) = there.create([prototype(requirements=requirements(cpus=cpus))])
        assert [kind.cpus for kind in offered_kinds(here, worker)] == [cpus]
        there.remove([id])


def offered_kinds(broker: Broker, worker: int) -> list[Requirements]:
    found: list[Requirements] = []

    def choose(offer: Offer) -> Sequence[int]:
        found.extend(offer.kinds.values())
        return []

    broker.claim(worker, choose)
    return found


def used(broker: Broker, worker: int) -> tuple[float, int]:
    found: list[tuple[float, int]] = []

    def choose(offer: Offer) -> Sequence[int]:
        found.append(offer.used())
        return []

    broker.claim(worker, choose)
    return found[0]
