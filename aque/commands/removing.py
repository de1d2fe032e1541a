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
    old = [task.id for task in queue.broker.fetch(ids) if _is_older(task, before)]
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
        old = [task.id for task in found if _is_older(task, before)]
        found_gone = _remove(queue, old, lambda batch: _without_others(queue, batch, statuses))
        removed.gone.extend(found_gone.gone)
    return removed


def _without_others(queue: Queue, ids: Sequence[int], statuses: Collection[str]) -> list[int]:
    """Leave out those whose children would go with them, and have not ended, unasked."""
    children = queue.broker.count_children(ids)
    asked = states.COMPLETE_STATES | set(statuses)
    return [id for id in ids if asked.issuperset(children.get(id, ()))]


def _remove(
    queue: Queue, ids: Sequence[int], choose: Callable[[list[int]], list[int]] = list
) -> Removed:
    """Remove what can be of these, the newest first: what waits goes before what it waits for.

    `choose` says which of a batch are meant.
    """
    removed = Removed([], [])
    newest = sorted(ids, reverse=True)
    for at in range(0, len(newest), _BATCH):
        _remove_batch(queue, choose(newest[at : at + _BATCH]), removed)
    return removed


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
