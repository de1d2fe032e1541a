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

Write = Callable[[str, bytes], object]


class Reader:
    """Reads the output of one attempt from where it stopped.

    `missing` are the files of large streams that should be there and are not.
    """

    def __init__(self, broker: Broker, id: int, attempt: int, streams: Iterable[str]) -> None:
        self.id = id
        self.attempt = attempt
        self._broker = broker
        self._streams = frozenset(streams)
        self._last = 0
        self.missing: list[str] = []
        self._files: dict[str, int] = {}  # offset by stream that goes on in a file

    def read(self, write: Write) -> None:
        for chunk in self._broker.output(self.id, self.attempt, self._last):
            self._last = chunk.number
            if chunk.stream in self._streams:
                self._take(chunk, write)
        for stream in list(self._files):
            self._read_file(stream, write)

    def _take(self, chunk: Chunk, write: Write) -> None:
        if chunk.data is None:
            self._files.setdefault(chunk.stream, 0)
        else:
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
