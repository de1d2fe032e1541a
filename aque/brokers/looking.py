"""Own the questions of the contract: the methods of a broker that change nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aque.brokers.claims import Ahead, Candidate
from aque.brokers.questions import Attempt, Changes, Condition, Edge, Entry, Outline, Selection
from aque.report import Chunk
from aque.requirements import Requirements
from aque.task import Task

if TYPE_CHECKING:
    from logging import Logger


class Looking(ABC):
    """What may be asked of a queue; each method sees one state of it."""

    @property
    def log(self) -> Logger:
        """The logger `aque.broker`."""
        import logging  # slow, and most programs never ask

        return logging.getLogger("aque.broker")

    @property
    def is_new(self) -> bool:
        """Whether this queue was made when it was opened."""
        return False

    @abstractmethod
    def to_url(self) -> str:
        """Return the URL from which `brokers.from_url` opens the same queue."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what this thread has open."""

    @abstractmethod
    def is_outdated(self) -> bool:
        """Whether a newer aque has upgraded the queue since this process opened it."""

    @abstractmethod
    def fetch(self, ids: Sequence[int]) -> list[Task]:
        """Return these tasks, in this order. Raises TaskNotFoundError for the first missing."""

    @abstractmethod
    def search(
        self,
        conditions: Sequence[Condition] = (),
        *,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> list[Task]:
        """Return the tasks that meet all conditions, by id."""

    @abstractmethod
    def select(self, selection: Selection, limit: int | None = None) -> list[Task]:
        """Return the selected tasks by id; with `limit` as many, what runs and the newest first."""

    @abstractmethod
    def count(self, selection: Selection) -> int:
        """Return how many tasks are selected."""

    @abstractmethod
    def existing(self, first: int, last: int) -> list[int]:
        """Return the ids in use from `first` to `last`."""

    @abstractmethod
    def last_id(self) -> int | None:
        """Return the greatest id of a task that is nobody's child."""

    @abstractmethod
    def statuses(self, ids: Sequence[int]) -> dict[int, str]:
        """Return the status of each of these ids that exists."""

    @abstractmethod
    def results(self, ids: Sequence[int]) -> dict[int, str | None]:
        """Return the text of the result of each of these that is a success."""

    @abstractmethod
    def signals(self, ids: Sequence[int]) -> dict[int, int]:
        """Return the signal that is wanted of each of these that runs, a cancel's included."""

    @abstractmethod
    def changes(self, since: int | None = None) -> Changes:
        """Return what changed after event `since`; without it, only the number of the latest."""

    @abstractmethod
    def edges(self, ids: Sequence[int]) -> list[Edge]:
        """Return what these tasks wait for or waited for."""

    @abstractmethod
    def dependents(self, ids: Sequence[int]) -> list[Edge]:
        """Return what waits for or waited for these tasks."""

    @abstractmethod
    def count_children(self, ids: Sequence[int]) -> dict[int, dict[str, int]]:
        """Return for each of these parents its children's number by status."""

    @abstractmethod
    def children(self, parent: int, limit: int, statuses: Sequence[str] = ()) -> list[Task]:
        """Return the first `limit` children of a task, only those of these statuses if given."""

    @abstractmethod
    def count_dependencies(self, ids: Sequence[int]) -> dict[int, dict[str, int]]:
        """Return for each of these tasks the number by status of what it waits for.

        Children are not counted here.
        """

    @abstractmethod
    def dependencies(self, id: int, limit: int, statuses: Sequence[str] = ()) -> list[Task]:
        """Return the first `limit` tasks that a task waits for, only of these statuses if given.

        Children are left out here.
        """

    @abstractmethod
    def roots(
        self, ended_since: float, limit: int | None, user: str | None
    ) -> tuple[list[Task], dict[str, int]]:
        """Return the tasks that none of them stands above, and how many there are by status.

        Above a task are its parent and its dependents. Looked at are those that have not ended, or
        have at `ended_since` or later; with `user` only that user's. First comes what runs (groups
        run while they wait), then what waits, then what has ended, each the newest first. Where
        there are more than `limit`, the few that failed last are among them, after what runs.
        """

    @abstractmethod
    def outline(self, ended_since: float, user: str | None, since: int = 0) -> Outline:
        """Return all tasks that changed after event `since`, in the order in which they did.

        Which are looked at is as for `roots`.
        """

    @abstractmethod
    def entries(self, ended_since: float, user: str | None, after: int, limit: int) -> list[Entry]:
        """Return the first `limit` tasks of ids over `after`, by id, looked at as for `roots`."""

    @abstractmethod
    def running_entries(self, ended_since: float, user: str | None) -> list[Entry]:
        """Return what runs, and the groups that have not ended, looked at as for `roots`."""

    @abstractmethod
    def last_ended(self, ended_since: float, user: str | None, limit: int) -> list[int]:
        """Return the ids of the `limit` tasks that ended last, the last first."""

    @abstractmethod
    def pace(self, since: float, user: str | None) -> tuple[int, float | None]:
        """Return how many ended after `since`, not cancelled, and when the first of these began."""

    @abstractmethod
    def ranked(self, selection: Selection, order: str) -> list[int]:
        """Return the ids of the selected tasks in one of the ORDERS, most first; names from A."""

    @abstractmethod
    def ahead(self, task: Task) -> Ahead:
        """Return how much goes before this ready task."""

    @abstractmethod
    def heads(self) -> list[tuple[Candidate, Requirements]]:
        """Return the best ready task of each kind, and what those of the kind need."""

    @abstractmethod
    def environ(self, environment: int) -> dict[str, str]:
        """Return the environment of this id."""

    @abstractmethod
    def stdin_value(self, id: int) -> bytes | None:
        """Return the standard input that was stored with a task."""

    @abstractmethod
    def attempts(self, id: int) -> list[Attempt]:
        """Return the attempts of a task before its present one, the first first."""

    @abstractmethod
    def output(self, id: int, attempt: int, after: int = 0) -> list[Chunk]:
        """Return the chunks of an attempt's output that follow chunk number `after`."""

    @abstractmethod
    def last_output(self, ids: Sequence[int]) -> dict[int, int]:
        """Return the number of the latest chunk of each of these tasks that has written."""
