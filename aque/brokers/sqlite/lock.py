"""Own the write lock of a queue: an flock on `queue.db-lock`, held over every write.

SQLite up to 3.51.2 can lose committed writes when a reset of the WAL meets a checkpoint by another
connection (sqlite.org/wal.html, section 11), and most installed versions are older. So all of
aque's writers and checkpoints exclude each other by a lock of their own, which is also fairer than
SQLite's busy handler: eight busy writers wait 1 to 7 ms at the 99th percentile, not 79.

flock(2) knows no timeout, so the lock is tried: eight times each 0.02 to 0.08 ms, since most hold
it for less than 0.2 ms, then each 0.2 to 0.6 ms, by chance so that nobody is always late, and each
5 ms after the first 100 tries. Whoever holds it writes who it is into the file, which the error
after 30 s names. The file is never deleted by aque; should somebody else do it, two writers could
hold locks on two files, so after taking it the file on disk must be the file that is open. After
the holder the file has room for a note, read and written under the lock: which kernel uses the
queue (kernel.py). Who has told the lock its note finds it in a new file too.

A writer stopped by Ctrl-Z inside a transaction would stop everybody, so the three signals of the
terminal that stop are blocked meanwhile. Masks are a thread's own: a threaded program that is
stopped while another of its threads writes is what the 30 s are for.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from aque.brokers.sqlite import beside
from aque.errors import LockTimeoutError

#: Seconds to wait for the lock; and to close, as nobody who has it for so long leaves us the last.
TIMEOUT, AT_CLOSE = 30.0, 1.0

_STOPS = frozenset(map(int, (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)))
#: Without its wrapper, whose enums take 20 us a lock.
_mask = _signal.pthread_sigmask
_QUICK_TRIES, _EAGER_TRIES = 8, 100
_HOLDER_KEYS = {"host", "pid", "since"}
_HOLDER_SIZE = 256
_NOTE_SIZE = 512


class WriteLock:
    """The write lock of the queue at `path`, for one thread's connection.

    Who has it only `is_to_look` keeps writers out, shares it with others who look, and needs no
    more than to read the file, which must be there.
    """

    def __init__(self, path: str, timeout: float = TIMEOUT, is_to_look: bool = False) -> None:
        self.path = path + "-lock"
        self.queue = path
        self._timeout = timeout
        self._flags = os.O_RDONLY if is_to_look else os.O_RDWR
        self._kind = fcntl.LOCK_SH if is_to_look else fcntl.LOCK_EX
        self._descriptor = -1
        self._pid = 0
        self._holder = b""
        self._note = b""
        self._is_new = False
        self.is_held = False

    @contextmanager
    def held(self, timeout: float | None = None) -> Iterator[None]:
        """Hold the lock. Raises LockTimeoutError, naming the holder, when it cannot be had.

        With a `timeout` of 0 it is tried once.
        """
        assert not self.is_held, "a transaction is open already"
        blocked = _mask(signal.SIG_BLOCK, _STOPS)
        try:
            self._acquire(self._timeout if timeout is None else timeout)
            self.is_held = True
            try:
                self._renew_note()
                yield
            finally:
                self.is_held = False
                self._release()
        finally:
            _mask(signal.SIG_SETMASK, blocked)

    def note(self) -> bytes:
        """Return the note that the file holds; empty where it holds none."""
        assert self.is_held, "who does not hold the lock may see half a note"
        return os.pread(self._descriptor, _NOTE_SIZE, _HOLDER_SIZE).rstrip(b" ")

    def set_note(self, note: bytes) -> None:
        """Have the file hold this note, and a file that replaces it too."""
        assert self.is_held
        assert len(note) <= _NOTE_SIZE
        self._note = note
        if note != self.note():
            os.pwrite(self._descriptor, note.ljust(_NOTE_SIZE), _HOLDER_SIZE)

    def close(self) -> None:
        if self._descriptor >= 0 and self._pid == os.getpid():
            os.close(self._descriptor)
        self._descriptor = -1

    def _renew_note(self) -> None:
        if self._is_new and self._note and not self.note():
            self.set_note(self._note)
        self._is_new = False

    def _acquire(self, timeout: float) -> None:
        deadline = None
        tries = 0
        while not self._try():
            tries += 1
            if deadline is None:
                deadline = time.monotonic() + timeout
            if time.monotonic() >= deadline:
                raise LockTimeoutError(
                    f"{self.queue} has been locked for {timeout:g} s by {self._who()}; "
                    "end or continue that process, then try again"
                )
            time.sleep(_eager_pause(tries) if tries < _EAGER_TRIES else 0.005)
        try:
            os.pwrite(self._descriptor, self._holder, 0)
        except OSError:
            pass  # a full disk, or only a look: the lock holds all the same, only nameless

    def _try(self) -> bool:
        if self._descriptor < 0 or self._pid != os.getpid():
            self._open()
        try:
            fcntl.flock(self._descriptor, self._kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if self._is_current():
            return True
        os.close(self._descriptor)  # somebody deleted or replaced the file: lock the new one
        self._descriptor = -1
        return False

    def _open(self) -> None:
        """Open the file; after a fork too, since a lock is shared with whoever inherited it."""
        self._descriptor = beside.open_file(self.path, self.queue, self._flags)
        self._pid = os.getpid()
        self._is_new = True
        self._holder = _holder().ljust(_HOLDER_SIZE)[:_HOLDER_SIZE]

    def _is_current(self) -> bool:
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            return False
        ours = os.fstat(self._descriptor)
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _release(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _who(self) -> str:
        holder = _parse(os.pread(self._descriptor, _HOLDER_SIZE, 0))
        if holder is None:
            return "another process"
        return f"process {holder['pid']} on {holder['host']} (at it since {holder['since']})"


def _eager_pause(tries: int) -> float:
    from random import uniform  # seldom needed, and slow to import

    return uniform(0.00002, 0.00008) if tries <= _QUICK_TRIES else uniform(0.0002, 0.0006)


def _holder() -> bytes:
    """Say who we are; a pid is used again, so also since when."""
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return json.dumps({"host": os.uname().nodename, "pid": os.getpid(), "since": since}).encode()


def _parse(text: bytes) -> dict[str, object] | None:
    try:
        holder = json.loads(text)
    except ValueError:
        return None
    return holder if isinstance(holder, dict) and set(holder) >= _HOLDER_KEYS else None
