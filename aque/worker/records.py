"""Own the records that runners send beside answers: of logging, of progress, of imports."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aque import logs
from aque.report import Progress
from aque.task import Task
from aque.worker.output import Stream
from aque.worker.runners import Runner

if TYPE_CHECKING:
    from aque.worker.crew import Crew

#: Makes what keeps a stream of a task, by the stream's name and descriptor.
MakeStream = Callable[[Task, str, int], Stream]


class Records:
    """The logs of the tasks that run, and whom else records are told."""

    def __init__(self, crew: Crew, make_stream: MakeStream) -> None:
        self._crew = crew
        self._make_stream = make_stream
        self._logs: dict[int, Stream] = {}  # by task
        self._import_hearers: list[Callable[[list[str]], object]] = []

    def hear(self, runner: Runner) -> None:
        """Take in the records that are there: to the queue, and to their counterparts here."""
        for kind, id, attempt, *values in runner.read_records():
            if kind == "progress":
                if runner.has(id, attempt):
                    self._crew.progress.append(Progress(id, attempt, *values))
                continue
            if kind == "imported":
                for hear in self._import_hearers:
                    hear(*values)
                continue
            for each in runner.sent:
                if each.task.id == id:
                    data = logs.line(*values)
                    self._crew.output += self._log_of(each.task).take(data, time.time())
            logs.hand_on(*values)

    def hear_imports(self, hear: Callable[[list[str]], object]) -> None:
        """Have `hear` told the files of modules that calls have imported."""
        self._import_hearers.append(hear)

    # Over a reload

    def state(self, task: int) -> dict[str, Any] | None:
        """Return what is known of the log of a task that runs, if it has one that has room."""
        stream = self._logs.get(task)
        return None if stream is None or stream.is_stalled else stream.state()

    def resume(self, task: Task, state: dict[str, Any]) -> None:
        """Go on with the log of a task where the program before had come."""
        self._log_of(task).resume(state)

    def _log_of(self, task: Task) -> Stream:
        if task.id not in self._logs:
            self._logs[task.id] = self._make_stream(task, "log", -1)
        return self._logs[task.id]

    def end(self, task: Task) -> None:
        """Note that a task has ended, and its log with it."""
        stream = self._logs.pop(task.id, None) if self._logs else None
        if stream is not None:
            self._crew.output += stream.finish(time.time())
            stream.close()
