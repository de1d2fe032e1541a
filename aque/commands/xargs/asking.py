"""Own -p: whether a person at the terminal wants a command run.

The answer is waited for beside all else, so that what runs is heard of meanwhile. A command that is
not wanted is done with, as xargs has it: its task is a success that took no time and says why.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Sequence

from aque import states
from aque import task as tasks
from aque.commands.xargs import quoting, write
from aque.commands.xargs.backlog import Backlog
from aque.errors import AqueError
from aque.report import End
from aque.task import Task
from aque.worker.loop import Worker

_LONGEST = 4096


class Asker:
    """Asks for one command at a time, on standard error, and hears the terminal."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._terminal = -1
        self._asked: int | None = None
        self._answer: bytes | None = None

    def take(self, backlog: Backlog, worker: Worker) -> Task | None:
        """Take the next task that is wanted, once the answer has come; those before are declined.

        Raises AqueError where there is no terminal.
        """
        while (task := backlog.first()) is not None:
            answer = self._ask(task)
            if answer is None:
                return None
            backlog.take()
            if answer:
                return task
            worker.crew.news.begin(task, worker.standing.membership.id)
            end = End(task.id, task.attempt, states.SUCCESS, time.time(), error="declined")
            worker.crew.news.end(task, end)
        return None

    def _ask(self, task: Task) -> bool | None:
        """Say whether it is to run; None until there is an answer: then ask again."""
        if self._asked != task.id:
            words: Sequence[str] = tasks.shell_words(task) or []
            write(2, quoting.quote(words, quoting.is_ascii_only()))
            self._open()
            write(2, "?...")
            self._asked, self._answer = task.id, None
            self._selector.register(self._terminal, selectors.EVENT_READ, self._hear)
        if self._answer is None:
            return None
        self._asked = None
        return self._answer[:1] in (b"y", b"Y")

    def _open(self) -> None:
        if self._terminal < 0:
            try:
                self._terminal = os.open("/dev/tty", os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise AqueError(f"failed to open /dev/tty for reading: {error.strerror}") from None

    def _hear(self) -> None:
        """Take a line: a terminal gives one at a time, or nothing at the end of the file."""
        self._answer = os.read(self._terminal, _LONGEST)
        self._selector.unregister(self._terminal)
