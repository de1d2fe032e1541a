"""Own how a queue is looked at where it cannot be written to: a mode, a full disk, a read-only one.

SQLite needs to write even to read a write-ahead log: it makes the -wal and the -shm, with the mode
of the queue. Of a queue that may only be read they would then be in everybody's way, for good, once
it may be written to again. So what makes nothing is asked for (sqlite.org/wal.html, section 9):

- Where there is a log, it is read by the -shm that belongs to it, or if nobody is there to keep
  that right, by one in memory: `readonly_shm`, a parameter of SQLite's files on Unix.
- Where there is none, the file is all there is, and does not change while we keep writers out. That
  is what `immutable` promises; it takes none of SQLite's own locks, for which there is no place.

Each look opens the file anew, a tenth of a millisecond, since the one may become the other. An
immutable connection that is closed drops the locks of all others of its process, so whoever has
come to write meanwhile looks by that (`SQLiteBroker`).
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from aque.brokers.sqlite import connection, kernel, migrations
from aque.brokers.sqlite.failures import translated
from aque.brokers.sqlite.lock import TIMEOUT, WriteLock
from aque.brokers.sqlite.transaction import Row
from aque.errors import BrokerError, UnwritableError
from aque.location import Location, quoted


def instead(location: Location, refusal: BrokerError) -> Glance:
    """Return a queue that cannot be opened, as it can be looked at; raise `refusal` if it cannot.

    It cannot where there is a log and no -shm, or a journal of a crash.
    """
    try:
        return Glance(location)
    except UnwritableError:
        raise refusal from None


class Glance:
    """A queue of which nothing is held open, and in which and beside which nothing is changed."""

    is_new = False

    def __init__(self, location: Location) -> None:
        self.location = location
        self._local = threading.local()
        with self._opened() as looking:
            migrations.check(looking, location.path)
            migrations.refuse_empty(looking, location.path, create=False)

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        with self._opened() as looking:
            return looking.execute(sql, values).fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Have the reads of this thread see one state of the queue."""
        with self._opened() as looking:
            looking.execute("BEGIN")
            self._local.looking = looking
            try:
                yield
            finally:
                self._local.looking = None

    def copy(self, path: str) -> None:
        """Copy the queue, as it is at one moment, into a database that is there, and empty."""
        with self._opened() as looking:
            connection.copy(looking, path)

    def close(self) -> None:
        """There is nothing to close."""

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        looking: sqlite3.Connection | None = getattr(self._local, "looking", None)
        if looking is not None:
            yield looking
            return
        path = self.location.path
        with translated(path), self._kept_still():
            looking = sqlite3.connect(_uri(path), uri=True, isolation_level=None, timeout=TIMEOUT)
            try:
                yield looking
            finally:
                looking.close()

    @contextmanager
    def _kept_still(self) -> Iterator[None]:
        """Keep writers out, and see that none of another kernel is there."""
        lock = WriteLock(self.location.path, is_to_look=True)
        try:
            with lock.held() if os.path.exists(lock.path) else nullcontext():
                if lock.is_held:
                    kernel.check(lock, self.location.journal)
                yield
        finally:
            lock.close()


def _uri(path: str) -> str:
    has_log = any(_size(path + suffix) for suffix in ("-wal", "-journal"))
    how = "mode=ro&readonly_shm=1" if has_log else "immutable=1"
    return f"file://{quoted(path)}?{how}"


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
