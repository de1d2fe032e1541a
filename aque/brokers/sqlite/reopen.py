"""Own how a group is put together again, so that a run of aque-xargs can go on where it ended."""

from __future__ import annotations

from collections.abc import Sequence

from aque import bell, states
from aque.brokers.sqlite import graph, shared, steer
from aque.brokers.sqlite.transaction import Row, Transaction
from aque.errors import StateError
from aque.requirements import group_limit, limits_text, parse_limits

_GROUP = "SELECT status, pattern FROM task WHERE id = ?"
_CHILDREN = """
SELECT id, status, requirements FROM task
WHERE parent = ? AND status IN ('creating', 'pending', 'paused', 'running', 'error', 'cancelled')
ORDER BY id
"""
_RELEASE = "UPDATE task SET status = 'pending' WHERE status = 'paused' AND id IN ({})"
_RENEW = "UPDATE task SET cancel_at = NULL, due_at = NULL, changed = ? WHERE id IN ({})"
_REOPEN = """
UPDATE task SET status = 'creating', owner = ?, waiting = 0, cause = NULL, error = NULL,
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
    tx.expect(len(children))
    _reserve(tx, children, worker, group_limit(group))
    ended = [id for id, child_status, _ in children if child_status in states.COMPLETE_STATES]
    steer.retry_as_they_are(tx, ended)
    waiting = [id for id, child_status, _ in children if child_status in states.WAITING_STATES]
    tx.execute_in(_RELEASE, (), waiting)
    tx.execute_in(_RENEW, (tx.next_changed(),), waiting)
    tx.execute(_REOPEN, (worker, tx.next_changed(), group, status))
    graph.count(tx, [group, *ended])
    if status in states.COMPLETE_STATES:
        graph.reopened(tx, [group])
    tx.rings.add(bell.READY)


def _reserve(tx: Transaction, children: Sequence[Row], worker: int, own_limit: str) -> None:
    """Reserve children for a worker, each with else the same requirements."""
    users: dict[int, list[int]] = {}
    for id, _, needs in children:
        users.setdefault(needs, []).append(id)
    for needs, ids in users.items():
        limits = dict(parse_limits(shared.fetch_requirements(tx, needs).limits))
        limits.pop(own_limit, None)  # it bounds other workers
        changes = {"worker": worker, "limits": limits_text(limits)}
        ours = shared.change_requirements(tx, needs, len(ids), **changes)
        tx.execute_in("UPDATE task SET requirements = ? WHERE id IN ({})", (ours,), ids)
