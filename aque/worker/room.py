"""Own how many jobs the system has room for, where that is less than the worker may run.

A process or a pipe that is not to be had is no fault of the task, which is put back. From then on
no more are run than were running; when a job ends another may start, and after a while one more is
tried, each second at first and each ten while that fails.
"""

from __future__ import annotations

import errno

from aque.worker.complaint import Complaint

_SHORTAGES = frozenset((errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE))
#: Seconds until one more is tried: the first, and what that grows to.
_FIRST, _LAST = 1.0, 10.0

_UNBOUNDED = 1 << 62


def is_shortage(error: OSError) -> bool:
    """Whether the system lacks what a start needs: processes, memory or descriptors."""
    return error.errno in _SHORTAGES


class Room:
    """As many jobs as there was room for. Each `now` is monotonic."""

    def __init__(self) -> None:
        self._most = _UNBOUNDED
        self._delay = _FIRST
        self._complaint = Complaint()
        #: When one more is tried.
        self.look_at = 0.0

    def most(self, now: float) -> int:
        """Return how many jobs may run at once."""
        return self._most if now < self.look_at else self._most + 1

    def note_started(self, running: int) -> None:
        """Hear that one was started, and how many run now."""
        self._delay = _FIRST
        self._most = max(self._most, running)

    def note_shortage(self, running: int, now: float) -> bool:
        """Hear that there was no room beside those that run; whether that is worth a word."""
        self._most = running
        self.look_at = now + self._delay
        self._delay = min(2 * self._delay, _LAST)
        return self._complaint.is_due("no room", now)
