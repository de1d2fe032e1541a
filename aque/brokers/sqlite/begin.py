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

from aque import states
from aque.brokers.sqlite import hold
from aque.brokers.sqlite.transaction import Transaction, storable
from aque.report import Begin, End

_GUARD = "WHERE id = ? AND attempt = ? - 1 AND status = 'pending' AND waiting = 0"
_BEGIN = f"""
UPDATE task SET status = 'running', attempt = attempt + 1, worker = ?, started_at = ?, changed = ?
{_GUARD}
"""
_BEGIN_AND_END = f"""
UPDATE task SET status = ?, attempt = attempt + 1, worker = ?, started_at = ?, ended_at = ?,
exit_status = ?, exit_signal = ?, result = ?, error = ?, user_time = ?, system_time = ?,
max_rss = ?, changed = ?
{_GUARD}
"""
_IS_PAUSED = "SELECT 1 FROM task WHERE id = ? AND status = 'paused'"


def begin(tx: Transaction, begun: Sequence[Begin], ends: Sequence[End]) -> dict[int, bool]:
    """Record what has begun, and at once those of its `ends` that end it for good.

    Returns for each begun whether it was still to be, and leaves out of it no id.
    """
    ended = {end.id: end for end in ends if end.status in states.COMPLETE_STATES}
    return {one.id: _begin(tx, one, ended) for one in begun}


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
    values = (
        end.status, one.worker, one.started_at, end.ended_at, end.exit_status, end.exit_signal,
        end.result, storable(end.error), end.user_time, end.system_time, end.max_rss,
        tx.next_changed(), one.id, one.attempt,
    )  # fmt: skip
    return tx.execute(_BEGIN_AND_END, values).rowcount
