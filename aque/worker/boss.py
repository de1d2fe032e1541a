"""Own what the crew is for the calls that run in its runners."""

from __future__ import annotations

from typing import Protocol

from aque.report import Chunk, End, Progress
from aque.task import Task
from aque.worker.job import Job
from aque.worker.slots import Slots


class Boss(Protocol):
    """Whose calls these are: the crew."""

    jobs: dict[int, Job]
    output: list[Chunk]
    progress: list[Progress]
    slots: Slots

    def take_in(self, job: Job) -> None: ...

    def look_after(self, job: Job) -> None: ...

    def end(self, task: Task, end: End) -> None: ...

    def give_back(self, task: Task) -> None: ...

    def release(self, job: Job) -> None: ...

    def has_kept_output(self, job: Job) -> bool: ...

    def keep(self, pid: int) -> None: ...
