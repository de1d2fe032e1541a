"""Own what a finished process has used, as the kernel counted it."""

from __future__ import annotations

import resource
import sys
from typing import Any, NamedTuple

#: ru_maxrss is in KiB on Linux and in bytes on macOS (getrusage(2) of each).
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Usage(NamedTuple):
    """Seconds of cpu and bytes of memory at the peak."""

    user_time: float | None = None
    system_time: float | None = None
    max_rss: int | None = None


def bytes_of(units: int) -> int:
    """Return a size in the kernel's units as bytes."""
    return units * _RSS_UNIT


class ChildUsage:
    """What wait4 reports of children that we spawned.

    Until its exec a vforked child has our memory, and the kernel counts that among its peaks: a
    peak that is no larger than our own says nothing, and is left out. Our own only grows, so the
    system is asked for it only where what it was would not do.
    """

    def __init__(self) -> None:
        self._own_peak = 0

    def of(self, rusage: Any) -> Usage:
        """Return the usage of a child that has ended."""
        peak = rusage.ru_maxrss
        if peak > self._own_peak:
            self._own_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        is_ours = peak <= self._own_peak
        return Usage(rusage.ru_utime, rusage.ru_stime, None if is_ours else peak * _RSS_UNIT)
