"""Own how often trouble that lasts is told: once, and again each minute."""

from __future__ import annotations

#: Seconds until the same trouble is spoken of again.
_INTERVAL = 60.0


class Complaint:
    """What was told last, and when it may be told again."""

    def __init__(self) -> None:
        self._told = ""
        self._again_at = 0.0

    def is_due(self, trouble: str, now: float) -> bool:
        """Whether this trouble is to be told `now`, monotonic; if so it is taken as told."""
        if trouble == self._told and now < self._again_at:
            return False
        self._told, self._again_at = trouble, now + _INTERVAL
        return True
