"""Own what aque-rm takes away: what was named, or all that match and nobody needs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from aque import states, trust
from aque.brokers.questions import Condition
from aque.errors import StateError, TaskNotFoundError
from aque.queue import Queue
from aque.task import Task

#: Tasks removed in one transaction.
_BATCH = 1000


def remove_named(queue: Queue, ids: Sequence[int], before: float | None) -> list[int]:
    """Remove these tasks, or none. Raises StateError for one that is needed."""
    old = [task.id for task in queue.broker.fetch(ids) if _is_older(task, before)]
    queue.remove(old)
    return old


def remove_matching(
    queue: Queue, statuses: Collection[str], before: float | None, all_users: bool
) -> list[int]:
    """Remove all tasks in these states that nothing unfinished needs; return their ids."""
    gone: list[int] = []
    user = trust.user_name()
    for status in sorted(statuses):
        conditions = [Condition("status", "=", status)]
        if not all_users:
            conditions.append(Condition("user", "=", user))
        found = queue.broker.search(conditions, newest_first=True)
        old = [task.id for task in found if _is_older(task, before)]
        for at in range(0, len(old), _BATCH):
            batch = old[at : at + _BATCH]
            gone += _remove_batch(queue, _without_others(queue, batch, statuses))
    return sorted(gone)


def _without_others(queue: Queue, ids: Sequence[int], statuses: Collection[str]) -> list[int]:
    """Leave out those whose children would go with them, and have not ended, unasked."""
    children = queue.broker.count_children(ids)
    asked = states.COMPLETE_STATES | set(statuses)
    return [id for id in ids if asked.issuperset(children.get(id, ()))]


def _remove_batch(queue: Queue, ids: Sequence[int]) -> list[int]:
    """Remove a batch at once, or where some of it is needed, one by one what is not."""
    present = list(queue.broker.statuses(ids))
    try:
        queue.remove(present)
        return present
    except (StateError, TaskNotFoundError):
        return [id for id in present if _remove_one(queue, id)]


def _remove_one(queue: Queue, id: int) -> bool:
    try:
        queue.remove([id])
    except (StateError, TaskNotFoundError):
        return False
    return True


def _is_older(task: Task, before: float | None) -> bool:
    if before is None:
        return True
    at = task.ended_at if task.status in states.COMPLETE_STATES else task.created_at
    return at is not None and at < before
