"""Own hearing the bells of a queue, by inotify or by polling; `bell` tells why it is done so."""

from __future__ import annotations

import os
import select
import struct
import sys
import time
from collections.abc import Iterable
from typing import Any

from aque.bell import POLL, SHARED_POLL, bell_path, make

#: Looks that may follow each other at once, and the seconds after which one more may.
_BURST, _PACE = 10, 0.02

_IN_ATTRIB, _IN_MODIFY, _IN_DELETE_SELF, _IN_MOVE_SELF = 0x4, 0x2, 0x400, 0x800
_IN_DONT_FOLLOW = 0x02000000
_MASK = _IN_ATTRIB | _IN_MODIFY | _IN_DELETE_SELF | _IN_MOVE_SELF | _IN_DONT_FOLLOW
_EVENT = struct.Struct("iIII")


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
        self._close()

    def close(self) -> None:
        for watch in self._watches:  # one that is still there can keep us in `close` for 20 ms
            _inotify_rm_watch(self._descriptor, watch)
        self._close()

    def _close(self) -> None:
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
        if not os.path.exists(path) and not make(path):
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


def _inotify_rm_watch(descriptor: int, watch: int) -> None:
    _libc().inotify_rm_watch(descriptor, watch)


def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)
