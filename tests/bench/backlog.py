"""Own the measure of claiming from a backlog: many tasks that wait, of one kind or of many.

The peer of a long queue is a short one, that of many kinds a single one: what a claim costs is to
depend on neither, or little. Each turn puts in what it took out, so that a queue keeps its length.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import claims
import place
from rounds import interleave, median, timed
from table import ratio, show

from aque import brokers
from aque.brokers.base import Broker
from aque.prototype import Prototype
from aque.requirements import Requirements
from aque.worker.membership import Membership

_TASKS = 512
_SHORTLY = 256
_SHORT, _MIDDLE, _LONG = 10_000, 100_000, 1_000_000
_LENGTHS = (_SHORT, _MIDDLE, _LONG)
_KINDS = (1, 50, 500)
_FILL = 10_000


class _Backlog:
    """A queue that is kept filled with `length` tasks of `kinds` kinds, which take turns."""

    def __init__(self, broker: Broker, member: Membership, kinds: int) -> None:
        self._broker = broker
        self._member = member
        self._prototypes = [
            Prototype(
                "shell", args='["true"]', cwd="/", environ=os.environ, umask=0o22,
                requirements=Requirements(member.user, memory=kind << 20),
            )
            for kind in range(kinds)
        ]  # fmt: skip
        self._next = 0

    def fill(self, count: int) -> None:
        numbers = range(self._next, self._next + count)
        kinds = self._prototypes
        self._broker.create([kinds[number % len(kinds)] for number in numbers])
        self._next += count

    def take(self, count: int, size: int) -> float:
        """Return the seconds that claiming `count` tasks takes, `size` at a time."""
        taken = timed(partial(claims.claim_all, self._broker, self._member, count, size))
        self.fill(-(-count // size) * size + size)  # the last claim is of tasks beyond `count`
        return taken


def run(tasks: int | None, rounds: int) -> None:
    """Claims a second with up to a million pending, and up to 500 kinds."""
    _compare(tasks or _TASKS, rounds, _LENGTHS)


def run_shortly(tasks: int | None, rounds: int) -> None:
    """The same without the million, which takes half a minute to put in."""
    _compare(tasks or _SHORTLY, rounds, _LENGTHS[:-1])


def _compare(tasks: int, rounds: int, lengths: Sequence[int]) -> None:
    cases = [(length, 1) for length in lengths] + [(_MIDDLE, kinds) for kinds in _KINDS[1:]]
    with ExitStack() as stack:
        backlogs = {case: stack.enter_context(_backlog(*case)) for case in cases}
        times = [_measure(backlogs, tasks, rounds, size) for size in claims.BATCHES]
    header = [word for size in claims.BATCHES for word in (f"{size} at a time", "cost")]
    title = f"Claim and finish, a second, {tasks:,} tasks, median of {rounds}"
    rows = [
        [f"{length:,} pending", *_cells(times, tasks, (length, 1), (_SHORT, 1))]
        for length in lengths
    ]
    show(f"{title}: one kind (wanted: 1.3x)", header, rows)
    rows = [
        [
            f"{kinds} kinds" if kinds > 1 else "1 kind",
            *_cells(times, tasks, (_MIDDLE, kinds), (_MIDDLE, 1)),
        ]
        for kinds in _KINDS
    ]
    show(f"The same with {_MIDDLE:,} pending (wanted: 50 kinds at most 3x)", header, rows)


def _measure(
    backlogs: Mapping[tuple[int, int], _Backlog], tasks: int, rounds: int, size: int
) -> dict[str, float]:
    _say(f"{size} at a time ...")
    contenders = {
        str(case): partial(backlog.take, tasks, size) for case, backlog in backlogs.items()
    }
    return {case: median(taken) for case, taken in interleave(contenders, rounds).items()}


def _cells(
    times: Sequence[Mapping[str, float]], tasks: int, case: tuple[int, int], peer: tuple[int, int]
) -> list[str]:
    return [
        cell
        for medians in times
        for cell in (
            f"{tasks / medians[str(case)]:,.0f}",
            ratio(medians[str(case)], medians[str(peer)]),
        )
    ]


@contextmanager
def _backlog(length: int, kinds: int) -> Iterator[_Backlog]:
    with place.own_directory() as directory:
        broker = brokers.from_url(os.path.join(directory, "queue.db"), durable=False)
        with claims.membership_of(broker) as member:
            backlog = _Backlog(broker, member, kinds)
            for done in range(0, length, _FILL):
                if done % (10 * _FILL) == 0:
                    _say(f"{kinds} kinds: {done:,} of {length:,} tasks put in")
                backlog.fill(_FILL)
            yield backlog
        broker.close()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
