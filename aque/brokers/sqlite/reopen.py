"""Own how a group is put together again, so that a run of aque-xargs can go on where it ended."""

from __future__ import annotations

from aque import bell, states
from aque.brokers.sqlite import graph, shared, steer
from aque.brokers.sqlite.transaction import Transaction
from aque.errors import StateError
from aque.requirements import group_limit, limits_text, parse_limits

_GROUP = "SELECT status, pattern FROM task WHERE id = ?"
_CHILDREN = """
SELECT id, status, requirements FROM task
WHERE parent = ? AND status IN ('creating', 'pending', 'paused', 'running', 'error', 'cancelled')
ORDER BY id
"""
_RESERVE = """
UPDATE task SET requirements = ?, cancel_at = NULL, due_at = NULL, changed = ? WHERE id = ?
"""
_RELEASE = "UPDATE task SET status = 'pending' WHERE id = ? AND status = 'paused'"
_REOPEN = """
UPDATE task SET status = 'creating', owner = ?, waiting = ?, cause = NULL, error = NULL,
cancel_at = NULL, cancel_signal = NULL, cancel_grace = NULL, ended_at = NULL, changed = ?
WHERE id = ? AND status = ?
"""


def reopen(tx: Transaction, group: int, worker: int) -> None:
    ((status, pattern),) = tx.rows(_GROUP, (group,))
    if pattern is not None:
        raise StateError(f"task {group} is no run of aque-xargs, which is a group")
    if status == states.CREATING:
        raise StateError(f"task {group} is still at work; aque-kill {group} ends it")
    if status == states.PAUSED:
        raise StateError(f"task {group} is paused; aque-resume {group}, then try again")
    children = tx.rows(_CHILDREN, (group,))
    for id, child_status, _ in children:
        if child_status in (states.RUNNING, states.CREATING):
            raise StateError(f"task {id} of it is still at work; aque-kill {group} ends it")
    ours: dict[int, int] = {}  # requirements: theirs to those reserved for the worker
    for id, child_status, needs in children:
        reserved = _reserve(tx, needs, worker, group_limit(group), ours)
        if child_status in states.COMPLETE_STATES:
            steer.retry_one(tx, id, child_status, reserved)
        else:
            tx.execute(_RELEASE, (id,))
            tx.execute(_RESERVE, (reserved, tx.next_changed(), id))
    waiting = graph.recount(tx, group)
    tx.execute(_REOPEN, (worker, waiting, tx.next_changed(), group, status))
    if status in states.COMPLETE_STATES:
        graph.reopened(tx, [group])
    tx.rings.add(bell.READY)


def _reserve(tx: Transaction, needs: int, worker: int, own_limit: str, ours: dict[int, int]) -> int:
    """Move one task's use of requirements to such that reserve it for a worker."""
    if needs not in ours:
        limits = dict(parse_limits(shared.fetch_requirements(tx, needs).limits))
        limits.pop(own_limit, None)  # it bounds other workers
        changes = {"worker": worker, "limits": limits_text(limits)}
        ours[needs] = shared.change_requirements(tx, needs, **changes)
    else:
        shared.use(tx, "requirements", needs, -1)
        shared.use(tx, "requirements", ours[needs], 1)
    return ours[needs]
