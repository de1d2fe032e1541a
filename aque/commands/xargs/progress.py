"""Own what --bar and --eta show on standard error: how much is done, and how long the rest takes.

How much there is to do is known once the input has ended; until then what is done is counted.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from aque.commands.xargs import write

_WIDTH = 24
#: Seconds between two lines: on a terminal, where the last is written over, and elsewhere.
_INTERVAL, _INTERVAL_ELSEWHERE = 0.1, 10.0


class Progress:
    """Shows progress. `left` tells how many commands are yet to end; None while more may come."""

    def __init__(self, bar: bool, eta: bool, left: Callable[[], int | None]) -> None:
        self._bar = bar
        self._eta = eta
        self._left = left
        self._done = self._failed = 0
        self._began = time.monotonic()
        self._is_terminal = os.isatty(2)
        self._shown_at = 0.0

    def count(self, is_failure: bool) -> None:
        """Count a command that has ended."""
        self._done += 1
        self._failed += is_failure
        self.show()

    def show(self) -> None:
        """Show how far it is, unless that was shown a moment ago."""
        now = time.monotonic()
        if now - self._shown_at >= (_INTERVAL if self._is_terminal else _INTERVAL_ELSEWHERE):
            self._shown_at = now
            self._write(now)

    def close(self) -> None:
        self._write(time.monotonic())
        if self._is_terminal:
            write(2, "\n")

    def _write(self, now: float) -> None:
        text = self._text(now)
        write(2, f"\r{text}\x1b[K" if self._is_terminal else f"{text}\n")

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


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
