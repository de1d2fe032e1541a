"""Waiting for tasks to end."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread

import pytest
from support import child, claim, end, enlist, group, prototype, run, started_worker

from aque import brokers, listening, states, waiting
from aque.brokers.base import Broker
from aque.errors import TaskNotFoundError
from aque.prototype import Earlier
from aque.waiting import wait_complete


@pytest.fixture
def worker(broker: Broker) -> int:
    return enlist(broker)


def meanwhile(act: Callable[[Broker], object], url: str) -> Thread:
    """Act in another thread, with a broker of its own."""

    def run_it() -> None:
        broker = brokers.from_url(url, durable=False)
        act(broker)
        broker.close()

    thread = Thread(target=run_it)
    thread.start()
    return thread


def test_nothing_is_waited_for_no_time(broker: Broker) -> None:
    assert wait_complete(broker, []) == {}
    assert wait_complete(broker, [], any_one=True) == {}


def test_what_has_ended_is_not_waited_for(broker: Broker, worker: int) -> None:
    a, b = broker.create([prototype(), prototype()])
    run(broker, worker, a)
    run(broker, worker, b, states.ERROR)
    assert wait_complete(broker, [a, b, a]) == {a: states.SUCCESS, b: states.ERROR}


def test_a_timeout_returns_how_things_are(broker: Broker, worker: int) -> None:
    a, b = broker.create([prototype(), prototype()])
    run(broker, worker, a)
    begin = time.monotonic()
    expected = {a: states.SUCCESS, b: states.PENDING}
    assert wait_complete(broker, [a, b], timeout=0.05) == expected
    assert wait_complete(broker, [a, b], timeout=0) == expected
    assert time.monotonic() - begin < 5


def test_one_that_has_ended_is_enough_where_any_will_do(broker: Broker, worker: int) -> None:
    a, b = broker.create([prototype(), prototype()])
    assert wait_complete(broker, [a, b], timeout=0.02, any_one=True)[b] == states.PENDING
    run(broker, worker, b)
    found = wait_complete(broker, [a, b], timeout=60, any_one=True)
    assert found == {a: states.PENDING, b: states.SUCCESS}


@pytest.mark.parametrize("count", [1, waiting._FEW, waiting._FEW + 50])
def test_ends_by_others_are_heard_of(broker: Broker, worker: int, count: int) -> None:
    ids = broker.create([prototype() for _ in range(count)])

    def work(other: Broker) -> None:
        while tasks := claim(other, worker, 7):
            other.finish([end(task) for task in tasks])

    thread = meanwhile(work, broker.to_url())
    assert wait_complete(broker, ids, timeout=60) == dict.fromkeys(ids, states.SUCCESS)
    thread.join()


def test_a_real_workers_ends_are_heard_of(broker: Broker) -> None:
    ids = broker.create([group(), *[child(Earlier(0), cwd="/") for _ in range(5)]])
    with started_worker(broker):
        assert wait_complete(broker, ids, timeout=60) == dict.fromkeys(ids, states.SUCCESS)


def test_a_task_that_does_not_exist_is_not_waited_for(broker: Broker) -> None:
    (a,) = broker.create([prototype()])
    with pytest.raises(TaskNotFoundError, match="999"):
        wait_complete(broker, [a, 999])


@pytest.mark.parametrize("count", [1, waiting._FEW + 50])
@pytest.mark.parametrize("how", ["remove", "reset"])
def test_what_is_removed_meanwhile_is_not_waited_for_any_more(
    broker: Broker, count: int, how: str
) -> None:
    ids = broker.create([prototype() for _ in range(count)])
    seen = []

    def look() -> None:
        seen.append(1)
        if len(seen) == 2:
            if how == "remove":
                broker.remove(ids[:1])
            else:
                broker.reset()

    with pytest.raises(TaskNotFoundError, match=f"task {ids[0]}$"):
        wait_complete(broker, ids, timeout=60, on_poll=look)


def test_something_is_done_at_the_begin_and_at_each_poll(broker: Broker) -> None:
    (a,) = broker.create([prototype()])
    calls: list[float] = []
    wait_complete(broker, [a], timeout=1.3, on_poll=lambda: calls.append(time.monotonic()))
    assert len(calls) == 2
    assert calls[1] - calls[0] >= 1.0


def test_a_storm_of_rings_is_one_look_each_twenty_milliseconds() -> None:
    pace = listening.Pace()
    begin = time.monotonic()
    for _ in range(20):
        pace.keep()
    assert 0.15 < time.monotonic() - begin < 5
