"""Own what --bar and --eta show on standard error: how much is done, and how long the rest takes.

How much there is to do is known once the input has ended; until then what is done is counted.

On a terminal the commands write beside us, at any moment, and a line that we write over again and
again would be torn to pieces by what they write, as theirs would be by it. To have their output go
through us would take the terminal from them. So the last row of the screen is made ours: all above
it is set to scroll alone, which is how apt shows how far it is. Each drawing is one write, which a
terminal does not mix with others', and leaves the cursor where it was. It sets the rows that
scroll anew, since a command may have changed that, or a person the size of the window. At the end
the row is given back, and the last word is a line as any other.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from aque.commands.xargs import write

_WIDTH = 24
#: Seconds between two drawings: on a terminal, and of lines elsewhere.
_INTERVAL, _INTERVAL_ELSEWHERE = 0.1, 10.0
#: A screen of fewer rows has none to spare.
_LEAST_ROWS = 4
_SAVE, _RESTORE, _ERASE_LINE, _UP = "\x1b7", "\x1b8", "\x1b[K", "\x1b[A"


class Progress:
    """Shows progress. `left` tells how many commands are yet to end; None while more may come."""

    def __init__(self, bar: bool, eta: bool, left: Callable[[], int | None]) -> None:
        self._bar = bar
        self._eta = eta
        self._left = left
        self._done = self._failed = 0
        self._began = time.monotonic()
        self._row = _Row() if _has_row() else None
        self._shown_at = 0.0
        self._is_closed = False

    def count(self, is_failure: bool) -> None:
        """Count a command that has ended."""
        self._done += 1
        self._failed += is_failure
        self.show()

    def show(self) -> None:
        """Show how far it is, unless that was shown a moment ago."""
        now = time.monotonic()
        if now - self._shown_at >= (_INTERVAL_ELSEWHERE if self._row is None else _INTERVAL):
            self._shown_at = now
            if self._row is None:
                write(2, self._text(now) + "\n")
            else:
                self._row.draw(self._text(now))

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
        failed = f", {self._failed} failed" if self._failed else ""
        if left is None:
            return f"{self._done} done{failed}"
        total = self._done + left
        part = self._done / total if total else 1.0
        text = f"{self._done} of {total} done{failed}"
        if self._bar:
            text = f"[{'#' * int(part * _WIDTH):{_WIDTH}}] {part:4.0%}  {text}"
        if self._eta and self._done:
            text += f", {_clock((now - self._began) / self._done * left)} left"
        return text


class _Row:
    """The last row of the terminal, kept from scrolling from the first drawing on."""

    def __init__(self) -> None:
        self._rows = 0

    def draw(self, text: str) -> None:
        try:
            columns, rows = os.get_terminal_size(2)
        except OSError:  # it was closed
            return
        if rows < _LEAST_ROWS:
            self.give_back()
            return
        told = ""
        if rows != self._rows:
            told = self._move(rows)
        told += f"{_SAVE}\x1b[1;{rows - 1}r\x1b[{rows};1H{text[: columns - 1]}{_ERASE_LINE}"
        write(2, told + _RESTORE)

    def give_back(self) -> None:
        if self._rows:
            write(2, f"{_SAVE}\x1b[{self._rows};1H{_ERASE_LINE}\x1b[r{_RESTORE}")
            self._rows = 0

    def _move(self, rows: int) -> str:
        """Leave the row of before, and the new one if the cursor is in it."""
        left = f"{_SAVE}\x1b[r\x1b[{self._rows};1H{_ERASE_LINE}{_RESTORE}" if self._rows else ""
        self._rows = rows
        return f"{left}\n{_UP}"


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
