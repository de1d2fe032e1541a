"""Own the signals while the watch has the terminal: those that end it, and those that stop it.

curses would see to Ctrl-Z by itself, but ignores it while it draws, so that it is often lost. Where
a program has a handler of its own beforehand curses leaves the signal alone, and Python runs the
handler between two calls of curses. A signal that ends is raised once, so that a second one cannot
come between and leave the terminal half restored. What is ignored, as HUP is under nohup, stays so.
"""

from __future__ import annotations

import curses
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_HANDLED = (*_ENDING, signal.SIGTSTP, signal.SIGCONT)


class Ended(BaseException):
    """A signal asks the program to end; that the terminal has gone is as good as HUP."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def blocked() -> Iterator[None]:
    """Have them wait while the terminal is being taken."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Signals:
    """The handlers, from `take` until `give_back`."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._is_ending = False

    def take(self) -> None:
        """Install them, before curses begins and while they are blocked."""
        handlers = {signal.SIGTSTP: self._stop, signal.SIGCONT: self._go_on}
        for number in _HANDLED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, handlers.get(number, self._end))

    def hold(self) -> None:
        """Let no signal come between from here on."""
        self._is_ending = True

    def give_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        if not self._is_ending:
            self.hold()
            raise Ended(number)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """Give the terminal back, and take it again once continued."""
        if self._is_ending:
            return
        leave()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self._stop)
        if curses.isendwin():  # nothing stops where no shell could continue it
            _return()

    def _go_on(self, number: int, frame: FrameType | None) -> None:
        """Take the terminal again; a STOP left no time to give it back."""
        if not self._is_ending:
            leave()
            _return()


def leave() -> None:
    """Have the terminal as it was before."""
    try:
        if not curses.isendwin():
            curses.endwin()
    except curses.error:  # it has gone
        pass


def _return() -> None:
    """Show again what was shown; a window that became another size meanwhile is told so."""
    curses.doupdate()
    signal.raise_signal(signal.SIGWINCH)
