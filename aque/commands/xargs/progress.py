"""Own what --bar and --eta show on standard error: how much is done, and how long the rest takes.

How much there is to do is known once the input has ended; until then what is done is counted.

On a terminal the commands write beside us, at any moment, and a line that we write over again and
again would be torn to pieces by what they write, as theirs would be by it. To have their output go
through us would take the terminal from them. So the last row of the screen is made ours: all above
it is set to scroll alone, which is how apt shows how far it is. Each drawing is one write, which a
terminal does not mix with others', and leaves the cursor where it was. It sets the rows that
scroll anew, since a command may have changed that. At the end the row is given back, and the last
word is a line as any other.

A window whose size changes has all its rows scroll again at once, before anybody is told, and where
its lines are afterwards is told to nobody. What is known is that they all are above the cursor, and
what was ours is below. So when we hear of it we erase that, and have no row until the size has been
kept for a while: a size that is drawn with a mouse changes faster than we are told. What commands
write before we hear of it goes into the row above ours, which is left blank for that.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from aque import states
from aque.commands.xargs import write

_WIDTH = 24
#: Seconds between two drawings: on a terminal, and of lines elsewhere.
_INTERVAL, _INTERVAL_ELSEWHERE = 0.1, 10.0
#: Seconds for which a window has kept its size when it has a row for us again.
_SETTLED = 0.5
#: A screen of fewer rows has none to spare.
_LEAST_ROWS = 5
_SAVE, _RESTORE, _ERASE_LINE = "\x1b7", "\x1b8", "\x1b[K"
#: Have all rows scroll, and two be there below the cursor, in whose column we stay.
_MAKE_ROOM = f"{_SAVE}\x1b[r{_RESTORE}\x1bD\x1bD\x1b[2A"
_ERASE_BELOW = f"{_SAVE}\x1b[B\r\x1b[J{_RESTORE}"


class Progress:
    """Shows progress. `left` tells how many commands are yet to end; None while more may come."""

    def __init__(self, bar: bool, eta: bool, left: Callable[[], int | None]) -> None:
        self._bar = bar
        self._eta = eta
        self._left = left
        self._done = self._failed = self._cancelled = 0
        self._began = time.monotonic()
        self._row = _Row() if _has_row() else None
        self._due_at = 0.0
        self._is_closed = False

    def count(self, status: str) -> None:
        """Count a command that has ended so."""
        self._done += 1
        self._failed += status == states.ERROR
        self._cancelled += status == states.CANCELLED
        self.show()

    def show(self) -> float:
        """Show how far it is, unless it is too soon; return when to try again, monotonic."""
        now = time.monotonic()
        if now < self._due_at:
            return self._due_at
        if self._row is None:
            self._due_at = now + _INTERVAL_ELSEWHERE
            write(2, self._text(now) + "\n")
        else:
            self._due_at = now + _INTERVAL
            self._row.draw(self._text(now))
        return float("inf")

    def resize(self) -> float:
        """Hear that the window has another size; return when to show it again, monotonic."""
        if self._row is not None:
            self._row.give_back()
            self._due_at = time.monotonic() + _SETTLED
        return self._due_at

    def rest(self) -> None:
        """Leave the terminal to others, until something is shown again."""
        if self._row is not None:
            self._row.give_back()

    def close(self) -> None:
        """Say how far it came, as the last line."""
        if not self._is_closed:
            self._is_closed = True
            if self._row is not None:
                self._row.give_back()
            write(2, self._text(time.monotonic()) + "\n")

    def _text(self, now: float) -> str:
        left = self._left()
        others = f", {self._failed} failed" if self._failed else ""
        others += f", {self._cancelled} cancelled" if self._cancelled else ""
        if left is None:
            return f"{self._done} done{others}"
        total = self._done + left
        part = self._done / total if total else 1.0
        text = f"{self._done} of {total} done{others}"
        if self._bar:
            text = f"[{'#' * int(part * _WIDTH):{_WIDTH}}] {part:4.0%}  {text}"
        if self._eta and self._done:
            text += f", {_clock((now - self._began) / self._done * left)} left"
        return text


class _Row:
    """The last row of the terminal, kept from scrolling from the first drawing on."""

    def __init__(self) -> None:
        self._size: os.terminal_size | None = None  # of the terminal, while the row is ours

    def draw(self, text: str) -> None:
        try:
            size = os.get_terminal_size(2)
        except OSError:  # it was closed
            return
        if size != self._size:
            self.give_back()
        if size.lines >= _LEAST_ROWS:
            self._size = size
            begin = f"{_MAKE_ROOM}{_SAVE}\x1b[1;{size.lines - 2}r\x1b[{size.lines};1H"
            write(2, f"{begin}{text[: size.columns - 1]}{_ERASE_LINE}{_RESTORE}")

    def give_back(self) -> None:
        if self._size is not None:
            self._size = None
            write(2, _MAKE_ROOM + _ERASE_BELOW)


def _has_row() -> bool:
    """Whether standard error is a terminal that can keep a row."""
    try:
        rows = os.get_terminal_size(2).lines
    except OSError:
        return False
    return os.isatty(2) and rows >= _LEAST_ROWS and os.environ.get("TERM", "dumb") != "dumb"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
