"""Own the last line of the screen: what is said there, and what a person is asked."""

from __future__ import annotations

import time
from collections.abc import Callable

from aque.commands import terminal
from aque.commands.watch.screen import Screen

#: Seconds that what was said of an act stays.
_SAID = 5.0
_FOREVER = 3600.0
#: Columns in which an answer is typed.
_ANSWER = 10


class Prompt:
    """Asks in the last line: `draw` draws the screen with it, `look` sees to one resized."""

    def __init__(self, screen: Screen, draw: Callable[[], None], look: Callable[[], None]) -> None:
        self._screen = screen
        self._draw = draw
        self._look = look
        self._said, self._said_until = "", 0.0

    @property
    def said(self) -> str:
        """What stands there now, if anything does."""
        return self._said if time.monotonic() < self._said_until else ""

    def say(self, text: str) -> None:
        self._said, self._said_until = terminal.safe(text), time.monotonic() + _SAID

    def fit(self, text: str, others: int) -> str:
        """Cut a text that stands among so many `others` columns, with room for an answer."""
        screen = self._screen.terminal
        return screen.fit(text, max(0, self._screen.width - others - _ANSWER))

    def confirm(self, question: str) -> bool:
        return self.choose(f"{question} y/n", "yn") == "y"

    def choose(self, question: str, answers: str) -> str | None:
        """Ask for one of these keys; any other is None."""
        while True:
            self._show(question)
            key = self._screen.key(_FOREVER)
            if key == "resize":
                self._look()
            elif key:
                return key if key in answers else None

    def read(self, question: str, text: str = "") -> str | None:
        """Ask for a line of text; None where it was left."""
        while True:
            self._show(f"{question}{text}_")
            key = self._screen.key(_FOREVER)
            if key == "enter":
                return text.strip()
            if key == "escape":
                return None
            if key == "backspace":
                text = text[:-1]
            elif key == "resize":
                self._look()
            elif key is not None:
                text += " " if key == "space" else key if len(key) == 1 else ""

    def _show(self, question: str) -> None:
        room = self._screen.width - 1
        self._said, self._said_until = terminal.safe(question)[-room:], time.monotonic() + _FOREVER
        self._draw()
        self._said_until = 0.0
