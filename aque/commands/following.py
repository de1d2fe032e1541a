"""Own showing output: what is there, and what comes until the tasks have ended.

Bytes are passed through untouched, as reading.py finds them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence

from aque import bell, listening, logs, outcome, states
from aque.brokers.base import Broker
from aque.reading import STDERR, STDOUT, Reader, Write
from aque.task import Task

_DESCRIPTORS = {STDOUT: 1, STDERR: 2}


def write_through(stream: str, data: bytes) -> None:
    """Write a task's bytes where its stream belongs."""
    descriptor = _DESCRIPTORS.get(stream, 1)
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_here(stream: str, data: bytes) -> None:
    """Write whatever stream it is to standard output."""
    write_through(STDOUT, data)


class LogWriter:
    """Writes records of logging, as they are stored, as lines for people."""

    def __init__(self) -> None:
        self._rest = b""

    def __call__(self, stream: str, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            text = logs.shown(line) + "\n"
            write_here(stream, text.encode(errors="surrogateescape"))


def show(broker: Broker, ids: Sequence[int], streams: Iterable[str], write: Write) -> None:
    """Write what these tasks' latest attempts have written so far."""
    wanted = tuple(streams)
    for task in broker.fetch(ids):
        _read(Reader(broker, task.id, task.attempt, wanted), write)


def _read(reader: Reader, write: Write) -> None:
    reader.read(write)
    while reader.missing:
        path = reader.missing.pop()
        print(f"aque: the large output of task {reader.id} is gone ({path})", file=sys.stderr)


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
    pace = listening.Pace()
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
            _read(self._reader, write)
            self._reader = Reader(self._broker, task.id, task.attempt, self._streams)
        _read(self._reader, write)  # after the task was fetched: its end comes after its output
        if task.status in states.COMPLETE_STATES:
            self.ended = True
            self.exit_status = outcome.exit_status(task)
