"""Own that what a person has submitted is on the disk before anybody is told that it is stored.

With `synchronous=FULL` SQLite syncs its log within COMMIT, and a sync takes as long as all else of
a submit together. All other writers wait meanwhile, since the write lock is held: the worker that
was just woken for the task before, and other submitters. So all connections to a write-ahead log
commit with `NORMAL`, which leaves the sync out, and who needs it syncs the log when the lock has
been let go. Several then do so at the same time, and the disk does it once for all.

When `sync` returns it is as after a commit with FULL. The log is one file, so all that was written
to it before is on the disk too, in order: frames of others, and the header, which SQLite syncs by
itself when it begins the log anew. That happens only after a checkpoint, which under NORMAL syncs
the log first and the database after; what was committed by us is in one of both. SQLite's own locks
lie on other files (the -shm), so closing a descriptor of the log drops none.

What others see between commit and sync may be lost in a power cut, and a worker may have begun it;
but nobody was told an id. Bells are rung after the sync. A rollback journal has no such way.
"""

from __future__ import annotations

import os

from aque.errors import BrokerError

#: Writes no more than the data and what is needed to find it; macOS has none.
_sync = getattr(os, "fdatasync", os.fsync)


class Log:
    """The write-ahead log of the queue at `path`."""

    def __init__(self, path: str) -> None:
        self._path = path + "-wal"
        self._descriptor = -1

    def open(self) -> None:
        """Open the log that there is; call it once BEGIN has it made, and before a write.

        Linux tells each who had the file open of an error in writing it back, once; who opens it
        when another has been told already is told no more.
        """
        if self._descriptor < 0 or not os.fstat(self._descriptor).st_nlink:
            self.close()
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)

    def sync(self) -> None:
        """Return when all that was committed is on the disk. Raises BrokerError where it is not.

        It is in the queue all the same, and whoever tries again would have it there twice.
        """
        try:
            _sync(self._descriptor)
        except OSError as error:
            raise BrokerError(
                f"it is in the queue, but the disk has not confirmed {self._path} "
                f"({error.strerror}); see aque-status before you try again"
            ) from error

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1
