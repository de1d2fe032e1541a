"""Own what a claim chooses from, and what it brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from aque.record import record
from aque.requirements import Requirements
from aque.task import Task


class Candidate(NamedTuple):
    """A task that could be claimed, as far as its place in the order needs it."""

    id: int
    priority: int
    duration: float


class Ahead(NamedTuple):
    """The number of ready tasks before one in the line, and their expected cpu seconds.

    `work` is None where the duration of one of them is not known.
    """

    number: int
    work: float | None


class Limit(NamedTuple):
    """A named limit: the tokens there are, and those that running tasks of all hosts hold."""

    capacity: int
    used: int


class Offer(Protocol):
    """What a claim may choose from, read inside its transaction.

    `kinds` are the requirements that ready tasks have, by their ids; `now` is seconds of a clock
    that is never set back.
    """

    now: float
    kinds: Mapping[int, Requirements]

    def heads(self, kind: int, count: int) -> Sequence[Candidate]:
        """Return the best `count` tasks of a kind, best first."""

    def used(self) -> tuple[float, int]:
        """Return the cpus and bytes of memory that all running tasks of this host hold."""

    def limits(self) -> Mapping[str, Limit]:
        """Return the named limits."""

    def leave_behind(self, id: int) -> None:
        """Say that a chosen task is to wait behind a running one of its kind, not to begin now.

        Until it does it holds nothing, and has no `started_at`.
        """

    def running_mounts(self) -> Sequence[tuple[str, int]]:
        """Return the texts of the mounts of this host's running tasks, and how many have each."""


#: Chooses the ids to claim, best first.
Choose = Callable[[Offer], Sequence[int]]


@record(frozen=True)
class Claim:
    """What a claim brought: tasks that are now running, and when the next one falls due.

    `number` is that of the latest event the claim knew of: until there is another, and nothing
    falls due, a claim would bring nothing more. `rings` are the bells for `Broker.ring`, once the
    tasks have been started, which matters more than that others hear of it. With `is_dismissed` it
    brought nothing since the worker was taken for dead; a beat makes it one again.
    """

    tasks: Sequence[Task]
    next_due_at: float | None
    number: int
    rings: frozenset[str] = frozenset()
    is_dismissed: bool = False
