"""Own showing output: what is there, and what comes until the tasks have ended.

Bytes are passed through untouched, as reading.py finds them, unless something is to stand before
each line. A group has written what its children have; those it gets meanwhile are followed too.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from aque import bell, listening, logs, outcome, states
from aque.brokers.base import Broker
from aque.brokers.questions import Condition, Selection
from aque.errors import StateError, TaskNotFoundError
from aque.listening import Listener
from aque.queue import Queue
from aque.reading import STDERR, STDOUT, Reader, Write
from aque.record import record
from aque.task import Task

_DESCRIPTORS = {STDOUT: 1, STDERR: 2}
#: Tasks that are fetched at a time.
_PAGE = 500
_NO_TIME = " " * len("2026-01-31 12:00:00.000")


def write_through(stream: str, data: bytes) -> None:
    """Write a task's bytes where its stream belongs."""
    descriptor = _DESCRIPTORS.get(stream, 1)
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_here(stream: str, data: bytes) -> None:
    """Write whatever stream it is to standard output."""
    write_through(STDOUT, data)


@record(frozen=True)
class Style:
    """What is shown of each task, and how.

    `tail` is a number of last lines. With `has_tag` the id stands before each line, with
    `has_times` when it was written. `is_log` says that the lines are records of logging.
    """

    streams: tuple[str, ...] = (STDOUT, STDERR)
    write: Write = write_through
    tail: int | None = None
    attempt: int | None = None
    has_tag: bool = False
    has_times: bool = False
    is_log: bool = False


PLAIN = Style()


def show(broker: Broker, ids: Sequence[int], style: Style, is_group: bool = False) -> None:
    """Write what these tasks' latest attempts have written so far, or the one asked for.

    Raises StateError for one that has not had that attempt, unless others of its group may have.
    """
    has_run = [] if style.attempt is not None else [Condition("attempt", ">", 0)]
    for task in _in_order(broker, ids, has_run):
        attempt = task.attempt if style.attempt is None else style.attempt
        if attempt <= task.attempt:
            _Shown(broker, task.id, attempt, style).close()
        elif not is_group:
            number = "never run" if not task.attempt else f"had {task.attempt} so far"
            raise StateError(f"task {task.id} has no attempt {attempt}; it has {number}")


def _in_order(
    broker: Broker, ids: Sequence[int], conditions: Sequence[Condition]
) -> Iterator[Task]:
    """Yield those of these tasks that meet the conditions, some at a time."""
    for at in range(0, len(ids), _PAGE):
        page = ids[at : at + _PAGE]
        found = {task.id: task for task in broker.select(Selection(conditions, ids=page))}
        yield from (found[id] for id in page if id in found)


def follow(
    broker: Broker,
    ids: Sequence[int],
    style: Style = PLAIN,
    on_poll: Callable[[], object] | None = None,
) -> int:
    """Write the output of these tasks as it comes until all have ended; return their status."""
    listener = broker.listen(bell.OUTPUT, bell.DONE)
    pace = listening.Pace()
    try:
        following = _Following(broker, ids, style)
        while not following.is_over:
            if on_poll is not None:
                on_poll()
            _wait(listener)
            pace.keep()
            following.look()
        return following.exit_status
    finally:
        listener.close()


def _wait(listener: Listener) -> None:
    """Wait for a ring. Raises BrokenPipeError once nobody reads standard output any more.

    Else it would show at the next write, and of a quiet task that may be hours away.
    """
    poller = select.poll()
    poller.register(_DESCRIPTORS[STDOUT], 0)  # what is wrong with it is told unasked
    if listener.fileno() >= 0:
        poller.register(listener.fileno(), select.POLLIN)
    found = dict(poller.poll(listener.interval * 1000))
    if found.get(_DESCRIPTORS[STDOUT], 0) & (select.POLLERR | select.POLLHUP):
        raise BrokenPipeError
    listener.drain()


class _Following:
    """Follows tasks, and below groups all there is, through their attempts to their ends."""

    def __init__(self, broker: Broker, ids: Sequence[int], style: Style) -> None:
        self._broker = broker
        self._style = style
        self._asked: dict[int, Task] = {}
        self._shown: dict[int, _Shown] = {}  # of those that run
        self._whole: dict[int, int] = {}  # the attempts of others that were shown to their ends
        self._number = broker.changes().number
        broker.fetch(ids)
        self._members = set(ids)
        self._read(sorted(Queue(broker).with_children(ids)), ids)

    @property
    def is_over(self) -> bool:
        return all(task.is_complete for task in self._asked.values())

    @property
    def exit_status(self) -> int:
        return max((outcome.exit_status(task) for task in self._asked.values()), default=0)

    def look(self) -> None:
        """Show what has been written since."""
        outline = self._broker.outline(0.0, None, self._number)
        self._number = outline.number
        for id in outline.removed:
            if id in self._asked:
                raise TaskNotFoundError(f"there is no task {id} any more")
        entries = {entry.id: entry for entry in outline.entries}
        for entry in sorted(entries.values()):
            if entry.parent in self._members:
                self._members.add(entry.id)
        self._read(sorted(self._shown.keys() | entries.keys() & self._members))

    def _read(self, ids: Sequence[int], asked: Iterable[int] = ()) -> None:
        self._members.update(ids)
        wanted = set(asked) | self._asked.keys()
        for task in self._broker.select(Selection(ids=ids)) if ids else ():
            if task.id in wanted:
                self._asked[task.id] = task
            if task.attempt:
                self._show(task)

    def _show(self, task: Task) -> None:
        """Read on; the task was fetched before, so its end comes after its output."""
        shown = self._shown.pop(task.id, None)
        if shown is not None and shown.attempt != task.attempt:
            shown.close()
            shown = None
        if self._whole.get(task.id) == task.attempt:  # changed since, but not by writing
            return
        shown = shown or _Shown(self._broker, task.id, task.attempt, self._style)
        shown.read()
        if task.status in states.ACTIVE_STATES:
            self._shown[task.id] = shown
        else:
            shown.close()
            self._whole[task.id] = task.attempt


class _Shown:
    """Shows the output of one attempt from where it stopped."""

    def __init__(self, broker: Broker, id: int, attempt: int, style: Style) -> None:
        self.attempt = attempt
        self._style = style
        self._tag = f"{id}\t".encode() if style.has_tag else b""
        self._rest: dict[str, tuple[bytes, bytes]] = {}  # what stands before a line, and its part
        self._reader = Reader(broker, id, attempt, style.streams)
        self._is_lined = style.has_tag or style.has_times or style.is_log
        if style.tail is not None:
            self._reader.tail(style.tail, self._write)

    def read(self) -> None:
        self._reader.read(self._write)
        while self._reader.missing:
            path = self._reader.missing.pop()
            id = self._reader.id
            print(f"aque: the large output of task {id} is gone ({path})", file=sys.stderr)

    def close(self) -> None:
        """Show the rest, also what is no whole line."""
        self.read()
        for stream, (before, line) in self._rest.items():
            if line:
                self._style.write(stream, before + self._line(line) + b"\n")
        self._rest = {}

    def _write(self, stream: str, data: bytes) -> None:
        if not self._is_lined:
            self._style.write(stream, data)
            return
        before, rest = self._rest.get(stream, (b"", b""))
        *whole, last = (rest + data).split(b"\n")
        written = []
        for line in whole:
            written.append((before if rest else self._before()) + self._line(line) + b"\n")
            rest = b""
        self._rest[stream] = (before if rest else self._before(), last)
        if written:
            self._style.write(stream, b"".join(written))

    def _before(self) -> bytes:
        if not self._style.has_times:
            return self._tag
        at = self._reader.at
        if at is None:
            return self._tag + f"{_NO_TIME} ".encode()
        day = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
        return self._tag + f"{day}.{int(at % 1 * 1000):03d} ".encode()

    def _line(self, line: bytes) -> bytes:
        if not self._style.is_log:
            return line
        return logs.shown(line).encode(errors="surrogateescape")
