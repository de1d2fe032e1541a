"""Own -p: whether a person at the terminal wants a command run.

The answer is waited for beside all else, so that what runs is heard of meanwhile.
"""

from __future__ import annotations

import os
import selectors
from collections.abc import Sequence

from aque import task as tasks
from aque.brokers.base import Broker
from aque.commands.xargs import quoting, write
from aque.commands.xargs.backlog import Backlog
from aque.errors import AqueError
from aque.task import Task

_LONGEST = 4096


class Asker:
    """Asks for one command at a time, on standard error, and hears the terminal."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._terminal = -1
        self._asked: int | None = None
        self._answer: bytes | None = None

    def take(self, backlog: Backlog, broker: Broker) -> Task | None:
        """Take the next task that is wanted, once the answer has come, and cancel those before.

        Raises AqueError where there is no terminal.
        """
        while (task := backlog.first()) is not None:
            answer = self._ask(task)
            if answer is None:
                return None
            backlog.take()
            if answer:
                return task
            broker.cancel_waiting([task.id])
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
