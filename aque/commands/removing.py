"""Own what aque-rm takes away: what was named, or matches, and nobody needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from aque import states, trust
from aque.brokers.questions import Condition, Selection
from aque.errors import StateError, TaskNotFoundError
from aque.prototype import CHILD
from aque.queue import Queue
from aque.record import record, replace

#: Tasks removed in one transaction.
_BATCH = 1000


@record(frozen=True)
class Removed:
    """The ids that are gone, and why others are not."""

    gone: list[int]
    left: list[str]


def remove_named(queue: Queue, ids: Sequence[int], before: float | None) -> Removed:
    """Remove of these tasks all that can be."""
    return _remove(queue, _older(queue, Selection(ids=ids), before))


def remove_matching(
    queue: Queue, statuses: Collection[str], before: float | None, all_users: bool
) -> Removed:
    """Remove all tasks in these states that nothing unfinished needs."""
    conditions = [] if all_users else [Condition("user", "=", trust.user_name())]
    found = _older(queue, Selection(conditions, sorted(statuses)), before)
    return _remove(queue, found, lambda batch: _without_others(queue, batch, statuses))


def _older(queue: Queue, within: Selection, before: float | None) -> list[int]:
    """Return those that ended, or were submitted and have not ended, before then."""
    if before is None:
        return queue.broker.ranked(within, "id")
    ended = [Condition("ended_at", "<", before)]
    unended = [Condition("ended_at", "=", None), Condition("created_at", "<", before)]
    return [
        id
        for conditions in (ended, unended)
        for id in queue.broker.ranked(
            replace(within, conditions=[*within.conditions, *conditions]), "id"
        )
    ]


def _without_others(queue: Queue, ids: Sequence[int], statuses: Collection[str]) -> list[int]:
    """Leave out those whose children would go with them, and have not ended, unasked."""
    children = queue.broker.count_children(ids)
    asked = states.COMPLETE_STATES | set(statuses)
    return [id for id in ids if asked.issuperset(children.get(id, ()))]


def _remove(
    queue: Queue, found: Sequence[int], choose: Callable[[list[int]], list[int]] = list
) -> Removed:
    """Remove what can be of these, the newest first: what waits goes before what it waits for.

    So groups that wait for their children go first, with these. `choose` says which of a batch
    are meant.
    """
    removed = Removed([], [])
    groups = _waiting_groups(queue, found)
    rest = set(found).difference(groups)
    for ids in (sorted(groups, reverse=True), sorted(rest, reverse=True)):
        for at in range(0, len(ids), _BATCH):
            _remove_batch(queue, choose(ids[at : at + _BATCH]), removed)
    return removed


def _waiting_groups(queue: Queue, ids: Sequence[int]) -> set[int]:
    """Return those that have not ended, have others of these as children, and are no such child."""
    statuses = queue.broker.statuses(ids)
    unended = [id for id, status in statuses.items() if status not in states.COMPLETE_STATES]
    edges = queue.broker.edges(unended)
    below = [edge for edge in edges if edge.kind == CHILD and edge.dependency in statuses]
    return {edge.task for edge in below}.difference(edge.dependency for edge in below)


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
