"""Own one stream of a running attempt: from its pipe to the queue, or to a file when it is large.

The first 64 KiB (a setting) go into the queue, which keeps them with the task, in order and with
their time. More would cost everybody: 50 MB/s of output through the database takes a claim's 99th
percentile from 0.2 to 15 ms. So past that a row without data says "goes on in a file", and the
rest is appended there, straight from the pipe. Past the limit (1 GiB, a setting) bytes are counted
and dropped, and a last line says how many.

Where the disk is full, what was read last is kept, and nothing more is read until that is written:
the pipe fills up and the job waits, as it would if it wrote to that disk itself.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping

from aque.errors import BrokerError
from aque.task import Chunk

log = logging.getLogger("aque.worker")

_READ_SIZE = 65536


class Stream:
    """The pipe of one stream of one attempt. `open_file` opens the file for what is too large."""

    def __init__(
        self,
        name: str,
        task: int,
        attempt: int,
        descriptor: int,
        settings: Mapping[str, float],
        open_file: Callable[[int, int, str], int],
    ) -> None:
        self.name = name
        self.task = task
        self.attempt = attempt
        self.descriptor = descriptor
        self.offset = 0
        self.is_open = True
        self._inline = int(settings["output-inline"])
        self._limit = int(settings["output-limit"])
        self._open_file = open_file
        self._file = -1
        self._unwritten = b""

    @property
    def is_stalled(self) -> bool:
        """Whether what was read waits for room on the disk; `read` tries again."""
        return bool(self._unwritten)

    def read(self, now: float) -> list[Chunk]:
        """Read what is there, without waiting; `is_open` tells afterwards whether more may come."""
        chunks: list[Chunk] = []
        while self._write():
            try:
                data = os.read(self.descriptor, _READ_SIZE) if self.is_open else b""
            except BlockingIOError:
                break
            if not data:
                self.is_open = False
                break
            chunks += self._keep(data, now)
            if len(data) < _READ_SIZE:
                self._write()
                break
        return chunks

    def close(self) -> None:
        """Let go of the file; the pipe belongs to whoever made it."""
        self.is_open = False
        if self.offset > self._limit:
            self._unwritten += b"\n[aque: %d more bytes were not kept]\n" % (
                self.offset - self._limit
            )
            self._write()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def resume(self, offset: int, is_open: bool) -> None:
        """Go on where another process image stopped."""
        self.offset = offset
        self.is_open = is_open

    def _keep(self, data: bytes, now: float) -> list[Chunk]:
        inline = data[: max(0, self._inline - self.offset)]
        rest = data[len(inline) :]
        chunks = []
        if inline:
            chunks.append(self._chunk(now, inline))
            self.offset += len(inline)
        if rest:
            if self.offset == self._inline:
                chunks.append(self._chunk(now, None))
            self._unwritten += rest[: max(0, self._limit - self.offset)]
            self.offset += len(rest)
        return chunks

    def _chunk(self, now: float, data: bytes | None) -> Chunk:
        return Chunk(self.task, self.attempt, self.name, self.offset, now, data)

    def _write(self) -> bool:
        """Append to the file what is to go there; False where it cannot be written now."""
        try:
            while self._unwritten:
                if self._file < 0:
                    self._file = self._open_file(self.task, self.attempt, self.name)
                self._unwritten = self._unwritten[os.write(self._file, self._unwritten) :]
        except (OSError, BrokerError) as error:
            log.error("output of task %d waits: %s", self.task, error)
            return False
        return True
