"""Own the wake-up between processes: ringing a bell, and listening for one.

A submit must wake a worker on the same machine, an end must wake whoever waits for it, without a
server and without asking the database a thousand times a second.

A bell is an empty file beside the queue, and ringing it is to touch it after the commit.
Listeners watch the files with inotify: 56 us at the median, nothing while idle, and ringing costs
10 us whatever the number of listeners. Rejected: watching the -wal file (it changes before the
commit is visible, so a listener looks too early and then sleeps on what it missed), polling
PRAGMA data_version (546 us at a poll of 1 ms, for 3 % of a core), a FIFO or socket a listener
(the ringer has to know them all, and one that is stopped fills up).

Ringing is a hint, never a fact. Whoever listens looks at the queue first after it began to
watch, and again after each ring and at each poll; a ring that is lost (no inotify on macOS or on
shared disks, EMFILE, ENOSPC, a directory removed) costs one poll, so no error here is an error.
"""

from __future__ import annotations

import os
import select
import struct
import sys
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

READY = "ready"  # a task became ready to run
DONE = "done"  # a task changed its state
OUTPUT = "output"  # a task's output grew
SIGNAL = "signal"  # somebody wants a running task signalled or cancelled

#: Seconds between two looks where nobody can be told: at most this late.
POLL = 1.0
#: The same where bells cannot be heard at all: the first, and what it grows to.
SHARED_POLL = (0.02, 0.25)

#: Looks that may follow each other at once, and the seconds after which one more may.
_BURST, _PACE = 10, 0.02

_IN_ATTRIB, _IN_MODIFY, _IN_DELETE_SELF, _IN_MOVE_SELF = 0x4, 0x2, 0x400, 0x800
_IN_DONT_FOLLOW = 0x02000000
_MASK = _IN_ATTRIB | _IN_MODIFY | _IN_DELETE_SELF | _IN_MOVE_SELF | _IN_DONT_FOLLOW
_EVENT = struct.Struct("iIII")


def ring(directory: str, name: str) -> None:
    """Wake whoever listens for `name`. Call it after the commit, without the lock held."""
    path = bell_path(directory, name)
    try:
        os.utime(path, follow_symlinks=False)
    except FileNotFoundError:
        _make(path)
    except OSError:
        pass


@lru_cache(maxsize=100)
def bell_path(directory: str, name: str) -> str:
    return os.path.join(directory, name + ".bell")


def _make(path: str) -> bool:
    """Make a bell as private or as shared as the directory it is in; as root its owner's."""
    try:
        like = os.stat(os.path.dirname(path))
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags, like.st_mode & 0o666)
    except OSError:
        return False
    try:
        if os.geteuid() == 0:
            os.fchown(descriptor, like.st_uid, like.st_gid)
        os.fchmod(descriptor, like.st_mode & 0o666)  # past the umask
    except OSError:
        pass  # another was faster, and it is theirs
    finally:
        os.close(descriptor)
    return True


class Pace:
    """Lets a few looks through at once, and under a storm of rings one each 20 ms."""

    def __init__(self) -> None:
        self._credit = float(_BURST)
        self._last = time.monotonic()

    def keep(self) -> None:
        now = time.monotonic()
        self._credit = min(_BURST, self._credit + (now - self._last) / _PACE) - 1
        self._last = now
        if self._credit < 0:
            time.sleep(-self._credit * _PACE)


class Listener:
    """Hears the bells of one queue, or polls where they cannot be heard.

    `interval` is how many seconds one may sleep without having heard anything.
    """

    def __init__(
        self, directory: str, names: Iterable[str], is_shared: bool = False, poll: float = POLL
    ) -> None:
        self._descriptor = -1
        self._directory = directory
        self._names = tuple(names)
        self._watches: dict[int, str] = {}
        self._descriptor = -1 if is_shared else _inotify_init()
        self._poll = poll
        self._quiet_polls = 0
        self._watch_all()

    @property
    def interval(self) -> float:
        if self._watches:
            return self._poll
        shortest, longest = SHARED_POLL
        grown: float = shortest * 2 ** min(self._quiet_polls, 10)
        return min(grown, longest, self._poll)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable at a ring, or -1: then poll."""
        return self._descriptor if self._watches else -1

    def drain(self) -> set[str]:
        """Take the rings heard so far; without any way to hear, all may have rung."""
        if not self._watches:
            self._quiet_polls += 1
            for _ in self._events():
                pass  # of watches given up; unread they would keep the descriptor readable
            self._watch_all()
            return set(self._names)
        heard = set()
        for watch, mask in self._events():
            name = self._watches.get(watch)
            if name is not None:
                heard.add(name)
                if mask & ~(_IN_ATTRIB | _IN_MODIFY):  # removed, moved or dropped by the kernel
                    self._watch_again(watch, name)
        return heard

    def heard_something(self) -> None:
        """Say that the last look found something, so that polling quickens."""
        self._quiet_polls = 0

    def wait(self, timeout: float | None = None) -> set[str]:
        """Sleep until a ring, the poll or `timeout` seconds; return what rang."""
        seconds = self.interval if timeout is None else max(0.0, min(timeout, self.interval))
        if not self._watches:
            time.sleep(seconds)
            return self.drain()
        poller = select.poll()
        poller.register(self._descriptor, select.POLLIN)
        return self.drain() if poller.poll(seconds * 1000) else set()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1
        self._watches = {}

    def _watch_all(self) -> None:
        if self._descriptor < 0:
            return
        for name in self._names:
            watch = self._watch(name)
            if watch < 0:  # one deaf ear: better poll for all than miss that one
                self._watches = {}
                return
            self._watches[watch] = name

    def _watch(self, name: str) -> int:
        path = bell_path(self._directory, name)
        if not os.path.exists(path) and not _make(path):
            return -1
        return _inotify_add_watch(self._descriptor, path)

    def _watch_again(self, watch: int, name: str) -> None:
        self._watches.pop(watch, None)
        renewed = self._watch(name)
        if renewed < 0:
            self._watches = {}
        else:
            self._watches[renewed] = name

    def _events(self) -> Iterable[tuple[int, int]]:
        while self._descriptor >= 0:
            try:
                data = os.read(self._descriptor, 65536)
            except BlockingIOError:
                return
            position = 0
            while position < len(data):
                watch, mask, _, length = _EVENT.unpack_from(data, position)
                position += _EVENT.size + length
                yield watch, mask


def _inotify_init() -> int:
    if sys.platform != "linux":
        return -1
    descriptor: int = _libc().inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    return descriptor


def _inotify_add_watch(descriptor: int, path: str) -> int:
    watch: int = _libc().inotify_add_watch(descriptor, os.fsencode(path), _MASK)
    return watch


def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)
