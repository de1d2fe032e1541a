"""Own one stream of a running attempt: from its pipe to the queue, or to a file when it is large.

The first 64 KiB (a setting) go into the queue, which keeps them with the task, in order and with
their time. More would cost everybody: 50 MB/s of output through the database takes a claim's 99th
percentile from 0.2 to 15 ms. So past that a row without data says "goes on in a file", and the
rest is appended there, straight from the pipe.

Of what is larger than the limit (1 GiB, a setting) the head and the tail are kept, and between them
a line that says how much is missing. The tail may be the error that all the rest led to. It is no
more than 1 MiB, in memory until the stream ends: a larger one would have to be a ring on the disk,
and copied at the end, while all other jobs wait.

Where the disk is as good as full (reserve.py), what was read last is kept, and nothing more is read
until that is written: the pipe fills up and the job waits, as it would if it wrote to that disk
itself. If it is killed meanwhile, that is given up.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from aque.errors import BrokerError
from aque.record import record
from aque.report import Chunk
from aque.task import Task
from aque.worker.reserve import Reserve

_READ_SIZE = 65536
_TAIL = 1 << 20

#: Hears of all that is read: the task's id, the stream's name, the bytes.
Tee = Callable[[int, str, bytes], None]


@record(frozen=True)
class Keeping:
    """How all streams of a worker are kept: so many bytes in the queue, so many at all.

    `open_file` opens the file for what is too large; the `tee` hears of all that is read.
    """

    inline: int
    limit: int
    open_file: Callable[[int, int, str], int]
    reserve: Reserve
    tee: Tee | None = None


class Stream:
    """The pipe of one stream of one attempt."""

    def __init__(self, keeping: Keeping, task: Task, name: str, descriptor: int) -> None:
        self.name = name
        self.task = task.id
        self.attempt = task.attempt
        self.descriptor = descriptor
        self.offset = 0
        self.is_open = True
        self._inline = keeping.inline
        self._tail_most = min(_TAIL, keeping.limit // 2)
        self._head = max(self._inline, keeping.limit - self._tail_most)
        self._tail: deque[bytes] = deque()  # what came after the head, as much as is kept of it
        self._tail_size = 0
        self._has_file = False
        self._open_file = keeping.open_file
        self._reserve = keeping.reserve
        self._tee = keeping.tee
        self._file = -1
        self._unwritten = b""

    @property
    def is_stalled(self) -> bool:
        """Whether what was read waits for room on the disk; `read` tries again."""
        return bool(self._unwritten)

    def read(self, now: float) -> list[Chunk]:
        """Read what is there, without waiting; `is_open` tells afterwards whether more may come."""
        chunks: list[Chunk] = []
        while self._write(chunks, now):
            try:
                data = os.read(self.descriptor, _READ_SIZE) if self.is_open else b""
            except BlockingIOError:
                break
            if not data:
                self.is_open = False
                break
            if self._tee is not None:
                self._tee(self.task, self.name, data)
            self._keep(data, chunks, now)
            if len(data) < _READ_SIZE:
                self._write(chunks, now)
                break
        return chunks

    def finish(self, now: float) -> list[Chunk]:
        """Read no more, and put the tail where it belongs, if there is room (`is_stalled`)."""
        self.is_open = False
        if self._tail:
            tail = b"".join(self._tail)[-self._tail_most :]
            missing = self.offset - self._head - len(tail)
            if missing:
                self._unwritten += b"\n[aque: %d bytes are missing here]\n" % missing
            self._unwritten += tail
            self._tail.clear()
        chunks: list[Chunk] = []
        self._write(chunks, now)
        return chunks

    def give_up(self) -> None:
        """Have nothing wait any more; where it goes on in a file that says so, if it can."""
        self.is_open = False
        self._unwritten = b""
        self._tail.clear()
        if self._file >= 0:
            try:
                os.write(self._file, b"\n[aque: the rest found no room on the disk]\n")
            except OSError:
                pass

    def take(self, data: bytes, now: float) -> list[Chunk]:
        """Keep what somebody else has read."""
        chunks: list[Chunk] = []
        self._keep(data, chunks, now)
        self._write(chunks, now)
        return chunks

    def close(self) -> None:
        """Let go of the file; the pipe belongs to whoever made it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def state(self) -> dict[str, Any]:
        """Return, as JSON can hold it, what another process image needs to go on from here."""
        assert not self._unwritten
        tail = [data.decode("latin-1") for data in self._tail]
        return {"offset": self.offset, "open": self.is_open, "file": self._has_file, "tail": tail}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on where another process image stopped."""
        self.offset = state["offset"]
        self.is_open = state["open"]
        self._has_file = state["file"]
        for text in state["tail"]:
            self._keep_last(text.encode("latin-1"))

    def _keep(self, data: bytes, chunks: list[Chunk], now: float) -> None:
        inline = data[: max(0, self._inline - self.offset)]
        rest = data[len(inline) :]
        if inline:
            chunks.append(self._chunk(self.offset, now, inline))
            self.offset += len(inline)
        if rest:
            head = rest[: max(0, self._head - self.offset)]
            self._unwritten += head
            self._keep_last(rest[len(head) :])
            self.offset += len(rest)

    def _keep_last(self, data: bytes) -> None:
        if data:
            self._tail.append(data)
            self._tail_size += len(data)
        while self._tail and self._tail_size - len(self._tail[0]) >= self._tail_most:
            self._tail_size -= len(self._tail.popleft())

    def _chunk(self, offset: int, now: float, data: bytes | None) -> Chunk:
        return Chunk(self.task, self.attempt, self.name, offset, now, data)

    def _write(self, chunks: list[Chunk], now: float) -> bool:
        """Append to the file what is to go there; False where it cannot be written now.

        That the stream goes on in a file is said once there is one, so nobody looks in vain.
        """
        try:
            while self._unwritten:
                if self._file < 0:
                    self._file = self._open_file(self.task, self.attempt, self.name)
                if not self._has_file:
                    self._has_file = True
                    chunks.append(self._chunk(self._inline, now, None))
                size = self._reserve.take(self._file, len(self._unwritten))
                if not size:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                self._unwritten = self._unwritten[os.write(self._file, self._unwritten[:size]) :]
        except OSError as error:
            self._reserve.complain(self.task, error.strerror or str(error))
            return False
        except BrokerError as error:
            self._reserve.complain(self.task, str(error))
            return False
        return True
