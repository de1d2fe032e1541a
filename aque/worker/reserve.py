"""Own the room that output leaves on the disk of a queue.

A task may write until a disk is full. Were its output let, no end could be recorded any more and no
kill, and what would have to be freed is that output itself. So the last 16 MiB, the room that a
write-ahead log takes before it is used again, are for the queue: output waits from there on, as it
would on a full disk, while tasks are killed, removed and submitted. On a disk so small that this
would be most of it, it is a third.

The log is copied into the queue when output begins to wait, and each minute while it does: it is
written from its begin then, so that heartbeats do not eat up what is left. A file that keeps room
was rejected: whatever else writes to that disk would take what it gives up.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

from aque.errors import AqueError
from aque.worker.complaint import Complaint

_LEAST, _SHARE = 16 << 20, 3
#: Bytes that are written until it is looked again: on a network a look takes as long as a write.
_AHEAD = 1 << 20

log = logging.getLogger("aque.worker")


class Reserve:
    """What all output of a worker leaves. `make_room` has the queue need no more than it must."""

    def __init__(self, make_room: Callable[[], object]) -> None:
        self._make_room = make_room
        self._known = 0
        self._complaint = Complaint()

    def take(self, descriptor: int, size: int) -> int:
        """Return how many bytes of so many may be written to a file now."""
        if self._known < size:
            self._known = min(_AHEAD, room(os.fstatvfs(descriptor)))
        taken = min(self._known, size)
        self._known -= taken
        return taken

    def complain(self, task: int, trouble: str) -> None:
        """Say that output of a task waits, unless it was just said of one, and make room."""
        if self._complaint.is_due(trouble, time.monotonic()):
            remedy = f"free some room, or aque-kill {task} gives it up"
            log.error("output of task %d waits: %s; %s", task, trouble, remedy)
            try:
                self._make_room()
            except AqueError as error:
                log.info("no room was made: %s", error)


def room(disk: os.statvfs_result) -> int:
    """Return the bytes of a disk that output may take."""
    free = disk.f_bfree if os.geteuid() == 0 else disk.f_bavail
    if not disk.f_blocks:  # a file system that does not tell
        return _AHEAD
    return max(0, free * disk.f_frsize - min(_LEAST, disk.f_blocks * disk.f_frsize // _SHARE))
