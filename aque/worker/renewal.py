"""Own when a worker takes over new code: asked to, and once a child has shown that it starts.

A HUP (or a changed file) asks. What is installed may be half a copy, or broken, and an exec cannot
be taken back: so the program is first started once in a child, which imports all a worker needs,
opens the queue, and ends. Meanwhile the worker works on. If the child fails, the old code goes on
and says why; if it does not, the worker execs as soon as it has told the queue all it knows.

HUPs that come while a child is at it are answered by the same exec, which takes what is installed
then. They count only where the child fails, since what made it fail may have been put right: then
the next child is started at once.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterable
from typing import IO, Any

from aque.worker import files, program
from aque.worker.program import Program
from aque.worker.watching import Watch

#: Seconds after which a program that neither starts nor fails is given up.
_PATIENCE = 60.0
_SHOWN = 2000

log = logging.getLogger("aque.worker")


class Renewal:
    """The way of one worker to the code that is installed now, its `program`.

    With a watch it asks itself, when that says so.
    """

    def __init__(self, program: Program, watch: Watch | None = None) -> None:
        self.program = program
        self._watch = watch
        self.is_ready = False
        self._is_asked = False
        self._pid: int | None = None
        self._said: IO[bytes] | None = None
        self._deadline = 0.0

    def ask(self) -> None:
        """Take over new code, if it starts."""
        self._is_asked = True

    def state(self) -> dict[str, Any] | None:
        """Return what the program after a reload is to know of the files."""
        return None if self._watch is None else self._watch.state()

    def look(self) -> None:
        """Look whether the code has changed; to be called at each poll."""
        if self._watch is not None and self._watch.has_changed():
            log.info("the code has changed")
            self.ask()

    def note_imported(self, paths: Iterable[str]) -> None:
        """Hear which files a task has imported."""
        if self._watch is not None:
            self._watch.add(paths)

    def attend(self) -> None:
        """Start the child that is to show it, or end one that takes too long."""
        if self._pid is not None:
            if time.monotonic() >= self._deadline:
                os.kill(self._pid, signal.SIGKILL)
        elif self._is_asked and not self.is_ready:
            self._is_asked = False
            self._start()

    def next_deadline(self) -> float | None:
        """Return the monotonic time at which a child is given up."""
        return None if self._pid is None else self._deadline

    def note_ended(self, pid: int, wait_status: int) -> bool:
        """Hear of the end of a child; whether it was ours."""
        if pid != self._pid:
            return False
        self._pid = None
        if wait_status:
            self.refuse(self._reason(wait_status))
        else:
            self.is_ready = True
        self._close()
        return True

    def refuse(self, reason: str) -> None:
        """Say why the old code goes on."""
        self.is_ready = False
        log.error("cannot reload, the old code goes on: %s", reason)

    def abandon(self) -> None:
        """End what is under way: the worker is about to."""
        self._is_asked = False
        if self._pid is not None:
            os.kill(self._pid, signal.SIGKILL)
            self._deadline = float("inf")

    def _start(self) -> None:
        try:
            self._said = open(files.nameless(), "w+b")  # noqa: SIM115
            self._pid = program.spawn_check(self.program, self._said.fileno())
            self._deadline = time.monotonic() + _PATIENCE
        except OSError as error:
            self._close()
            self.refuse(str(error))

    def _reason(self, wait_status: int) -> str:
        if time.monotonic() >= self._deadline:
            return f"the new code had not started after {_PATIENCE:g} s"
        lines = self._last_words().split("\n")
        return lines[-1] or f"it ended with status {os.waitstatus_to_exitcode(wait_status)}"

    def _last_words(self) -> str:
        assert self._said is not None
        self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, self._said.tell() - _SHOWN))
        return self._said.read().decode(errors="replace").rstrip()

    def _close(self) -> None:
        if self._said is not None:
            self._said.close()
        self._said = None
