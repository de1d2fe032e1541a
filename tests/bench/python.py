"""Own the measure of the Python library: no-op calls end to end, beside huey and a process pool.

End to end is from the first submit until every result is in hand. huey stands for the queues in one
SQLite file; ProcessPoolExecutor keeps nothing, and is the ceiling. Pairs that are to be compared
take turns, so that each ratio is of the same minutes.
"""

from __future__ import annotations

import operator
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing import get_context

import peer_huey
import place
from rounds import interleave, median, percentile, timed
from table import milliseconds, show

import aque
from aque import Queue

_TASKS = 5000
_SLOTS = 2
_MANY = 100_000
_SAMPLES = 200
_CALL = {"func": operator.truth, "args": [1]}


def run(tasks: int | None, rounds: int) -> None:
    """Python calls beside huey and ProcessPoolExecutor: all of the below."""
    run_synced(tasks, rounds)
    run_calls(tasks, rounds)
    run_pools(tasks, rounds)
    run_many(tasks, rounds)
    run_latency(tasks, rounds)


def run_calls(tasks: int | None, rounds: int) -> None:
    """Executor and submit_many beside huey and ProcessPoolExecutor."""
    _compare_fast(tasks or _TASKS, rounds)


def run_synced(tasks: int | None, rounds: int) -> None:
    """Queue.submit beside huey that syncs each commit."""
    _compare_durable(tasks or _TASKS, rounds)


def run_pools(tasks: int | None, rounds: int) -> None:
    """Executor beside ProcessPoolExecutor, calls of 1 ms."""
    _compare_pools(tasks or 1000, rounds)


def run_many(tasks: int | None, rounds: int) -> None:
    """submit_many alone."""
    _show_many(tasks or _MANY, rounds)


def run_latency(tasks: int | None, rounds: int) -> None:
    """From submit to start, beside huey."""
    _show_latency(tasks or _SAMPLES)


def _compare_fast(number: int, rounds: int) -> None:
    with ExitStack() as stack:
        executor = stack.enter_context(_executor())
        best = stack.enter_context(peer_huey.consumer(peer_huey.BEST, _SLOTS))
        default = stack.enter_context(peer_huey.consumer(peer_huey.DEFAULT, _SLOTS))
        pool = stack.enter_context(ProcessPoolExecutor(_SLOTS, get_context("spawn")))
        times = interleave(
            {
                "Executor.submit": partial(_timed_submits, executor, number),
                "Executor.submit_many": partial(_timed_many, executor, number),
                "huey, best": partial(timed, partial(best.run, number)),
                "huey, defaults": partial(timed, partial(default.run, number // 5)),
                "ProcessPoolExecutor": partial(_timed_submits, pool, number),
            },
            rounds,
        )
    times["huey, defaults"] = [seconds * 5 for seconds in times["huey, defaults"]]
    wanted = {"Executor.submit": "2x, 4x", "Executor.submit_many": "6x, 12x"}
    _show(f"{number:,} no-op calls, {_SLOTS} slots", number, times, "huey, best", wanted)


def _compare_durable(number: int, rounds: int) -> None:
    with ExitStack() as stack:
        queue = stack.enter_context(place.own_queue())
        stack.enter_context(place.started_worker("--slots", str(_SLOTS), "--cpus", str(_SLOTS)))
        safe = stack.enter_context(peer_huey.consumer(peer_huey.SAFE, _SLOTS))
        times = interleave(
            {
                "Queue.submit": partial(timed, partial(_queued, queue, number)),
                "huey, fsync": partial(timed, partial(safe.run, number)),
            },
            rounds,
        )
    _show(
        "The same, synced at each submit", number, times, "huey, fsync", {"Queue.submit": "2x, 4x"}
    )


def _compare_pools(number: int, rounds: int) -> None:
    with _executor() as executor, ProcessPoolExecutor(_SLOTS, get_context("spawn")) as pool:
        times = interleave(
            {
                "Executor(workers=2)": partial(_timed_sleeps, executor, number),
                "ProcessPoolExecutor(2)": partial(_timed_sleeps, pool, number),
            },
            rounds,
        )
    theirs = median(times["ProcessPoolExecutor(2)"])
    rows = [[name, f"{median(t):.3f} s", f"{median(t) / theirs:.2f}x"] for name, t in times.items()]
    show(f"{number:,} tasks of 1 ms (at most 1.2x, 1.0x)", ["wall", "to the pool"], rows)


def _show_many(number: int, rounds: int) -> None:
    with place.own_queue(durable=False) as queue:
        seconds = [timed(partial(_put, queue, number)) for _ in range(max(1, rounds // 2))]
    rate = number / median(seconds)
    show(f"submit_many of {number:,} (40,000, 80,000)", ["a second"], [["aque", f"{rate:,.0f}"]])


def _show_latency(samples: int) -> None:
    with place.own_queue(durable=False) as queue, place.started_worker():
        ours = [_delay(partial(queue.submit, time.monotonic)) for _ in range(samples)][10:]
    with peer_huey.consumer(peer_huey.BEST, _SLOTS) as best:
        theirs = [_delay(best.stamp) for _ in range(samples)][10:]
    rows = [
        [name, milliseconds(median(delays)), milliseconds(percentile(delays, 99))]
        for name, delays in (("Queue.submit", ours), ("huey, best", theirs))
    ]
    show("Submit to start, idle worker (1.5 and 5 ms, 0.5 and 1 ms)", ["median", "p99"], rows)


def _delay(submit: Callable[[], aque.Future[float]]) -> float:
    time.sleep(0.01)
    called = time.monotonic()
    return submit().result(10) - called


@contextmanager
def _executor() -> Iterator[aque.Executor]:
    with place.own_directory() as directory:
        path = os.path.join(directory, "queue.db")
        with aque.Executor(path, workers=_SLOTS) as executor:
            yield executor
        executor.queue.broker.close()


def _timed_submits(executor: aque.Executor | ProcessPoolExecutor, number: int) -> float:
    return timed(lambda: _all([executor.submit(operator.truth, 1) for _ in range(number)]))


def _timed_sleeps(executor: aque.Executor | ProcessPoolExecutor, number: int) -> float:
    return timed(lambda: _all([executor.submit(time.sleep, 0.001) for _ in range(number)]))


def _timed_many(executor: aque.Executor, number: int) -> float:
    return timed(lambda: _all(executor.submit_many([dict(_CALL) for _ in range(number)])))


def _all(futures: list) -> None:  # type: ignore[type-arg]
    wait(futures)
    for future in futures:
        future.result()


def _queued(queue: Queue, number: int) -> None:
    futures = [queue.submit(operator.truth, 1) for _ in range(number)]
    aque.wait(futures)
    for text in queue.broker.results([future.id for future in futures]).values():
        assert text == "true"


def _put(queue: Queue, number: int) -> None:
    queue.submit_many([{"func": operator.truth, "args": [n]} for n in range(number)])


def _show(
    title: str, number: int, times: Mapping[str, list[float]], peer: str, wanted: Mapping[str, str]
) -> None:
    theirs = median(times[peer])
    rows = [
        [name, f"{number / median(t):,.0f}", f"{theirs / median(t):.2f}x", wanted.get(name, "")]
        for name, t in times.items()
    ]
    show(f"{title}, median of {len(times[peer])}", ["a second", f"to {peer}", "(wanted)"], rows)
