"""Own how the ends of commands add up to an exit status.

GNU xargs 4.9 has its precedence by accident rather than by its manual, and scripts may rely on it
(found by running it):
- A command that failed makes it 123 in the end, whatever else was.
- What ends the run while there is more to do (255, a signal, a command that cannot be run, input
  that makes no sense) gives its own status, unless a command failed before, or among those that
  were running and are awaited. Should one of those end the run once more, that is the last word.
- Once all has been started, what would end the run has the last word at once.
- Standard input that could not be read makes it 1, except over 123.
"""

from __future__ import annotations

FAILED, ABORTED, SIGNALLED, NOT_EXECUTABLE = 123, 124, 125, 126


class Tally:
    """The exit status so far."""

    def __init__(self) -> None:
        self._has_failed = False
        self._stop: int | None = None
        self._last_word: int | None = None

    @property
    def is_settled(self) -> bool:
        """Whether nothing that ends from now on counts, or is told."""
        return self._last_word is not None

    def fail(self) -> None:
        """Count a command that failed."""
        self._has_failed = self._has_failed or not self.is_settled

    def stop(self, status: int, is_last: bool) -> None:
        """Count what ends the run; `is_last` if all had been started."""
        if self.is_settled:
            return
        if is_last or self._stop is not None:
            self._last_word = status
        else:
            self._stop = status

    def status(self, is_input_broken: bool) -> int:
        if self._has_failed and not self.is_settled:
            return FAILED
        if is_input_broken:
            return 1
        return self._last_word or self._stop or 0
