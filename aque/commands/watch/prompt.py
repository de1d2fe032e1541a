"""Own the last line of the screen: what is said there, and what a person is asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

from aque.commands import terminal
from aque.commands.watch.screen import Screen

#: Seconds that what was said of an act stays.
_SAID = 5.0
#: Columns in which an answer is typed.
_ANSWER = 10


class Prompt:
    """Asks in the last line: `draw` draws the screen with it, `look` looks each `interval`."""

    def __init__(
        self, screen: Screen, draw: Callable[[], None], look: Callable[[], None], interval: float
    ) -> None:
        self._screen = screen
        self._draw = draw
        self._look = look
        self._interval = interval
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
        """Ask whether to do something; what was typed before the question answers none."""
        self._screen.flush()
        is_wanted = self.choose(f"{question} y/n", "yn") == "y"
        if is_wanted:
            self._wait()
        return is_wanted

    def choose(self, question: str, answers: str) -> str | None:
        """Ask for one of these keys; any other is None."""
        while True:
            key = self._key(question)
            if key:
                return key if key in answers else None

    def read(self, question: str, text: str = "") -> str | None:
        """Ask for a line of text; None where it was left."""
        before, after = text, ""
        while True:
            key = self._key(question, before, f"_{after}")
            if key == "enter":
                self._wait()
                return (before + after).strip()
            if key == "escape":
                return None
            before, after = _edited(before, after, key)

    def _wait(self) -> None:
        """Say what may take long where somebody has the lock of the queue."""
        self._show("waiting for the queue; Ctrl-C quits", "", "")

    def _key(self, question: str, before: str = "", after: str = "") -> str:
        """Wait for a key beside a question, which stands over what goes on meanwhile."""
        while True:
            self._show(question, before, after)
            key = self._screen.key(self._interval)
            if key is not None and key != "resize":
                return key
            self._look()

    def _show(self, question: str, before: str, after: str) -> None:
        """Show a question with what was typed, as much of both as there is room for."""
        room, width = self._screen.width - 1, terminal.width_of
        asked = terminal.safe(question)
        asked = self._screen.terminal.fit(asked, max(_ANSWER, room - width(before + after)))
        while before and width(asked + before + after) > room:
            before = before[1:]
        self._said, self._said_until = asked + before + after, inf
        self._draw()
        self._said_until = 0.0


def _edited(before: str, after: str, key: str) -> tuple[str, str]:
    """Return a line as a key changes it: what stands before the cursor, and after."""
    if len(key) == 1 or key == "space":
        return before + (key if len(key) == 1 else " "), after
    word = before.rstrip()
    changed = {
        "backspace": (before[:-1], after),
        "delete": (before, after[1:]),
        "left": (before[:-1], before[-1:] + after),
        "right": (before + after[:1], after[1:]),
        "home": ("", before + after),
        "end": (before + after, ""),
        "ctrl-u": ("", after),
        "ctrl-w": (before[: word.rfind(" ") + 1], after),
    }
    same = {"ctrl-a": "home", "ctrl-e": "end", "ctrl-b": "left", "ctrl-f": "right"}
    return changed.get(same.get(key, key), (before, after))
