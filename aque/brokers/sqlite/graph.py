"""Own what a transition does to its neighbours: the counters, failures and revivals of the graph.

`waiting` of a task counts its edges whose dependency has not ended, and changes in the transaction
of the transition that causes it; only tasks that still wait (creating, pending, paused) are kept
counted, and one that waits again is counted anew. So "may it run" is a column, never a search.

A failed dependency or child marks what waits for it with its first `cause`. A marked or killed
task ends as soon as no child of it is left unfinished, since no parent ends before its children;
children are asked for by the index on (parent, status), never by walking the edges, so a group of
100,000 stays cheap at each of its children's ends. A task in `creating` ends only when it has been
committed: more children may come. The group of a run of aque-xargs whose input was not read to its
end is no success, whatever its children are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from aque import bell, states
from aque.brokers.sqlite.sizes import batches
from aque.brokers.sqlite.transaction import Row, Transaction, placeholders
from aque.prototype import AFTER_ANY


def among(wanted: Iterable[str]) -> str:
    """Return the SQL that asks a status whether it is one of these."""
    return f"IN ({', '.join(repr(status) for status in states.STATES if status in set(wanted))})"


WAITING = among(states.WAITING_STATES)
UNFINISHED = among(states.UNFINISHED_STATES)
FAILED = among(states.FAILED_STATES)

_DEPENDENTS = """
SELECT d.task, t.status FROM dependency AS d JOIN task AS t ON t.id = d.task
WHERE d.dependency IN ({})
"""
_FATE = f"""
SELECT d.dependency, d.task, d.kind, t.waiting, t.cause, t.cancel_at
FROM dependency AS d JOIN task AS t ON t.id = d.task
WHERE d.dependency IN ({{}}) AND t.status {WAITING}
"""
_CAUSES = "SELECT id, status, cause FROM task WHERE id IN ({})"
_COUNT_DOWN = """
UPDATE task SET waiting = waiting - ?, cause = coalesce(cause, ?) WHERE id = ?
"""
_STATES = """
SELECT id, status, waiting, cause, cancel_at, pattern, due_at,
CASE WHEN pattern IS NULL AND progress_total IS NULL THEN extra END FROM task
WHERE id IN ({}) AND status IN ('pending', 'paused')
"""
_UNFINISHED_CHILD = f"SELECT 1 FROM task WHERE parent = ? AND status {UNFINISHED} LIMIT 1"
_FAILED_CHILD = f"""
SELECT coalesce(cause, id) FROM task WHERE parent = ? AND status {FAILED} LIMIT 1
"""
_FAILED_DEPENDENCY = f"""
SELECT coalesce(t.cause, t.id) FROM dependency AS d JOIN task AS t ON t.id = d.dependency
WHERE d.task = ? AND d.kind = 'after' AND t.status {FAILED} LIMIT 1
"""
_MISSING_DEPENDENCY = """
SELECT d.dependency FROM dependency AS d WHERE d.task = ? AND d.kind <> 'child'
AND NOT EXISTS (SELECT 1 FROM task WHERE id = d.dependency) LIMIT 1
"""
_END = """
UPDATE task SET status = ?, ended_at = ?, error = ?, cancel_at = coalesce(cancel_at, ?), changed = ?
WHERE status = ? AND id IN ({})
"""
_RECOUNT = f"""
SELECT d.task, count(*) FROM dependency AS d JOIN task AS t ON t.id = d.dependency
WHERE d.task IN ({{}}) AND t.status {UNFINISHED} GROUP BY d.task
"""
_WAIT_AGAIN = """
UPDATE task SET status = 'pending', waiting = 0, cause = NULL, error = NULL, ended_at = NULL,
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
    tx.executemany(_COUNT_DOWN, [(count, marks[id], id) for id, count in counts.items()])
    fates = {row[1]: row[3:] for row in rows}
    may_end = [
        id
        for id, (waiting, cause, cancel_at) in fates.items()
        if waiting <= counts[id] or not marks[id] is cause is cancel_at is None
    ]
    return end_settled(tx, may_end)


def settle(tx: Transaction, ids: Sequence[int]) -> None:
    """End those that can but end, by a kill, a failure or as a group all through; tell of it."""
    ended(tx, end_settled(tx, ids))


def end_settled(tx: Transaction, ids: Sequence[int], cancel_at: float | None = None) -> list[int]:
    """End what can but end of these, with `cancel_at` as killed then; return whom it ended.

    Their dependents are yet to be told, by `ended`.
    """
    ends: dict[tuple[str, str, str | None], list[int]] = defaultdict(list)
    for row in tx.rows_in(_STATES, ids):
        end = _end_of(tx, row, cancel_at)
        if end is not None:
            id, status, *_ = row
            ends[status, end[0], end[1]].append(id)
    for (status, new, error), ending in ends.items():
        values = (new, tx.now, error, cancel_at, tx.next_changed(), status)
        tx.execute_in(_END, values, ending)
    return [id for ending in ends.values() for id in ending]


def _end_of(tx: Transaction, row: Row, killed_at: float | None) -> tuple[str, str | None] | None:
    """Return how a task that waits can but end, and by what error; None where it goes on."""
    id, status, waiting, cause, cancel_at, pattern, due_at, run = row
    is_killed = not cancel_at is killed_at is None
    if is_killed or cause is not None:
        if waiting and tx.rows(_UNFINISHED_CHILD, (id,)):
            return None
        if is_killed:
            return states.CANCELLED, "killed" if pattern is None else "killed before it ran"
        return states.ERROR, f"task {cause}, which it needs, failed"
    if waiting or status != states.PENDING:
        return None
    if pattern is None and due_at is None:
        return (states.SUCCESS, None) if run is None else _end_of_run(id, run)
    tx.rings.add(bell.READY)
    return None


def _end_of_run(id: int, extra: str) -> tuple[str, str | None]:
    """Return how a group ends that has all its children: of a run its input may have had more."""
    from aque import runs

    if runs.told(extra) is None:
        return states.SUCCESS, None
    return states.ERROR, f"its input was cut off; give it to aque-xargs --resume {id}"


def reopened(tx: Transaction, ids: Iterable[int]) -> None:
    """Count what these tasks, which wait again, wait for, and tell their dependents.

    What failed only by them is revived. Their own `waiting` is to be 0.
    """
    again = set(ids)
    level = sorted(again)
    while level:
        found: Counter[int] = Counter()
        statuses: dict[int, str] = {}
        for dependent, status in tx.rows_in(_DEPENDENTS, level):
            if dependent not in again:  # else counted below, when all of them are known
                found[dependent] += 1
                statuses[dependent] = status
        level = [id for id, status in statuses.items() if _reopen(tx, id, status, found[id])]
        again.update(level)
    count(tx, sorted(again))


def _reopen(tx: Transaction, id: int, status: str, count: int) -> bool:
    """Tell a dependent that so many it needs wait again; whether that revives it."""
    if status in states.WAITING_STATES:
        tx.execute("UPDATE task SET waiting = waiting + ? WHERE id = ?", (count, id))
        if not has_failed_dependency(tx, id):
            tx.execute("UPDATE task SET cause = NULL WHERE id = ?", (id,))
    elif status == states.ERROR and _may_revive(tx, id):
        return tx.execute(_WAIT_AGAIN, (tx.next_changed(), id)).rowcount == 1
    return False


def count(tx: Transaction, ids: Sequence[int]) -> None:
    """Count what tasks wait for that wait again, and whose `waiting` is 0 yet."""
    counts = [(waiting, id) for id, waiting in recount(tx, ids).items()]
    tx.executemany("UPDATE task SET waiting = ? WHERE id = ?", counts)


def recount(tx: Transaction, ids: Sequence[int]) -> dict[int, int]:
    """Count from the edges themselves what these tasks wait for, of those that wait for any."""
    return dict(tx.rows_in(_RECOUNT, ids))


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
