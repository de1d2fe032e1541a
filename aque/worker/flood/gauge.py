"""Own whether commands follow each other so fast that it is a flood."""

from __future__ import annotations

import sys
import time

#: What makes a flood: so many ends in no more than so many seconds, so many times in a row. After
#: one that has lasted it is enough once; after one that has not, it takes twice as many as before.
_ENDS, _SECONDS, _TIMES, _TIMES_MOST = 3, 0.03, 1, 256
#: Seconds.
_LASTING = 0.1
#: Slots from which on it makes no difference who starts.
_SLOTS_MOST = 64


class Gauge:
    """Tells when commands come so fast that it is a flood."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._times = 0
        self._needed = _TIMES

    def note(self, ended: int, now: float) -> None:
        """Hear how many commands have ended since it was told last; `now` is monotonic."""
        is_fast = ended >= _ENDS and now <= self._at + _SECONDS
        self._times = self._times + 1 if is_fast else 0
        self._at = now

    def is_flood(self, slots: int) -> bool:
        """Whether there is one, of which so many may run at a time."""
        return self._times >= self._needed and slots <= _SLOTS_MOST and sys.platform == "linux"

    def note_flood(self, lasted: float) -> None:
        """Hear that one is over that was there for so many seconds."""
        self._times = 0
        self._needed = 1 if lasted > _LASTING else min(2 * self._needed, _TIMES_MOST)
