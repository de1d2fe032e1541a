"""Own whether failures are enough to end a run."""

from __future__ import annotations

from aque import states
from aque.commands.xargs.settings import Halt

#: Failures before a percentage counts: the first of all would be all of them.
_LEAST = 3


class Halting:
    """Counts ends; as text it is the word by which it ends the run."""

    def __init__(self, halt: Halt) -> None:
        self.now = halt.now
        self._halt = halt
        self._ended = 0
        self._failed = 0

    def __str__(self) -> str:
        failed = "1 command" if self._failed == 1 else f"{self._failed} commands"
        return f"{failed} failed; {'ending what runs' if self.now else 'nothing more is begun'}"

    def is_due(self, status: str) -> bool:
        """Count an end; whether the run is to end by it."""
        self._ended += 1
        self._failed += status != states.SUCCESS
        if status == states.SUCCESS:
            return False
        if self._halt.count:
            return self._failed >= self._halt.count
        return self._failed >= _LEAST and 100 * self._failed >= self._halt.percent * self._ended
