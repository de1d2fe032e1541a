"""Own what a worker has yet to tell the queue: what began and ended, output, progress.

A begin is told once its command has ended, or has run for a while: so that of a short command, of
which there may be hundreds a second, is written with its end, as one change of its row.
"""

from __future__ import annotations

import time
from collections import deque
from itertools import takewhile

from aque.report import Begin, Chunk, End, Progress, Report
from aque.task import Task
from aque.worker.job import Job


class News:
    """What is yet to be recorded, the oldest first."""

    def __init__(self) -> None:
        self.ends: list[End] = []
        self.output: list[Chunk] = []
        self.progress: list[Progress] = []
        self.ended_at = 0.0  # monotonic: the last end
        #: Processes that the queue does not know, by pid, the first started first.
        self.started: dict[int, Job] = {}
        #: By the task's id: its attempt, the worker, and when it began in Unix seconds.
        self.begun: dict[int, tuple[int, int, float]] = {}
        #: Ends that the plan has not heard of.
        self.unheard: deque[tuple[Task, End]] = deque()

    def __bool__(self) -> bool:
        return bool(self.begun or self.ends or self.output or self.progress)

    @property
    def has_begins(self) -> bool:
        """Whether something runs of which the queue has not heard."""
        return bool(self.begun)

    def begin(self, task: Task, worker: int) -> None:
        """Note that a task was begun of which the queue has not heard."""
        self.begun[task.id] = task.attempt, worker, time.time()

    def end(self, task: Task, end: End) -> None:
        self.ends.append(end)
        self.ended_at = time.monotonic()
        self.unheard.append((task, end))

    def start(self, job: Job) -> None:
        """Note a process that the queue does not know."""
        self.started[job.pid] = job

    def drop(self, job: Job) -> None:
        """Hear that a process has ended, so that the queue need not know it."""
        self.started.pop(job.pid, None)

    def first_start(self) -> float | None:
        """Return when the first process was started that the queue does not know; monotonic."""
        first = next(iter(self.started.values()), None)
        return None if first is None else first.started

    def attempts(self) -> set[tuple[int, int]]:
        """Return the (id, attempt) of what was begun and not told."""
        return {(id, attempt) for id, (attempt, _, _) in self.begun.items()}

    def report(self, age: float) -> Report:
        """Return what is to be told: of what runs, the processes older than so many seconds."""
        before = time.monotonic() - age
        old = takewhile(lambda job: job.started <= before, self.started.values())
        starts = tuple(job.start_record() for job in old)
        told = {*(start.id for start in starts), *(end.id for end in self.ends)}
        begun = tuple(Begin(id, *one) for id, one in self.begun.items() if id in told)
        return Report(tuple(self.ends), starts, tuple(self.output), tuple(self.progress), begun)

    def forget(self, report: Report) -> None:
        """Forget what was told."""
        del self.ends[: len(report.ends)]
        del self.output[: len(report.output)]
        del self.progress[: len(report.progress)]
        for one in report.begun:
            del self.begun[one.id]
        for start in report.starts:
            job = self.started.pop(start.pid, None)
            if job is not None:
                job.is_start_recorded = True
