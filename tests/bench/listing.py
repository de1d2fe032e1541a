"""Own the measure of looking: what `aque-status` takes, however much there is to sum up.

The peer is a Python that imports the same two libraries and has SQLite count the tasks by state.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

import place
from rounds import interleave, median, timed
from table import milliseconds, ratio, show

from aque import Queue, states, trust
from aque.prototype import Prototype
from aque.requirements import Requirements

_LENGTHS = (1_000, 100_000, 1_000_000)
_FILL = 10_000
_PEER = (
    "import sys, click, sqlite3; print(sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True)"
    ".execute('SELECT status, count(*) FROM task GROUP BY status').fetchall())"
)


def run(number: int | None, rounds: int) -> None:
    """Time of aque-status at 1,000, 100,000 and 1,000,000 tasks, summed up."""
    _compare([number] if number else _LENGTHS, rounds)


def run_shortly(number: int | None, rounds: int) -> None:
    """The same without the million, which takes half a minute to put in."""
    _compare([number] if number else _LENGTHS[:-1], rounds)


def _compare(lengths: list[int] | tuple[int, ...], rounds: int) -> None:
    rows = []
    for length in lengths:
        for is_group in (False, True):
            with place.own_queue(durable=False) as queue:
                _fill(queue, length, is_group)
                rows.append([f"{length:,} {_shape(is_group)}", *_measure(queue, rounds)])
    title = f"aque-status, median of {rounds} (wanted: the million in 1500 ms)"
    show(title, ["aque-status", "a count by state", "ratio"], rows)


def _measure(queue: Queue, rounds: int) -> list[str]:
    path = os.environ["AQUE_BROKER"]
    contenders = {
        "ours": partial(_run, [place.command("aque-status")]),
        "peer": partial(_run, [sys.executable, "-c", _PEER, path]),
    }
    taken = interleave(contenders, rounds)
    ours, peer = median(taken["ours"]), median(taken["peer"])
    return [milliseconds(ours), milliseconds(peer), ratio(ours, peer)]


def _run(words: list[str]) -> float:
    call = partial(subprocess.run, words, check=True, capture_output=True)
    return timed(call)


def _fill(queue: Queue, length: int, is_group: bool) -> None:
    """Put in tasks by the broker itself, all of one kind."""
    broker = queue.broker
    own = Requirements(trust.user_name())
    parent = None
    if is_group:
        (parent,) = broker.create([Prototype(requirements=own, status=states.CREATING)])
    one = Prototype(
        "shell", cwd="/", environ=dict(os.environ), umask=0o22, parent=parent, requirements=own
    )
    for at in range(0, length, _FILL):
        numbers = range(at, min(at + _FILL, length))
        broker.create_like(one, [f'["render","--frame","{number}"]' for number in numbers])
        if at % (10 * _FILL) == 0:
            print(f"{at:,} of {length:,} tasks put in", file=sys.stderr, flush=True)
    if parent is not None:
        broker.commit([parent])


def _shape(is_group: bool) -> str:
    return "in one group" if is_group else "alone"
