"""Own an output pipe of a runner: what each of the calls wrote that run there one after another.

A runner writes a mark, random and known to us, after each call (home.py), so that calls which were
sent ahead need no pause between them to be told apart: what stands before the first mark is the
first one's. What may be the begin of a mark is held back until the rest of it is there.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from typing import Any

_READ_SIZE = 1 << 16


class Outlet:
    """The reading end of one stream. `done` are the outputs of calls that have ended."""

    def __init__(self, descriptor: int, mark: bytes, rest: bytes = b"") -> None:
        self.descriptor = descriptor
        self.is_open = True
        self.done: deque[bytes] = deque()
        self.rest = rest
        self._mark = mark

    def state(self) -> list[Any]:
        """Return, as JSON can hold it, what the program after a reload must know."""
        done = [data.decode("latin-1") for data in self.done]
        return [self.descriptor, self.rest.decode("latin-1"), done]

    @classmethod
    def resumed(cls, state: Sequence[Any], mark: bytes) -> Outlet:
        """Return the outlet of the program before."""
        descriptor, rest, done = state
        outlet = cls(descriptor, mark, rest.encode("latin-1"))
        outlet.done.extend(data.encode("latin-1") for data in done)
        return outlet

    def read(self) -> None:
        """Read what is there, without waiting."""
        while self.is_open:
            try:
                data = os.read(self.descriptor, _READ_SIZE)
            except BlockingIOError:
                return
            if not data:
                self.is_open = False
                return
            *ended, self.rest = (self.rest + data).split(self._mark)
            self.done.extend(ended)
            if len(data) < _READ_SIZE:
                return

    def take(self) -> bytes:
        """Take what the call that runs has written so far."""
        if self.done:  # it has ended, and what follows is another's
            taken, self.done[0] = self.done[0], b""
            return taken
        kept = _overlap(self.rest, self._mark) if self.is_open else 0
        at = len(self.rest) - kept
        taken, self.rest = self.rest[:at], self.rest[at:]
        return taken

    def end(self) -> bytes:
        """Take what the first call that has ended wrote at the end; its mark has been read."""
        return self.done.popleft()


def _overlap(data: bytes, mark: bytes) -> int:
    """Return how much of the end of `data` may be the begin of a mark."""
    at = data.find(mark[:1], max(0, len(data) - len(mark) + 1))
    while at >= 0 and not mark.startswith(data[at:]):
        at = data.find(mark[:1], at + 1)
    return 0 if at < 0 else len(data) - at
