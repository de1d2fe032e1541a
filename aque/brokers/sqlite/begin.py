"""Own how attempts that run already become known: those of a worker with tasks of its own.

Nobody else may take a task that is reserved for a worker, so aque-xargs starts it first, and the
queue hears of it a few milliseconds later, of many in one transaction. A row is there before its
command is started. Should the worker be killed in between, what it had started is found by its mark
and ended, as any job that is too young to be recorded (worker/recovery.py), and the task still
waits: so none is lost, and one that was recorded as a success never runs again.

Until the queue has heard, the task looks as if it waited, and others may treat it so. One that was
cancelled meanwhile stays cancelled, and the worker is told to end it. One that was paused is
running, and stopped, as if it had been paused a moment later.

An attempt that began and ended since the last transaction is written once: nobody could have seen
it run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aque import states
from aque.brokers.sqlite import hold
from aque.brokers.sqlite.latest import OUTCOME, cleared
from aque.brokers.sqlite.transaction import Transaction, storable
from aque.report import Begin, End

_GUARD = "WHERE id = ? AND attempt = ? - 1 AND status = 'pending' AND waiting = 0"
_BEGIN = f"""
UPDATE task SET status = 'running', attempt = attempt + 1, worker = ?, started_at = ?, changed = ?,
{cleared(OUTCOME)}
{_GUARD}
"""
_BEGIN_AND_END = f"""
UPDATE task SET status = ?, attempt = attempt + 1, worker = ?, started_at = ?, ended_at = ?,
exit_status = ?, exit_signal = ?, result = ?, error = ?, user_time = ?, system_time = ?,
max_rss = ?, changed = ?
{_GUARD}
"""
_IS_NEW = "SELECT 1 FROM task WHERE id = ? AND changed > ?"
_IS_PAUSED = "SELECT 1 FROM task WHERE id = ? AND status = 'paused'"


def begin(tx: Transaction, begun: Sequence[Begin], ends: Sequence[End]) -> dict[int, bool]:
    """Record what has begun, and at once those of its `ends` that end it for good.

    Returns for each begun whether it was still to be, and leaves out of it no id.
    """
    ended = {end.id: end for end in ends if end.status in states.COMPLETE_STATES}
    written = _write_whole(tx, [(one, ended[one.id]) for one in begun if one.id in ended])
    return {one.id: one.id in written or _begin(tx, one, ended) for one in begun}


def _write_whole(tx: Transaction, whole: Sequence[tuple[Begin, End]]) -> set[int]:
    """Write those at once that began and ended; return whose rows took it: nearly always all."""
    if not whole:
        return set()
    first = tx.number
    values = [_values(tx, one, end) for one, end in whole]
    written = tx.executemany(_BEGIN_AND_END, values).rowcount
    ids = [one.id for one, _ in whole]
    return set(ids if written == len(ids) else [i for i in ids if tx.rows(_IS_NEW, (i, first))])


def is_written(end: End, answers: Mapping[int, bool]) -> bool:
    """Whether `begin` has dealt with this end, given its answers."""
    return end.id in answers and end.status in states.COMPLETE_STATES


def _begin(tx: Transaction, one: Begin, ended: Mapping[int, End]) -> bool:
    end = ended.get(one.id)
    if (_write(tx, one) if end is None else _write_with_end(tx, one, end)) == 1:
        return True
    if not tx.rows(_IS_PAUSED, (one.id,)):
        return False
    hold.resume(tx, [one.id])
    is_begun = (_write(tx, one) if end is None else _write_with_end(tx, one, end)) == 1
    if end is None:
        hold.pause(tx, [one.id])
    return is_begun


def _write(tx: Transaction, one: Begin) -> int:
    values = (one.worker, one.started_at, tx.next_changed(), one.id, one.attempt)
    return tx.execute(_BEGIN, values).rowcount


def _write_with_end(tx: Transaction, one: Begin, end: End) -> int:
    return tx.execute(_BEGIN_AND_END, _values(tx, one, end)).rowcount


def _values(tx: Transaction, one: Begin, end: End) -> tuple[Any, ...]:
    return (
        end.status, one.worker, one.started_at, end.ended_at, end.exit_status, end.exit_signal,
        end.result, storable(end.error), end.user_time, end.system_time, end.max_rss,
        tx.next_changed(), one.id, one.attempt,
    )  # fmt: skip
