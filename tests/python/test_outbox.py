"""What an executor was given in a flood, and its queue is about to have."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, wait
from pathlib import Path

import called
import pytest
from support import enlist, eventually, started_python

from aque import errors, states
from aque.brokers.base import Broker
from aque.executor import Executor
from aque.outbox import Outbox
from aque.pending import Pending
from aque.prototype import Prototype

HERE = str(Path(__file__).parent)
FLOOD = """
import sys, time
sys.path.insert(0, sys.argv[1])
import aque, called
executor = aque.Executor()
found = [executor.submit(called.add, n, 1) for n in range(500)]
"""


@pytest.fixture
def idle(broker: Broker) -> Iterator[Executor]:
    """An executor that nobody works for."""
    made = Executor(broker)
    yield made
    made.shutdown(cancel_futures=True)


def test_a_flood_is_stored_in_order_though_nobody_asks(idle: Executor, broker: Broker) -> None:
    found = [idle.submit(called.add, n, 1) for n in range(500)]
    stored = eventually(lambda: len(all := broker.search()) == 500 and all)
    assert [future.id for future in found] == [task.id for task in stored]
    assert [task.args for task in stored] == [f"[{n},1]" for n in range(500)]


def test_an_id_is_that_of_a_stored_task(idle: Executor, broker: Broker) -> None:
    for future in [idle.submit(called.add, n, 1) for n in range(10)]:
        assert broker.fetch([future.id])[0].status == states.PENDING
    assert not future.running()


def test_a_call_alone_is_stored_when_submit_returns(idle: Executor, broker: Broker) -> None:
    idle.submit(called.add, 1, 1)
    assert len(broker.search()) == 1


def test_one_that_cannot_be_stored_spoils_no_other(idle: Executor, broker: Broker) -> None:
    gone = idle.submit(called.add, 1, 1)
    broker.remove([gone.id])
    found = [idle.submit(called.add, n, gone if n == 5 else 1) for n in range(10)]
    ids = [future.id for n, future in enumerate(found) if n != 5]
    assert [task.args for task in broker.fetch(ids)] == [f"[{n},1]" for n in range(10) if n != 5]
    assert isinstance(found[5].exception(20), errors.DependencyResolutionError)
    with pytest.raises(errors.DependencyResolutionError):
        _ = found[5].id
    assert not found[5].cancel()


def test_held_calls_can_be_cancelled_and_submitted_from_many_threads(idle: Executor) -> None:
    found = []

    def submit() -> None:
        found.extend(idle.submit(called.add, n, 1) for n in range(100))

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(future.cancel() for future in found)
    assert len({future.id for future in found}) == 800


def test_a_program_that_ends_leaves_the_whole_flood(broker: Broker) -> None:
    with started_python(FLOOD, HERE) as program:
        assert program.wait(20) == 0
    assert len(broker.search()) == 500


def test_a_killed_program_loses_nothing_whose_id_it_knew(broker: Broker) -> None:
    code = FLOOD + "print(found[-1].id, flush=True)\ntime.sleep(60)"
    with started_python(code, HERE) as program:
        assert program.stdout is not None
        last = int(program.stdout.readline())
        program.send_signal(signal.SIGKILL)
    assert [task.id for task in broker.search()][-1] == last
    assert len(broker.search()) == 500


def test_what_a_program_does_on_an_end_may_submit(broker: Broker) -> None:
    with Executor(broker, workers=1, cpus=0) as executor:
        more: list[Pending[int]] = []
        first = executor.submit(called.add, 1, 1)
        first.add_done_callback(
            lambda _: more.extend(executor.submit(called.add, n, 2) for n in (1, 2))
        )
        wait([first], 20)
        eventually(lambda: len(more) == 2)
        assert [future.result(20) for future in more] == [3, 4]


def test_a_child_stores_nothing_of_its_parent() -> None:
    stored: list[int] = []

    def store(items: Sequence[int]) -> Callable[[], object]:
        stored.extend(items)
        return lambda: None

    outbox = Outbox(store)
    outbox.put(1)
    with outbox._lock:  # so that what follows is held
        outbox._held.append(2)
        pid = os.fork()
        if not pid:
            outbox.flush()
            outbox.put(3)
            os._exit(0 if stored == [1, 3] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    outbox.flush()
    outbox.close()
    assert stored == [1, 2]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_another_thread_goes_on_after_what_a_program_raises_in_it() -> None:
    stored: list[int] = []

    def store(items: Sequence[int]) -> Callable[[], object]:
        stored.extend(items)
        return sys.exit

    outbox = Outbox(store)
    for number in range(2):
        outbox._stored_at = time.monotonic() + 0.2  # so that it is held
        outbox.put(number)
        eventually(lambda: outbox._thread is None)
    outbox.close()
    assert stored == [0, 1]


def test_who_ended_before_its_id_was_known_is_told_though_the_submitter_cannot_look(
    idle: Executor, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, results = broker.create, broker.results
    heard = threading.Event()

    def end_early(prototypes: Sequence[Prototype]) -> list[int]:
        ids = create(prototypes)
        broker.cancel(ids, signal.SIGTERM, 0)
        assert heard.wait(20)
        return ids

    def look(ids: Sequence[int]) -> dict[int, str | None]:
        if threading.current_thread() is threading.main_thread():
            raise errors.BrokerError("no room left")
        return results(ids)

    monkeypatch.setattr(broker, "create", end_early)
    monkeypatch.setattr(broker, "results", look)
    broker.bind("task_status.cancelled", lambda _: heard.set())
    with pytest.raises(CancelledError):
        idle.submit(called.add, 1, 1).result(20)


def test_a_call_that_was_to_be_stored_at_ctrl_c_ends(
    idle: Executor, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: object) -> list[int]:
        raise KeyboardInterrupt

    monkeypatch.setattr(broker, "create", interrupt)
    outbox = idle._core.waiting.outbox
    with outbox._lock:
        outbox._stored_at = time.monotonic() + 0.5  # so that it is held
        future = idle.submit(called.add, 1, 1)
        with pytest.raises(KeyboardInterrupt):
            _ = future.id
    with pytest.raises(BrokenExecutor, match="KeyboardInterrupt"):
        future.result(20)


def test_an_executor_that_is_collected_in_a_transaction_stores_what_it_held(
    broker: Broker,
) -> None:
    worker = enlist(broker)
    executor = Executor(broker)
    executor.itself = executor  # type: ignore[attr-defined]
    found = [executor.submit(called.add, n, 1) for n in range(10)]
    del executor
    broker.claim(worker, lambda offer: [gc.collect()][1:])
    assert all(future.cancel() for future in found)
