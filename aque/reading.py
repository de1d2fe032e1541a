"""Own reading what a task has written: from the queue, and from the file a large stream goes on in.

Such a file is read as far as it is there; whoever reads again goes on from where it stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from aque.brokers.base import Broker
from aque.report import Chunk

STDOUT, STDERR, LOG = "stdout", "stderr", "log"
_READ_SIZE = 1 << 20
#: Bytes that the search for the last lines reads at a time.
_BLOCK = 1 << 16

Write = Callable[[str, bytes], object]


class Reader:
    """Reads the output of one attempt from where it stopped.

    `missing` are the files of large streams that should be there and are not. While it writes, `at`
    is when that came, in Unix seconds; of what is in a file nobody knows.
    """

    def __init__(self, broker: Broker, id: int, attempt: int, streams: Iterable[str]) -> None:
        self.id = id
        self.attempt = attempt
        self._broker = broker
        self._streams = frozenset(streams)
        self._last = 0
        self.missing: list[str] = []
        self.at: float | None = None
        self._files: dict[str, int] = {}  # offset by stream that goes on in a file

    def read(self, write: Write) -> None:
        for chunk in self._broker.output(self.id, self.attempt, self._last):
            self._last = chunk.number
            if chunk.stream in self._streams:
                self._take(chunk, write)
        self.at = None
        for stream in list(self._files):
            self._read_file(stream, write)

    def tail(self, lines: int, write: Write) -> None:
        """Write so many of the last lines of what is there; `read` goes on from its end."""
        found = self._broker.output(self.id, self.attempt)
        chunks = [chunk for chunk in found if chunk.stream in self._streams]
        self._last = max((chunk.number for chunk in chunks), default=0)
        left, is_end = lines, True
        for chunk in reversed([chunk for chunk in chunks if chunk.data is None]):
            path = self._broker.output_path(self.id, self.attempt, chunk.stream)
            self._files[chunk.stream], left = _start_in_file(path, left, is_end)
            is_end = False
        self._files = dict(reversed(self._files.items()))  # in their order again
        kept: list[tuple[float, str, bytes]] = []
        for chunk in reversed([chunk for chunk in chunks if chunk.data]):
            data = chunk.data or b""
            start, left = _start_in(data, left, is_end)
            kept.append((chunk.at, chunk.stream, data[start:]))
            is_end = False
            if not left:
                break
        for self.at, stream, data in reversed(kept):
            write(stream, data)
        self.read(write)

    def _take(self, chunk: Chunk, write: Write) -> None:
        if chunk.data is None:
            self._files.setdefault(chunk.stream, 0)
        else:
            self.at = chunk.at
            write(chunk.stream, chunk.data)

    def _read_file(self, stream: str, write: Write) -> None:
        path = self._broker.output_path(self.id, self.attempt, stream)
        try:
            with open(path, "rb", opener=_open_planted_by_nobody) as file:
                file.seek(self._files[stream])
                while data := file.read(_READ_SIZE):
                    self._files[stream] += len(data)
                    write(stream, data)
        except FileNotFoundError:
            self.missing.append(path)
            self._files.pop(stream, None)


def _open_planted_by_nobody(path: str, flags: int) -> int:
    """Open no link, which could lead to any file of ours, and wait for no FIFO."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _start_in(data: bytes, lines: int, is_end: bool) -> tuple[int, int]:
    """Return where the last so many lines of data begin, and how many began before it.

    At the very end a newline ends the last line, and begins none.
    """
    at = len(data) - 1 if is_end and data.endswith(b"\n") else len(data)
    while lines:
        at = data.rfind(b"\n", 0, at)
        if at < 0:
            return 0, lines
        lines -= 1
    return at + 1 if at < len(data) else at, 0


def _start_in_file(path: str, lines: int, is_end: bool) -> tuple[int, int]:
    """Do the same for a file, which may be larger than memory."""
    try:
        with open(path, "rb", opener=_open_planted_by_nobody) as file:
            at = file.seek(0, os.SEEK_END)
            while at and lines:
                size = min(_BLOCK, at)
                at = file.seek(at - size)
                start, lines = _start_in(file.read(size), lines, is_end)
                is_end = False
                if not lines:
                    return at + start, 0
            return at, lines
    except FileNotFoundError:
        return 0, lines
