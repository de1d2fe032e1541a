"""Own what a transition does to its neighbours: the counters, failures and revivals of the graph.

`waiting` of a task counts its edges whose dependency has not ended, and changes in the transaction
of the transition that causes it; only tasks that still wait (creating, pending, paused) are kept
counted, and one that waits again is counted anew. So "may it run" is a column, never a search.

A failed dependency or child marks what waits for it with its first `cause`. A marked or killed
task ends as soon as no child of it is left unfinished, since no parent ends before its children;
children are asked for by the index on (parent, status), never by walking the edges, so a group of
100,000 stays cheap at each of its children's ends. A task in `creating` ends only when it has been
committed: more children may come.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence

from aque import bell, states
from aque.brokers.sqlite.sizes import batches
from aque.brokers.sqlite.transaction import Transaction, placeholders
from aque.prototype import AFTER_ANY

_DEPENDENTS = """
SELECT d.task, d.kind, t.status FROM dependency AS d JOIN task AS t ON t.id = d.task
WHERE d.dependency = ?
"""
_FATE = """
SELECT d.dependency, d.task, d.kind, t.waiting, t.cause, t.cancel_at
FROM dependency AS d JOIN task AS t ON t.id = d.task
WHERE d.dependency IN ({}) AND t.status IN ('creating', 'pending', 'paused')
"""
_CAUSES = "SELECT id, status, cause FROM task WHERE id IN ({})"
_COUNT_DOWN = """
UPDATE task SET waiting = waiting - ?, cause = coalesce(cause, ?) WHERE id = ?
"""
_STATE = "SELECT status, waiting, cause, cancel_at, pattern, due_at FROM task WHERE id = ?"
_UNFINISHED_CHILD = """
SELECT 1 FROM task WHERE parent = ?
AND status IN ('creating', 'pending', 'paused', 'running') LIMIT 1
"""
_FAILED_CHILD = """
SELECT coalesce(cause, id) FROM task WHERE parent = ? AND status IN ('error', 'cancelled') LIMIT 1
"""
_FAILED_DEPENDENCY = """
SELECT coalesce(t.cause, t.id) FROM dependency AS d JOIN task AS t ON t.id = d.dependency
WHERE d.task = ? AND d.kind = 'after' AND t.status IN ('error', 'cancelled') LIMIT 1
"""
_MISSING_DEPENDENCY = """
SELECT d.dependency FROM dependency AS d WHERE d.task = ? AND d.kind <> 'child'
AND NOT EXISTS (SELECT 1 FROM task WHERE id = d.dependency) LIMIT 1
"""
_END = """
UPDATE task SET status = ?, ended_at = ?, error = ?, changed = ? WHERE id = ? AND status = ?
"""
_RECOUNT = """
SELECT count(*) FROM dependency AS d JOIN task AS t ON t.id = d.dependency
WHERE d.task = ? AND t.status IN ('creating', 'pending', 'paused', 'running')
"""
_WAIT_AGAIN = """
UPDATE task SET status = 'pending', cause = NULL, error = NULL, ended_at = NULL,
changed = ? WHERE id = ? AND status = 'error'
"""


def ended(tx: Transaction, ids: Iterable[int]) -> None:
    """Tell the dependents of tasks that have just ended, and theirs in turn."""
    level = list(ids)
    while level:
        level = [id for batch in batches(level) for id in _told(tx, batch)]


def _told(tx: Transaction, ids: Sequence[int]) -> list[int]:
    """Tell the dependents of these, each once however many it waited for; return who ended so."""
    rows = tx.rows(_FATE.format(placeholders(ids)), ids)
    if not rows:
        return []
    failures = _causes(tx, ids)
    marks: dict[int, int | None] = {}
    counts: Counter[int] = Counter()
    for ended_id, dependent, kind, *_ in rows:
        counts[dependent] += 1
        mark = None if kind == AFTER_ANY else failures[ended_id]
        marks[dependent] = marks.get(dependent) or mark
    ended_too = []
    for dependent, (waiting, cause, cancel_at) in {row[1]: row[3:] for row in rows}.items():
        mark, count = marks[dependent], counts[dependent]
        tx.execute(_COUNT_DOWN, (count, mark, dependent))
        may_end = waiting <= count or not mark is cause is cancel_at is None
        if may_end and settle(tx, dependent):
            ended_too.append(dependent)
    return ended_too


def settle(tx: Transaction, id: int) -> bool:
    """End a task that can but end: killed, failed by a dependency, or a group all through.

    Says whether it did; the caller then tells its dependents by `ended`.
    """
    rows = tx.rows(_STATE, (id,))
    if not rows:
        return False
    ((status, waiting, cause, cancel_at, pattern, due_at),) = rows
    if status == states.CREATING or status not in states.WAITING_STATES:
        return False
    if cancel_at is not None or cause is not None:
        if waiting and tx.rows(_UNFINISHED_CHILD, (id,)):
            return False
        if cancel_at is not None:
            return end(tx, id, status, states.CANCELLED, "killed before it ran")
        return end(tx, id, status, states.ERROR, f"task {cause}, which it needs, failed")
    if waiting or status != states.PENDING:
        return False
    if pattern is None and due_at is None:
        return end(tx, id, status, states.SUCCESS, None)
    tx.rings.add(bell.READY)
    return False


def end(tx: Transaction, id: int, status: str, new: str, error: str | None) -> bool:
    """End a task that never ran, or whose group is through."""
    cursor = tx.execute(_END, (new, tx.now, error, tx.next_changed(), id, status))
    return cursor.rowcount == 1


def reopened(tx: Transaction, ids: Iterable[int]) -> None:
    """Tell the dependents of ended tasks that wait again; revive what failed only by them."""
    queue: deque[int] = deque(ids)
    revived: set[int] = set()
    while queue:
        for dependent, _, status in tx.rows(_DEPENDENTS, (queue.popleft(),)):
            if dependent in revived:
                continue  # counted below, when all that wait again are known
            if status in states.WAITING_STATES:
                tx.execute("UPDATE task SET waiting = waiting + 1 WHERE id = ?", (dependent,))
                if not has_failed_dependency(tx, dependent):
                    tx.execute("UPDATE task SET cause = NULL WHERE id = ?", (dependent,))
            elif status == states.ERROR and _may_revive(tx, dependent):
                tx.execute(_WAIT_AGAIN, (tx.next_changed(), dependent))
                revived.add(dependent)
                queue.append(dependent)
    for id in revived:
        tx.execute("UPDATE task SET waiting = ? WHERE id = ?", (recount(tx, id), id))


def recount(tx: Transaction, id: int) -> int:
    """Count what a task waits for from the edges themselves."""
    ((count,),) = tx.rows(_RECOUNT, (id,))
    return int(count)


def has_failed_dependency(tx: Transaction, id: int) -> bool:
    return failure(tx, id) is not None


def failure(tx: Transaction, id: int) -> int | None:
    """Return the first cause of the failure of what a task needs; None where nothing failed."""
    rows = tx.rows(_FAILED_CHILD, (id,)) or tx.rows(_FAILED_DEPENDENCY, (id,))
    return rows[0][0] if rows else None


def missing_dependency(tx: Transaction, id: int) -> int | None:
    """Return a dependency that was removed, so that nobody knows any more how it ended."""
    rows = tx.rows(_MISSING_DEPENDENCY, (id,))
    return rows[0][0] if rows else None


def _may_revive(tx: Transaction, id: int) -> bool:
    ((cause,),) = tx.rows("SELECT cause FROM task WHERE id = ?", (id,))
    if cause is None or has_failed_dependency(tx, id):
        return False
    return missing_dependency(tx, id) is None


def _causes(tx: Transaction, ids: Sequence[int]) -> dict[int, int | None]:
    """Return the first cause of each failure: the task itself, or what failed it; else None."""
    rows = tx.rows(_CAUSES.format(placeholders(ids)), ids)
    return {id: None if status == states.SUCCESS else cause or id for id, status, cause in rows}
