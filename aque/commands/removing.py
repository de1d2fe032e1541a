"""Own what aque-rm takes away: what was named, or matches, and nobody needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from aque import states, trust
from aque.brokers.questions import Condition
from aque.errors import StateError, TaskNotFoundError
from aque.queue import Queue
from aque.record import record
from aque.task import Task

#: Tasks removed in one transaction.
_BATCH = 1000


@record(frozen=True)
class Removed:
    """The ids that are gone, and why others are not."""

    gone: list[int]
    left: list[str]


def remove_named(queue: Queue, ids: Sequence[int], before: float | None) -> Removed:
    """Remove of these tasks all that can be."""
    old = [task for task in queue.broker.fetch(ids) if _is_older(task, before)]
    return _remove(queue, old)


def remove_matching(
    queue: Queue, statuses: Collection[str], before: float | None, all_users: bool
) -> Removed:
    """Remove all tasks in these states that nothing unfinished needs."""
    removed = Removed([], [])
    user = trust.user_name()
    for status in sorted(statuses):
        conditions = [Condition("status", "=", status)]
        if not all_users:
            conditions.append(Condition("user", "=", user))
        found = queue.broker.search(conditions)
        old = [task for task in found if _is_older(task, before)]
        found_gone = _remove(queue, old, lambda batch: _without_others(queue, batch, statuses))
        removed.gone.extend(found_gone.gone)
    return removed


def _without_others(queue: Queue, ids: Sequence[int], statuses: Collection[str]) -> list[int]:
    """Leave out those whose children would go with them, and have not ended, unasked."""
    children = queue.broker.count_children(ids)
    asked = states.COMPLETE_STATES | set(statuses)
    return [id for id in ids if asked.issuperset(children.get(id, ()))]


def _remove(
    queue: Queue, tasks: Sequence[Task], choose: Callable[[list[int]], list[int]] = list
) -> Removed:
    """Remove what can be of these, the newest first: what waits goes before what it waits for.

    So groups that wait for their children go first, with these. `choose` says which of a batch
    are meant.
    """
    removed = Removed([], [])
    groups = _waiting_groups(tasks)
    rest = {task.id for task in tasks}.difference(groups)
    for ids in (sorted(groups, reverse=True), sorted(rest, reverse=True)):
        for at in range(0, len(ids), _BATCH):
            _remove_batch(queue, choose(ids[at : at + _BATCH]), removed)
    return removed


def _waiting_groups(tasks: Sequence[Task]) -> list[int]:
    """Return those that have not ended, have others of these as children, and are no such child."""
    parents = {task.parent for task in tasks}
    waiting = {task.id for task in tasks if task.id in parents and not task.is_complete}
    return [task.id for task in tasks if task.id in waiting and task.parent not in waiting]


def _remove_batch(queue: Queue, ids: Sequence[int], removed: Removed) -> None:
    """Remove a batch at once, or where some of it is needed, each half as far as it can be."""
    present = queue.broker.statuses(ids)
    try:
        queue.remove(list(present))
    except TaskNotFoundError:  # somebody else has removed one just now
        _remove_batch(queue, ids, removed)
    except StateError as error:
        if len(ids) == 1:
            removed.left.append(str(error))
        else:
            half = len(ids) // 2
            _remove_batch(queue, ids[:half], removed)
            _remove_batch(queue, ids[half:], removed)
    else:
        removed.gone.extend(ids)


def _is_older(task: Task, before: float | None) -> bool:
    if before is None:
        return True
    at = task.ended_at if task.status in states.COMPLETE_STATES else task.created_at
    return at is not None and at < before
