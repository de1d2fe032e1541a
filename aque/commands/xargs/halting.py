"""Own whether failures are enough to end a run."""

from __future__ import annotations

from aque import states
from aque.commands.xargs.settings import Halt

#: Failures before a percentage counts: the first of all would be all of them.
_LEAST = 3


class Halting:
    """Counts ends. `failed` is how many of them were failures."""

    def __init__(self, halt: Halt) -> None:
        self.now = halt.now
        self.failed = 0
        self._halt = halt
        self._ended = 0

    def is_due(self, status: str) -> bool:
        """Count an end; whether the run is to end by it."""
        self._ended += 1
        self.failed += status != states.SUCCESS
        if status == states.SUCCESS:
            return False
        if self._halt.count:
            return self.failed >= self._halt.count
        return self.failed >= _LEAST and 100 * self.failed >= self._halt.percent * self._ended
