"""Own the commands that have ended and whose end is yet to be told: many are told of at a time.

Between the end of one command and the start of the next all is cold that a processor caches, since
a command has just thrown it out: the same work takes twice as long there as it does in one go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aque.report import End
from aque.task import Task
from aque.worker.job import Job
from aque.worker.usage import ChildUsage


class Aside:
    """Commands that have ended, the first first. `tell` hears the end of each."""

    def __init__(self, usage: ChildUsage, tell: Callable[[Task, End], object]) -> None:
        #: Whether a plan is to hear of one of them at once.
        self.has_failed = False
        self._usage = usage
        self._tell = tell
        self._ended: list[tuple[Job, Any, float]] = []

    def __bool__(self) -> bool:
        return bool(self._ended)

    def __len__(self) -> int:
        return len(self._ended)

    def put(self, job: Job, wait_status: int, rusage: Any, now: float) -> None:
        """Take a command that has ended by `now`, Unix seconds."""
        job.wait_status = wait_status
        self._ended.append((job, rusage, now))

    def settle(self) -> None:
        """Tell how they ended."""
        for job, rusage, ended_at in self._ended:
            job.usage = self._usage.of(rusage)
            self._tell(job.task, job.end(ended_at))
        self._ended.clear()
        self.has_failed = False
