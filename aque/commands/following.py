"""Own showing output: what is there, and what comes until the tasks have ended.

Bytes are passed through untouched. A stream that grew too large for the queue goes on in a file,
which is read as far as it is there and looked at again at each ring.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence

from aque import bell, outcome, states
from aque.brokers.base import Broker
from aque.task import Chunk, Task
from aque.waiting import Pace

STDOUT, STDERR = "stdout", "stderr"
_DESCRIPTORS = {STDOUT: 1, STDERR: 2}
_READ_SIZE = 1 << 20

Write = Callable[[str, bytes], None]


def write_through(stream: str, data: bytes) -> None:
    """Write a task's bytes where its stream belongs."""
    descriptor = _DESCRIPTORS.get(stream, 1)
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_here(stream: str, data: bytes) -> None:
    """Write whatever stream it is to standard output."""
    write_through(STDOUT, data)


class Reader:
    """Reads the output of one attempt from where it stopped."""

    def __init__(self, broker: Broker, id: int, attempt: int, streams: Iterable[str]) -> None:
        self.id = id
        self.attempt = attempt
        self._broker = broker
        self._streams = frozenset(streams)
        self._last = 0
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
            print(f"aque: the large output of task {self.id} is gone ({path})", file=sys.stderr)
            self._files.pop(stream, None)


def _open_planted_by_nobody(path: str, flags: int) -> int:
    """Open no link, which could lead to any file of ours, and wait for no FIFO."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def show(broker: Broker, ids: Sequence[int], streams: Iterable[str], write: Write) -> None:
    """Write what these tasks' latest attempts have written so far."""
    wanted = tuple(streams)
    for task in broker.fetch(ids):
        Reader(broker, task.id, task.attempt, wanted).read(write)


def follow(
    broker: Broker,
    ids: Sequence[int],
    streams: Iterable[str] = (STDOUT, STDERR),
    write: Write = write_through,
    on_poll: Callable[[], object] | None = None,
) -> int:
    """Write the output of these tasks as it comes until all have ended; return their status."""
    followers = {id: _Follower(broker, id, tuple(streams)) for id in ids}
    listener = broker.listen(bell.OUTPUT, bell.DONE)
    pace = Pace()
    try:
        while True:
            if on_poll is not None:
                on_poll()
            for task in broker.fetch(ids):
                followers[task.id].look(task, write)
            if all(follower.ended for follower in followers.values()):
                return max((f.exit_status for f in followers.values()), default=0)
            listener.wait()
            pace.keep()
    finally:
        listener.close()


class _Follower:
    """Follows one task through its attempts to its end."""

    def __init__(self, broker: Broker, id: int, streams: Sequence[str]) -> None:
        self._broker = broker
        self._streams = streams
        self._reader = Reader(broker, id, 0, streams)
        self.ended = False
        self.exit_status = 0

    def look(self, task: Task, write: Write) -> None:
        if self.ended:
            return
        if task.attempt != self._reader.attempt:
            self._reader.read(write)
            self._reader = Reader(self._broker, task.id, task.attempt, self._streams)
        self._reader.read(write)  # after the task was fetched: its end comes after its output
        if task.status in states.COMPLETE_STATES:
            self.ended = True
            self.exit_status = outcome.exit_status(task)
