"""Own the connections to one queue file: two a thread, none across a fork, no write unlocked.

Every write is a `Transaction`, opened by `Database.write` alone: it holds the write lock (lock.py)
from before BEGIN IMMEDIATE until after COMMIT, numbers the transitions, has a durable commit synced
(sync.py), and rings its bells once the commit is visible and the lock let go. All else reads by a
connection of its own that is `query_only` for good (switching that pragma to and fro has SQLite
compile every statement anew: three quarters of a claim's time).

A connection that a fork inherited must not even be closed: a COMMIT would commit the parent's
transaction, and closing may checkpoint. The child puts it away unclosed, never to be freed, and
opens its own. Nothing but SQLite ever opens the database file: closing any other descriptor of it
drops the locks that SQLite holds.

What journal a queue has, its file says, not its place: a queue that was made for a shared disk is
one wherever it is opened. The other way round, one with a write-ahead log that nobody uses is given
the journal of a shared disk when it is opened there.

A file that was moved away, removed or replaced under an open connection would go on to be read and
written by it, and by nobody else. So each use looks whether the path still names the file that was
opened, which takes a microsecond.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from aque import bell
from aque.brokers.sqlite import beside, kernel, migrations, place
from aque.brokers.sqlite.failures import replaced, translated
from aque.brokers.sqlite.lock import AT_CLOSE, TIMEOUT, WriteLock
from aque.brokers.sqlite.sync import Log
from aque.brokers.sqlite.transaction import Row, Transaction
from aque.errors import BrokerError
from aque.location import Location, quoted
from aque.record import replace

#: A ring may cost us the cpu, so who is to do something about it comes first.
_URGENCY = (bell.READY, bell.SIGNAL, bell.DONE, bell.OUTPUT)


class _Thread:
    """What one thread of one process has open; closed with the thread, or the process, at last."""

    def __init__(self, lock: WriteLock) -> None:
        self.pid = os.getpid()
        self.lock = lock
        self.writer: sqlite3.Connection | None = None
        self.reader: sqlite3.Connection | None = None
        self.opened: list[sqlite3.Connection] = []
        self.log = Log(lock.queue)
        whose = weakref.ref(self), self.pid
        self.close = weakref.finalize(self, _close, *whose, lock, self.opened, self.log)


def _close(
    of: weakref.ref[_Thread], pid: int, lock: WriteLock, opened: list[sqlite3.Connection], log: Log
) -> None:
    """Close connections under the lock, since the last one to close checkpoints.

    Where the lock cannot be had, whoever has it has the queue open, and ours is not the last. What
    is collected does not wait: that may happen in a transaction, which holds the lock, at any line.
    """
    if pid != os.getpid():  # where a daemon has closed all, the log's number is another's now
        _keep(opened)
        return
    log.close()
    if opened:
        with suppress(BrokerError, OSError), lock.held(AT_CLOSE if of() else 0.0):
            _close_all(opened)
            kernel.retire(lock)
    _close_all(opened)
    lock.close()


def _keep(inherited: list[sqlite3.Connection]) -> None:
    """Have what a fork inherited never be freed, which would close it."""
    if inherited:
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))


def _close_all(opened: list[sqlite3.Connection]) -> None:
    for connection in opened:
        try:
            connection.close()
        except sqlite3.ProgrammingError:
            pass  # of a thread that still runs while the process ends: the kernel closes it
    opened.clear()


class Database:
    """One queue file. Made where it is missing, unless `create` is false; `is_new` says so."""

    def __init__(
        self, location: Location, durable: bool, create: bool, lock_timeout: float = TIMEOUT
    ) -> None:
        self.location = location
        self._durable = durable
        self._lock_timeout = lock_timeout
        self._local = threading.local()
        self._file: tuple[int, int] | None = None
        self.is_new = False
        place.refuse(location.path)
        place.refuse_unwritable(location.path)
        _refuse_other_database(location.path, create)
        place.find_room(location, create)
        try:
            self._writer(self._thread(), create)
        except BaseException:
            self.close()
            raise

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run one query to its end; a half-read one would pin the write-ahead log."""
        reader = self._reader(self._thread())
        with translated(self.location.path):
            return reader.execute(sql, values).fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Have the reads of this thread see one state of the queue."""
        reader = self._reader(self._thread())
        with translated(self.location.path):
            reader.execute("BEGIN")
            try:
                yield
            finally:
                reader.execute("COMMIT")

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Open a write transaction; it commits at the end, or on an exception rolls back."""
        thread = self._thread()
        writer = self._writer(thread)
        before = writer.total_changes
        is_synced = self._durable and not self.location.is_shared
        with translated(self.location.path):
            with thread.lock.held():
                self._refuse_another()  # who had the lock may have put a copy in its place
                try:
                    writer.execute("BEGIN IMMEDIATE")
                    if is_synced:
                        thread.log.open()
                    transaction = Transaction(writer)
                    yield transaction
                    transaction.finish()
                    writer.execute("COMMIT")
                finally:
                    if writer.in_transaction:
                        writer.execute("ROLLBACK")
            if is_synced and writer.total_changes != before:
                thread.log.sync()
        if not transaction.is_rung_later:
            for name in sorted(transaction.rings, key=_URGENCY.index):
                bell.ring(self.location.directory, name)

    def writes_elsewhere(self) -> int:
        """Return a number that changes when another connection has written."""
        with translated(self.location.path):
            ((number,),) = self._writer(self._thread()).execute("PRAGMA data_version").fetchall()
        return int(number)

    def shrink(self, pages: int) -> bool:
        """Give up to so many free pages back to the file system; whether there are more.

        At last, or where there is no room even for that, the log is copied into the file: that gets
        shorter by it, and the log is written from its begin again.
        """
        left, thread = 0, self._thread()
        writer = self._writer(thread)
        with translated(self.location.path), thread.lock.held():
            try:
                # Through `execute` it would free a single page.
                writer.executescript(f"PRAGMA incremental_vacuum({pages})")
                ((left,),) = writer.execute("PRAGMA freelist_count").fetchall()
            finally:
                if not left:
                    writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        return bool(left)

    def copy(self, path: str) -> None:
        """Copy the queue, as it is at one moment, into a database that is there, and empty."""
        reader = self._reader(self._thread())
        with translated(self.location.path):
            copy(reader, path)

    def close(self) -> None:
        """Close this thread's connections. The last one to close checkpoints, hence the lock."""
        thread: _Thread | None = getattr(self._local, "thread", None)
        if thread is not None and thread.pid == os.getpid():
            self._local.thread = None
            thread.close()

    def _thread(self) -> _Thread:
        thread: _Thread | None = getattr(self._local, "thread", None)
        if thread is None or thread.pid != os.getpid():
            thread = _Thread(WriteLock(self.location.path, self._lock_timeout))
            self._local.thread = thread
        return thread

    def _refuse_another(self) -> None:
        if self._file is not None and _identity(self.location.path) != self._file:
            raise replaced(self.location.path)

    def _writer(self, thread: _Thread, create: bool = False) -> sqlite3.Connection:
        self._refuse_another()
        if thread.writer is None:
            thread.writer = self._connect(thread.lock, create)
            thread.opened.append(thread.writer)
        return thread.writer

    def _reader(self, thread: _Thread) -> sqlite3.Connection:
        self._refuse_another()
        if thread.reader is None:
            thread.reader = self._connect(thread.lock)
            thread.opened.append(thread.reader)
            thread.reader.execute("PRAGMA query_only = ON")
        return thread.reader

    def _connect(self, lock: WriteLock, create: bool = False) -> sqlite3.Connection:
        path = self.location.path
        if not create and not os.path.exists(path):
            raise place.missing(self.location)
        with translated(path), lock.held():
            kernel.check(lock, self.location.journal)
            if create:
                self.is_new = place.create_empty(path)
            connection = sqlite3.connect(path, timeout=TIMEOUT, isolation_level=None)
            try:
                migrations.check(connection, path)
                migrations.refuse_empty(connection, path, create)
                beside.make_directory(self.location.directory, path)
                mode = migrations.prepare(connection, path, self.location.journal)
                self.location = replace(self.location, journal=mode, is_shared=mode == "delete")
                if not self.location.is_shared:
                    kernel.declare(lock)
                migrations.migrate(connection)
                self._file = self._file or _identity(path)
                _configure(connection, self.location.is_shared)
            except BaseException:
                connection.close()
                raise
        return connection


def _identity(path: str) -> tuple[int, int] | None:
    try:
        there = os.stat(path)
    except OSError:
        return None
    return there.st_dev, there.st_ino


def _configure(connection: sqlite3.Connection, is_shared: bool) -> None:
    for pragma in (
        # What is to be synced in a write-ahead log is synced by sync.py.
        f"synchronous = {'FULL' if is_shared else 'NORMAL'}",
        "foreign_keys = ON",
        "journal_size_limit = 67108864",
        # 16 MB: the same few pages change in each submit, and are then written back once for many.
        "wal_autocheckpoint = 4000",
        "secure_delete = 0",
        "mmap_size = 0",
    ):
        connection.execute("PRAGMA " + pragma).fetchall()


def _refuse_other_database(path: str, create: bool) -> None:
    """Look what a file is before anything is made beside it, where aque has not used it yet.

    There is no lock to hold yet, and whoever can only read does not checkpoint.
    """
    if os.path.exists(path) and not os.path.exists(path + "-lock"):
        with translated(path):
            connection = sqlite3.connect(f"file://{quoted(path)}?mode=ro", uri=True)
            try:
                migrations.check(connection, path)
                migrations.refuse_empty(connection, path, create)
            finally:
                connection.close()


def copy(reader: sqlite3.Connection, path: str) -> None:
    """Copy what a connection reads into a database that is there, and empty."""
    to = sqlite3.connect(path)
    try:
        reader.backup(to)  # in one step: in several, each commit would begin it anew
    finally:
        to.close()
