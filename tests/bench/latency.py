"""Own the measure of waiting: from a submit to the start of the task, and what idling costs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic_ns
from typing import NamedTuple

import idle
import place
import spooler
from rounds import interleave, median, percentile
from stamp import Stamp
from table import milliseconds, ratio, show

from aque import Queue

_SAMPLES = 200
_WARM = 10
#: Seconds between two turns, in which a worker comes to rest.
_PAUSE = 0.03

_COMMAND, _CALL, _BARE, _PEER = "aque, command", "aque, Python call", "bare spawn", "task-spooler"


class Delay(NamedTuple):
    """Seconds to the start of the task: since the submit was called, and since it returned."""

    called: float
    returned: float


def run(samples: int | None, rounds: int) -> None:
    """From a submit to the start by an idle worker; its cpu."""
    with place.own_queue() as queue, place.started_worker() as worker:
        with _contenders(queue) as contenders:
            _show(interleave(contenders, samples or _SAMPLES, _WARM, _PAUSE))
        idle.show(worker.pid)


@contextmanager
def _contenders(queue: Queue) -> Iterator[dict[str, Callable[[], Delay]]]:
    with place.own_directory() as directory:
        stamp = Stamp(directory)
        contenders: dict[str, Callable[[], Delay]] = {
            _COMMAND: lambda: _command(queue, stamp),
            _CALL: lambda: _call(queue),
            _BARE: lambda: _bare(stamp),
        }
        if spooler.find() is None:
            print("task-spooler is not installed (on Debian: apt install task-spooler)")
            yield contenders
        else:
            peer = spooler.Spooler(directory)
            contenders[_PEER] = lambda: _spooled(peer, stamp)
            try:
                yield contenders
            finally:
                peer.close()
        stamp.close()


def _command(queue: Queue, stamp: Stamp) -> Delay:
    prototype = {"pattern": "shell", "args": stamp.command}
    called = monotonic_ns()
    future = queue.submit_ex(prototype)
    returned = monotonic_ns()
    delay = _delay(called, returned, stamp.read())
    future.result(10)
    return delay


def _call(queue: Queue) -> Delay:
    called = monotonic_ns()
    future = queue.submit(monotonic_ns)
    returned = monotonic_ns()
    return _delay(called, returned, future.result(10))


def _bare(stamp: Stamp) -> Delay:
    program, *_ = stamp.command
    called = monotonic_ns()
    pid = os.posix_spawn(program, stamp.command, os.environ)
    started = stamp.read()
    os.waitpid(pid, 0)
    return _delay(called, called, started)


def _spooled(peer: spooler.Spooler, stamp: Stamp) -> Delay:
    called, returned = peer.submit(stamp.command)
    return _delay(called, returned, stamp.read())


def _delay(called: int, returned: int, started: int) -> Delay:
    return Delay((started - called) / 1e9, (started - returned) / 1e9)


def _show(delays: Mapping[str, list[Delay]]) -> None:
    peers = [peer for peer in (_PEER, _BARE) if peer in delays]
    for origin, title in enumerate(
        (
            "From the call of the submit to the first instruction of the task",
            "The same from its return: committed, and for aque synced to the disk",
        )
    ):
        values = {name: [delay[origin] for delay in listed] for name, listed in delays.items()}
        show(title, ["median", "p99", *(f"to {peer}" for peer in peers)], _rows(values, peers))
    print("  (the call of the two peers is a posix_spawn: of `tsp`, and of the task)")


def _rows(values: Mapping[str, list[float]], peers: Sequence[str]) -> list[list[str]]:
    middle = {name: median(listed) for name, listed in values.items()}
    return [
        [
            name, milliseconds(middle[name]), milliseconds(percentile(listed, 99)),
            *(ratio(middle[name], middle[peer]) for peer in peers),
        ]
        for name, listed in values.items()
    ]  # fmt: skip
