"""Own what stands for the Python calls of a worker that runs commands alone, as aque-xargs does.

Such a worker starts a hundredth of a second sooner for not loading what calls need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aque.requirements import Requirements
    from aque.task import Task
    from aque.worker.job import Job
    from aque.worker.runners import Runner


class NoCalls:
    """No call runs, and none waits."""

    def __init__(self) -> None:
        self.ahead = _NothingAhead()

    def queue(self, tasks: list[Task], asked_at: float) -> None:
        assert not tasks

    def next_deadline(self) -> float | None:
        return None

    def take_back_late(self, now: float) -> None:
        """There is none to be late."""

    def take_back_all(self) -> None:
        """There is none to be taken back."""

    def take_back_lost(self, attempts: Collection[tuple[int, int]]) -> None:
        """There is none to be lost."""

    def single_out(self, pid: int) -> None:
        """Nothing waits behind another."""

    def runner_with(self, id: int) -> Runner | None:
        return None

    def runner_of(self, job: Job) -> Runner | None:
        return None

    def go_on(self, job: Job) -> None:
        """No runner waits for the room of what it has written."""


class _NothingAhead:
    """None can be claimed ahead of its turn."""

    def room(self) -> int:
        return 0

    def kinds(self) -> frozenset[Requirements]:
        return frozenset()

    def rooms(self) -> Mapping[Requirements, int]:
        return {}

    def seconds(self) -> float:
        return 0.0


class NoRunners:
    """No runner lives."""

    pids: frozenset[int] = frozenset()

    def forget(self, pid: int) -> bool:
        return False

    def remember(self, pids: Collection[int]) -> None:
        assert not pids

    def close(self) -> None:
        """There is none to be let go."""
