"""Own how a group is put together again, so that a run of aque-xargs can go on where it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from aque import bell, states
from aque.brokers.sqlite import graph, shared, steer
from aque.brokers.sqlite.transaction import Row, Transaction
from aque.errors import StateError
from aque.prototype import Prototype
from aque.requirements import Requirements

_GROUP = "SELECT status, pattern FROM task WHERE id = ?"
_CHILDREN = f"""
SELECT id, status, requirements FROM task
WHERE parent = ? AND status {graph.among(states.UNFINISHED_STATES | states.FAILED_STATES)}
ORDER BY id
"""
_RELEASE = "UPDATE task SET status = 'pending' WHERE status = 'paused' AND id IN ({})"
_RENEW = "UPDATE task SET cancel_at = NULL, due_at = NULL, changed = ? WHERE id IN ({})"
_ADAPT = "UPDATE task SET requirements = ?, timeout = ?, retries = ? WHERE id IN ({})"
_REOPEN = """
UPDATE task SET status = 'creating', owner = ?, waiting = 0, cause = NULL, error = NULL,
cancel_at = NULL, cancel_signal = NULL, cancel_grace = NULL, ended_at = NULL, changed = ?
WHERE id = ? AND status = ?
"""


def reopen(tx: Transaction, group: int, model: Prototype) -> None:
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
    needs = model.requirements
    assert needs is not None
    _adapt(tx, children, needs, model)
    ended = [id for id, child_status, _ in children if child_status in states.COMPLETE_STATES]
    steer.retry_as_they_are(tx, ended)
    waiting = [id for id, child_status, _ in children if child_status in states.WAITING_STATES]
    tx.execute_in(_RELEASE, (), waiting)
    tx.execute_in(_RENEW, (tx.next_changed(),), waiting)
    tx.execute(_REOPEN, (needs.reserved, tx.next_changed(), group, status))
    graph.count(tx, [group, *ended])
    if status in states.COMPLETE_STATES:
        graph.reopened(tx, [group])
    tx.rings.add(bell.READY)


def _adapt(tx: Transaction, children: Sequence[Row], needs: Requirements, model: Prototype) -> None:
    """Have children need this, and the rest be as in `model`."""
    ids = [id for id, *_ in children]
    new = shared.store_requirements(tx, needs)
    for old, count in Counter(old for *_, old in children).items():
        shared.use(tx, "requirements", old, -count)
    shared.use(tx, "requirements", new, len(ids))
    tx.execute_in(_ADAPT, (new, model.timeout, model.retries), ids)
