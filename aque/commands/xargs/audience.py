"""Own who is told, besides the queue, of what begins and ends: display, log and progress."""

from __future__ import annotations

import signal
import time

from aque.commands.xargs.backlog import Backlog
from aque.commands.xargs.display import Display
from aque.commands.xargs.joblog import JobLog
from aque.commands.xargs.progress import Progress
from aque.commands.xargs.settings import Options
from aque.report import End
from aque.task import Task
from aque.worker.signals import Signals


class Audience:
    """Those that the options ask for. `display` is there where output is kept."""

    def __init__(self, options: Options, display: Display | None, log: JobLog | None) -> None:
        self._display = display
        self._log = log
        self._wants_progress = options.bar or options.eta
        self._options = options
        self._progress: Progress | None = None
        self.is_silent = display is None and log is None and not self._wants_progress
        self._running: dict[int, float] = {}  # when it began, by id
        self._backlog: Backlog | None = None

    def attach(self, backlog: Backlog, signals: Signals) -> None:
        """Say who knows what is left, and who hears of a window that changes its size."""
        self._backlog = backlog
        if self._wants_progress:
            self._progress = Progress(self._options.bar, self._options.eta, self._left)
            signals.note(signal.SIGWINCH)

    @property
    def is_gone(self) -> bool:
        """Whether nobody reads any more what the commands write."""
        return self._display is not None and self._display.is_broken

    @property
    def has_room(self) -> bool:
        """Whether one more command may be begun."""
        return self._display is None or self._display.has_room

    def started(self, task: Task) -> None:
        if self.is_silent:
            return
        self._running[task.id] = time.time()
        if self._display is not None:
            self._display.started(task)

    def again(self, task: Task) -> None:
        """Hear that a command is to be tried again."""
        self._running.pop(task.id, None)
        if self._display is not None:
            self._display.again(task)

    def ended(self, task: Task, end: End, status: str) -> None:
        """Hear of an end, and which status it is to be counted as."""
        assert self._backlog is not None
        number = self._backlog.numbers.pop(task.id, 0)
        if self.is_silent:
            return
        began = self._running.pop(task.id, end.ended_at)
        if self._display is not None:
            self._display.ended(task)
        if self._log is not None:
            self._log.write(task, end, number, began)
        if self._progress is not None:
            self._progress.count(status)

    def look(self) -> float:
        """Show how time goes by; return when to look again, monotonic."""
        return float("inf") if self._progress is None else self._progress.show()

    def resize(self) -> float:
        """Hear that the window has another size; return when to look, monotonic."""
        return float("inf") if self._progress is None else self._progress.resize()

    def rest(self) -> None:
        """Leave the terminal to a shell, as we are to be stopped."""
        if self._progress is not None:
            self._progress.rest()

    def close(self) -> None:
        if self._display is not None:
            self._display.close()
        if self._progress is not None:
            self._progress.close()

    def _left(self) -> int | None:
        assert self._backlog is not None
        waiting = self._backlog.count
        return None if waiting is None else waiting + len(self._running)
