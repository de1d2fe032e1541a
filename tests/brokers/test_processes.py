"""The contract: many processes at one queue, and what dies in the middle of a transaction."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

from support import claim, claimable, end, enlist, prototype, started_python, status

from aque import states
from aque.brokers.base import Broker

CLAIM_ALL = """
import sys
from support import claim, end, enlist
from aque import brokers
broker = brokers.from_url(sys.argv[1], durable=False)
worker = enlist(broker)
print("ready", flush=True)
sys.stdin.readline()
misses = 0
while misses < 3:
    tasks = claim(broker, worker, 3)
    misses += not tasks
    broker.finish([end(task) for task in tasks])
    print(*[task.id for task in tasks], flush=True)
broker.close()
"""

WRITE_FOREVER = """
import sys
from support import claim, end, enlist, prototype
from aque import brokers
broker = brokers.from_url(sys.argv[1], durable=False)
worker = enlist(broker)
while True:
    print(*broker.create([prototype(environ={"A": "1"}) for _ in range(5)]), flush=True)
    broker.finish([end(task) for task in claim(broker, worker, 3)])
"""

CREATE_QUEUE = """
import sys
from support import prototype
from aque import brokers
print("ready", flush=True)
sys.stdin.readline()
broker = brokers.from_url(sys.argv[1], durable=False)
print(*broker.create([prototype()]), flush=True)
broker.close()
"""

HOLD_AND_STOP = """
import sys
from support import enlist, take
from aque import brokers
broker = brokers.from_url(sys.argv[1], durable=False)
def choose(offer):
    chosen = take(5)(offer)
    print("inside", flush=True)
    sys.stdin.readline()
    return chosen
broker.claim(enlist(broker), choose)
"""


def test_four_processes_claim_each_of_two_thousand_tasks_once(broker: Broker) -> None:
    ids = broker.create([prototype() for _ in range(2000)])
    with ExitStack() as stack:
        processes = [stack.enter_context(python(CLAIM_ALL, broker)) for _ in range(4)]
        outputs = together(processes)
    claimed = Counter(int(word) for output in outputs for word in output.split())
    assert claimed == Counter(ids)
    assert set(broker.statuses(ids).values()) == {states.SUCCESS}
    assert {task.attempt for task in broker.fetch(ids)} == {1}
    assert all(output.split() for output in outputs), "each got some"


def test_several_processes_race_to_make_the_same_queue(make_broker: Callable[[], Broker]) -> None:
    made = make_broker()
    url = made.to_url()
    for attempt in range(3):
        fresh = url.replace("queue.db", f"fresh{attempt}.db")
        with ExitStack() as stack:
            options = {"stdin": -1}
            processes = [
                stack.enter_context(started_python(CREATE_QUEUE, fresh, **options, **paths()))
                for _ in range(6)
            ]
            outputs = together(processes)
        assert sorted(int(output) for output in outputs) == [1, 2, 3, 4, 5, 6]


def test_a_process_killed_at_any_moment_loses_nothing_it_was_told_of(
    broker: Broker, worker: int, check_storage: Callable[[Broker], None]
) -> None:
    for tenths in range(6):
        with started_python(WRITE_FOREVER, broker.to_url(), **paths()) as process:
            assert process.stdout is not None
            told = process.stdout.readline() + process.stdout.readline()
            for _ in range(tenths * 7):
                told += process.stdout.readline()
            process.kill()
            told += process.stdout.read()
            process.wait()
        lines = told.decode().splitlines(keepends=True)
        ids = [int(word) for line in lines if line.endswith("\n") for word in line.split()]
        assert broker.existing(ids[0], ids[-1]) == ids
        check_storage(broker)
    waits = [task.id for task in broker.search() if task.status == states.PENDING]
    assert sorted(claimable(broker, worker)) == waits


def test_a_process_killed_inside_a_transaction_leaves_nothing_of_it(
    broker: Broker, worker: int
) -> None:
    ids = broker.create([prototype() for _ in range(5)])
    assert broker.last_id() == ids[-1]
    with python(HOLD_AND_STOP, broker) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"inside\n"
        assert set(broker.statuses(ids).values()) == {states.PENDING}, "readers are not held up"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert [task.id for task in claim(broker, worker, 9)] == ids


def test_whoever_comes_second_waits_for_the_first(broker: Broker, worker: int) -> None:
    ids = broker.create([prototype() for _ in range(5)])
    with python(CLAIM_ALL, broker) as second:
        assert second.stdout.readline() == b"ready\n"
        with python(HOLD_AND_STOP, broker) as first:
            assert first.stdout.readline() == b"inside\n"
            go(second)
            go(first)
            assert second.stdout.read().split() == []
            assert first.wait(30) == second.wait(30) == 0
    assert set(broker.statuses(ids).values()) == {states.RUNNING}


def test_a_fork_uses_no_connection_of_its_parent(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    (task,) = claim(broker, worker)
    child = os.fork()
    if child == 0:
        failed = 1
        try:
            broker.create([prototype(name="child's")])
            failed = int(status(broker, a) != states.RUNNING)
            broker.close()
        finally:
            os._exit(failed)
    _, code = os.waitpid(child, 0)
    assert code == 0
    assert broker.finish([end(task)]) == [True]
    assert [task.name for task in broker.search()] == [None, "child's"]


def test_a_fork_that_closes_at_once_leaves_its_parent_what_it_has(
    broker: Broker, worker: int
) -> None:
    broker.create([prototype()])
    child = os.fork()
    if child == 0:
        failed = 1
        try:
            broker.close()
            failed = int(len(broker.search()) != 1)
        finally:
            os._exit(failed)
    assert os.waitpid(child, 0)[1] == 0
    assert len(claim(broker, worker)) == 1


def test_threads_share_a_broker(broker: Broker) -> None:
    from threading import Thread

    ids = broker.create([prototype() for _ in range(200)])
    claimed: list[int] = []

    def work() -> None:
        worker = enlist(broker)
        while tasks := claim(broker, worker, 2):
            claimed.extend(task.id for task in tasks)
        broker.close()

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(claimed) == ids


# What these need


def paths() -> dict[str, object]:
    """Let a child import what the tests import."""
    directory = os.path.dirname(os.path.dirname(__file__))
    return {"env": {**os.environ, "PYTHONPATH": directory}}


def python(code: str, broker: Broker):  # type: ignore[no-untyped-def]
    return started_python(code, broker.to_url(), stdin=-1, **paths())


def together(processes):  # type: ignore[no-untyped-def]
    """Let processes go that have said they are ready; return what they print."""
    for process in processes:
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        go(process)
    outputs = [process.stdout.read().decode() for process in processes]
    assert [process.wait(30) for process in processes] == [0] * len(processes)
    return outputs


def go(process) -> None:  # type: ignore[no-untyped-def]
    process.stdin.write(b"\n")
    process.stdin.flush()
