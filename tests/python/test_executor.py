"""The Executor in the situations that the standard library tests its own in, and beyond a crash."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import operator
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, as_completed, wait
from pathlib import Path

import called
import psutil
import pytest
from jobs import is_alive
from support import eventually, python, started_python, started_worker

import aque
from aque import errors, states
from aque.brokers.base import Broker
from aque.executor import Executor
from aque.prototype import Prototype


@pytest.fixture
def executor(broker: Broker) -> Iterator[Executor]:
    """An executor with a worker of its own, of two slots."""
    with Executor(broker, workers=2, cpus=0) as made:
        yield made


@pytest.fixture
def idle(broker: Broker) -> Iterator[Executor]:
    """An executor that nobody works for."""
    made = Executor(broker)
    yield made
    made.shutdown(cancel_futures=True)


def worker_of(executor: Executor) -> psutil.Process:
    (record,) = eventually(executor.queue.broker.workers)
    return psutil.Process(record.pid)


def test_who_waits_for_what_no_worker_runs_is_told_so_once(
    idle: Executor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    idle.submit(called.add, 1, 2)
    with Executor(str(tmp_path / "own.db"), workers=1, host="elsewhere") as executor:
        elsewhere = executor.submit(called.add, 1, 2)
        eventually(lambda: "aque-worker --broker" in caplog.text)
        eventually(lambda: f"--why {elsewhere.id} says why" in caplog.text)
        elsewhere.cancel()
    told = [record for record in caplog.records if "no worker" in record.getMessage()]
    assert [(record.name, record.levelname) for record in told] == 2 * [
        ("aque.executor", "WARNING")
    ]


# Results


def test_it_is_an_executor_and_its_futures_are_futures(executor: Executor) -> None:
    assert isinstance(executor, concurrent.futures.Executor)
    future = executor.submit(pow, 2, 8)
    assert isinstance(future, concurrent.futures.Future)
    assert future.result(20) == 256
    assert (future.done(), future.running(), future.cancelled()) == (True, False, False)
    assert executor.submit(called.echo, 1, key=2).result(20) == ((1,), {"key": 2})


def test_an_exception_is_raised_with_the_traceback_of_where_it_was(executor: Executor) -> None:
    future = executor.submit(called.fail, "no")
    with pytest.raises(ValueError, match="no") as caught:
        future.result(20)
    assert "in fail" in str(caught.value.__cause__)
    assert isinstance(future.exception(), ValueError)


def test_a_call_whose_process_ends_fails_alone(executor: Executor) -> None:
    broken = executor.submit(called.leave_at_once, 3)
    with pytest.raises(errors.TaskFailedError, match="exit status 3"):
        broken.result(20)
    crashed = executor.submit(called.crash)
    with pytest.raises(errors.TaskFailedError, match="SIGSEGV"):
        crashed.result(20)
    assert executor.submit(called.add, 1, 2).result(20) == 3


def test_what_cannot_be_encoded_neither_hangs_nor_breaks_anything(executor: Executor) -> None:
    with pytest.raises(errors.CodecError, match=r"args\[1\]: "):
        executor.submit(called.echo, 1, threading.Lock())
    with pytest.raises(errors.CodecError, match="write it with def"):
        executor.submit(lambda: None)
    with pytest.raises(errors.CodecError, match=r"result\['key'\]: "):
        executor.submit(called.unencodable).result(20)
    with pytest.raises(errors.UsageError, match="which cannot be called"):
        executor.submit(5)  # type: ignore[arg-type]
    with pytest.raises(errors.UsageError, match="for a command: submit_ex"):
        executor.submit("ls -l")  # type: ignore[arg-type]
    assert executor.submit(called.add, 1, 2).result(20) == 3


def test_a_future_among_the_arguments_is_waited_for_and_replaced(executor: Executor) -> None:
    first = executor.submit(called.add, 1, 2)
    second = executor.submit(called.echo, first, more=[{"key": first}])
    assert second.result(20) == ((3,), {"more": [{"key": 3}]})
    failed = executor.submit(called.fail, "no")
    between = executor.submit(called.add, failed, 1)
    with pytest.raises(errors.DependencyFailedError, match=f"task {failed.id}") as caught:
        executor.submit(called.add, between, 1).result(20)
    assert repr(caught.value.__cause__) == "ValueError('no')"


def test_a_future_of_another_queue_is_refused(idle: Executor, tmp_path: Path) -> None:
    other = aque.Queue(str(tmp_path / "other.db"))
    future = other.submit(called.add, 1, 2)
    with pytest.raises(errors.UsageError, match="is in another queue"):
        idle.submit(called.add, future, 1)
    other.broker.close()


# Waiting


def test_wait_as_completed_and_asyncio_take_them(executor: Executor) -> None:
    futures = [executor.submit(called.add, n, n) for n in range(20)]
    assert wait(futures, 20).not_done == set()
    assert sorted(f.result() for f in as_completed(futures, 20)) == [2 * n for n in range(20)]

    async def gather() -> list[int]:
        made = [asyncio.wrap_future(executor.submit(called.add, n, 1)) for n in range(5)]
        return await asyncio.gather(*made)

    assert asyncio.run(gather()) == [1, 2, 3, 4, 5]


def test_a_thousand_futures_and_many_waiters_need_one_thread(executor: Executor) -> None:
    before = threading.active_count()
    futures = executor.submit_many([{"func": called.add, "args": (n, 1)} for n in range(1000)])
    seen: list[int] = []
    waiters = [
        threading.Thread(target=lambda f=f: seen.append(f.result(60))) for f in futures[-10:]
    ]
    for waiter in waiters:
        waiter.start()
    assert threading.active_count() <= before + 10
    assert [future.result(60) for future in futures] == list(range(1, 1001))
    for waiter in waiters:
        waiter.join(20)
    assert sorted(seen) == list(range(991, 1001))


def test_a_result_that_takes_long_times_out(executor: Executor, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    future = executor.submit(called.print_and_wait, str(gate))
    with pytest.raises(TimeoutError):
        future.result(0.01)
    eventually(future.running)
    assert not future.cancel()  # it runs
    gate.touch()
    assert future.result(20) is None


def test_callbacks_are_called_and_may_fail(
    executor: Executor, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[object] = []
    future = executor.submit(called.add, 1, 2)

    def fail(_: object) -> None:
        raise RuntimeError("in a callback")

    with caplog.at_level(logging.ERROR, "concurrent.futures"):
        future.add_done_callback(fail)
        future.add_done_callback(seen.append)
        future.result(20)
        eventually(lambda: seen == [future])
    assert "in a callback" in caplog.text
    future.add_done_callback(seen.append)  # done already: at once
    assert seen == [future, future]
    assert executor.submit(called.add, 1, 2).result(20) == 3


def test_what_befalls_one_future_keeps_no_other_from_its_end(
    executor: Executor, caplog: pytest.LogCaptureFixture
) -> None:
    calls = [{"func": called.add, "args": (n, 1)} for n in range(6)]
    left, interrupted, settled, *others = executor.submit_many(calls)
    left.add_done_callback(lambda _: sys.exit(3))
    interrupted.add_done_callback(lambda _: called.interrupt())
    settled.set_result(7)
    assert [future.result(20) for future in others] == [4, 5, 6]
    assert executor.submit(called.add, 1, 2).result(20) == 3
    assert [future.result(20) for future in (left, interrupted, settled)] == [1, 2, 7]
    eventually(lambda: "what is bound to futures failed" in caplog.text)


# Map


def test_map_keeps_the_order_whatever_the_chunks(executor: Executor) -> None:
    for size in (1, 3, 100):
        given = list(executor.map(operator.mul, range(10), range(10), chunksize=size))
        assert given == [n * n for n in range(10)]
    assert list(executor.map(operator.mul, [], [])) == []
    for wrong in (0, 2.0, True, "2"):
        with pytest.raises(ValueError, match="chunksize must be 1 or more, not "):
            executor.map(operator.mul, [1], [1], chunksize=wrong)  # type: ignore[arg-type]


def test_map_raises_in_its_place_and_times_out(executor: Executor) -> None:
    results = executor.map(operator.floordiv, [4, 4, 4], [2, 0, 1])
    assert next(results) == 2
    with pytest.raises(ZeroDivisionError):
        next(results)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        list(executor.map(time.sleep, [0, 5], timeout=0.3))
    assert time.monotonic() - started < 4
    executor.queue.kill([t.id for t in executor.queue.broker.search() if not t.is_complete])


def test_a_map_that_is_given_up_cancels_what_waits(idle: Executor) -> None:
    results = idle.map(called.add, range(5), range(5), timeout=0.01)
    with pytest.raises(TimeoutError):
        next(results)
    tasks = idle.queue.broker.search()
    assert [task.status for task in tasks[1:]] == [states.CANCELLED] * 4


# Cancelling


def test_a_waiting_call_is_cancelled_for_good(idle: Executor) -> None:
    future = idle.submit(called.add, 1, 2)
    seen: list[object] = []
    future.add_done_callback(seen.append)
    assert future.cancel()
    assert (future.cancelled(), future.done(), future.cancel()) == (True, True, True)
    with pytest.raises(CancelledError):
        future.result(0)
    assert seen == [future]
    assert wait([future], 5).done == {future}
    assert idle.queue.future(future.id).cancelled()


def test_a_task_that_somebody_else_kills_is_a_cancelled_future(idle: Executor) -> None:
    future, removed = idle.submit(called.add, 1, 2), idle.submit(called.add, 1, 2)
    others = aque.Queue(idle.queue.broker.to_url())
    others.kill([future.id, removed.id])
    others.remove([removed.id])
    with pytest.raises(CancelledError):
        future.result(20)
    with pytest.raises((CancelledError, errors.TaskNotFoundError)):
        removed.result(20)
    others.broker.close()


# Shutting down


def test_after_shutdown_nothing_is_taken_and_all_has_ended(broker: Broker) -> None:
    with Executor(broker, workers=2) as executor:
        futures = [executor.submit(called.add, n, n) for n in range(20)]
        process = worker_of(executor)
    assert all(future.done() for future in futures)
    assert not is_alive(process.pid)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(called.add, 1, 2)
    executor.shutdown()


def test_a_shutdown_waits_for_futures_that_are_just_being_resolved(broker: Broker) -> None:
    """Of a batch that is told of at once, each with an exception that is to be fetched."""
    called_back: list[object] = []
    executor = Executor(broker, workers=2)
    first = executor.submit(called.fail, "no")
    futures = [executor.submit(called.echo, first) for _ in range(1000)]
    for future in futures:
        future.add_done_callback(called_back.append)
    first.exception()
    executor.shutdown()
    assert all(future.done() for future in futures)
    eventually(lambda: len(called_back) == 1000)


def test_a_shutdown_that_does_not_wait_lets_what_was_submitted_end(broker: Broker) -> None:
    executor = Executor(broker, workers=1)
    futures = [executor.submit(called.add, n, n) for n in range(5)]
    process = worker_of(executor)
    executor.shutdown(wait=False)
    assert [future.result(20) for future in futures] == [0, 2, 4, 6, 8]
    eventually(lambda: not is_alive(process.pid))


def test_what_is_being_stored_at_a_shutdown_is_heard_of(
    idle: Executor, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = broker.create
    begun, is_shut = threading.Event(), threading.Event()

    def create_late(prototypes: Sequence[Prototype]) -> list[int]:
        begun.set()
        assert is_shut.wait(20)
        return create(prototypes)

    monkeypatch.setattr(broker, "create", create_late)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        submitted = pool.submit(idle.submit_many, [{"func": called.add, "args": (1, 2)}])
        assert begun.wait(20)
        idle.shutdown(wait=False)
        is_shut.set()
    (future,) = submitted.result()
    broker.cancel([future.id], signal.SIGTERM, 0)
    with pytest.raises(CancelledError):
        future.result(20)


def test_a_shutdown_can_cancel_what_waits(broker: Broker, tmp_path: Path) -> None:
    executor = Executor(broker, workers=1)
    gate = tmp_path / "gate"
    first = executor.submit(called.print_and_wait, str(gate))
    eventually(first.running)
    others = [executor.submit(called.print_and_wait, str(gate)) for _ in range(3)]
    executor.shutdown(wait=False, cancel_futures=True)
    assert [future.cancelled() for future in others] == [True] * 3
    gate.touch()
    assert first.result(20) is None
    executor.shutdown()


def test_an_executor_that_was_shut_down_leaves_nothing_open(
    own_queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/true")  # for a worker that ends at once
    before = psutil.Process().num_fds()
    for _ in range(3):
        with Executor(own_queue, workers=1):
            pass
    eventually(lambda: psutil.Process().num_fds() <= before)


def test_an_executor_that_is_dropped_leaves_no_worker(broker: Broker) -> None:
    executor = Executor(broker, workers=1)
    future = executor.submit(called.add, 1, 2)
    process = worker_of(executor)
    del executor
    assert future.result(20) == 3
    eventually(lambda: not is_alive(process.pid))


PROGRAM = """
import sys, aque
sys.path.insert(0, sys.argv[1])
import called
executor = aque.Executor(workers=int(sys.argv[2]))
print(*[executor.submit(called.add, n, n).id for n in range(5)], flush=True)
"""
HERE = str(Path(__file__).parent)


def test_a_program_that_ends_without_shutdown_waits_for_its_own_worker(broker: Broker) -> None:
    done = python(PROGRAM, HERE, "1")
    assert done.stderr == ""
    tasks = broker.fetch([int(word) for word in done.stdout.split()])
    assert [task.status for task in tasks] == [states.SUCCESS] * 5


def test_without_own_workers_a_program_ends_and_its_tasks_stay(broker: Broker) -> None:
    ids = [int(word) for word in python(PROGRAM, HERE, "0").stdout.split()]
    assert set(broker.statuses(ids).values()) == {states.PENDING}
    with started_worker(broker):
        queue = aque.Queue(broker)
        assert [queue.future(id).result(20) for id in ids] == [0, 2, 4, 6, 8]


# Forks

FORKED = """
import os, sys, time, aque
sys.path.insert(0, sys.argv[1])
import called
gate, *acts = sys.argv[2:]
with aque.Executor(workers=1) as executor:
    future = executor.submit(called.print_and_wait, gate)
    for act in acts:
        child = os.fork()
        if not child:
            try:
                exec(act)
            except aque.errors.UsageError as error:
                print(error)
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    open(gate, "w").close()
    assert future.result() is None
    child = os.fork()
    if not child:
        time.sleep(60)
os.kill(child, 9)
"""


REFUSED = "this executor is of the process that this one is a fork of; make another here\n"


def test_a_fork_of_the_program_and_its_executor_do_not_wait_for_each_other(
    broker: Broker, tmp_path: Path
) -> None:
    acts = (
        "pass",
        "executor.shutdown(cancel_futures=True); del executor",
        "executor.submit(called.add, 1, 1)",
        "executor.map(called.add, [1], [1])",
    )
    done = python(FORKED, HERE, str(tmp_path / "gate"), *acts, timeout=20)
    assert (done.stdout, done.stderr) == (2 * REFUSED, "")


def test_a_fork_hears_of_what_it_inherited_and_leaves_it_alone(
    executor: Executor, tmp_path: Path
) -> None:
    (tmp_path / "open").touch()
    gates = [str(tmp_path / name) for name in ("open", "gate", "gate", "gate")]
    results = executor.map(called.print_and_wait, gates)
    assert next(results) is None
    future = executor.submit(called.add, 1, 2)
    assert future.id
    pid = os.fork()
    if not pid:
        status = 1
        try:
            del results  # which would else cancel what waits
            assert not future.done()
            (tmp_path / "gate").touch()
            status = future.result(20) if future.exception(20) is None else 1
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    assert list(results) == [None] * 3


# Surviving


def test_a_program_that_is_killed_loses_no_task_and_leaves_no_worker(broker: Broker) -> None:
    code = (
        PROGRAM + "executor.submit(called.print_and_wait, '/nowhere')\n"
        "import os, time\nfork = os.fork()\nif fork: print(fork, flush=True)\ntime.sleep(60)"
    )
    with started_python(code, HERE, "1") as program:
        assert program.stdout is not None
        ids = [int(word) for word in program.stdout.readline().split()]
        fork = int(program.stdout.readline())  # it has open what the program has
        (record,) = eventually(broker.workers)
        eventually(lambda: any(t.status == states.RUNNING for t in broker.search()))
        program.send_signal(signal.SIGKILL)
    assert len(ids) == 5
    aque.Queue(broker).kill([ids[-1] + 1])  # which it would else wait for
    eventually(lambda: not is_alive(record.pid), 20)
    os.kill(fork, signal.SIGKILL)
    with started_worker(broker):
        queue = aque.Queue(broker)
        assert [queue.future(id).result(20) for id in ids] == [0, 2, 4, 6, 8]


def test_a_worker_that_dies_is_started_again_and_its_tasks_run(
    executor: Executor, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    future = executor.submit(called.print_and_wait, str(gate))
    eventually(future.running)
    os.kill(worker_of(executor).pid, signal.SIGKILL)
    gate.touch()
    assert future.result(30) is None
    assert executor.submit(called.add, 1, 2).result(20) == 3


def test_an_executor_whose_worker_cannot_live_is_broken(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    executor = Executor(broker, workers=1)
    future = executor.submit(called.add, 1, 2)
    with pytest.raises(concurrent.futures.BrokenExecutor, match="stay in the queue"):
        future.result(30)
    with pytest.raises(concurrent.futures.BrokenExecutor):
        executor.submit(called.add, 1, 2)
    assert broker.statuses([future.id]) == {future.id: states.PENDING}
    executor.shutdown()


def test_a_queue_that_is_removed_ends_what_waits_for_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, gate = tmp_path / "q.db", tmp_path / "gate"
    with Executor(str(path), workers=1) as executor:
        executor.queue.broker.set_settings({"poll": 0.1})
        future = executor.submit(called.print_and_wait, str(gate))
        eventually(future.running)
        for file in (path, *tmp_path.glob("q.db-*")):
            file.unlink()
        with pytest.raises(errors.ReplacedError, match="moved, removed or replaced"):
            future.result(20)
        gate.touch()
    assert not path.exists()
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("workers", [-1, True, 1.5, "2"])
def test_a_number_of_workers_that_is_none_is_refused(broker: Broker, workers: object) -> None:
    with pytest.raises(errors.UsageError, match="workers must be"):
        Executor(broker, workers=workers)  # type: ignore[arg-type]


def test_defaults_hold_for_every_task(idle: Executor, broker: Broker) -> None:
    executor = Executor(broker, priority=7, name="mine")
    task = broker.fetch([executor.submit(called.add, 1, 2).id])[0]
    assert (task.priority, task.name, task.cwd) == (7, "mine", os.getcwd())
    with pytest.raises(errors.UsageError, match="no key 'prioritty'"):
        Executor(broker, prioritty=7)
    executor.shutdown(cancel_futures=True)
