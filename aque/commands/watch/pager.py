"""Own the pager: a long text over the whole screen, which may grow while it is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from aque.brokers.base import Broker
from aque.commands import lines, terminal
from aque.commands.watch.screen import Screen
from aque.reading import LOG, STDERR, STDOUT, Reader
from aque.task import Task

#: Of an output the last so many lines are kept, and shown from the start.
KEPT, _TAIL = 20_000, 2_000
#: Of a line so much is kept: who has more of it wants aque-output.
_LONGEST = 10_000
#: What only colours a text, or marks a line; all else that steers a terminal is shown as it is.
_COLORING = re.compile(r"\x1b\[[0-9;]*[mK]")

#: What of a task's output a key means.
STREAMS = {"a": [STDOUT, STDERR], "o": [STDOUT], "e": [STDERR], "l": [LOG]}

Look = Callable[[], Sequence[str]]
_MOVES = {"up": -1, "down": 1, "k": -1, "j": 1, "enter": 1}


class Pager:
    """Shows the lines that `look` returns, which is asked again each `interval` seconds."""

    def __init__(self, screen: Screen, title: str, look: Look, interval: float) -> None:
        self._screen = screen
        self._title = title
        self._look = look
        self._interval = interval
        self._lines: Sequence[str] = ()
        self._at = 0
        self._left = 0

    def show(self, at_end: bool = False) -> None:
        """Show it until it is left."""
        is_following = at_end
        while True:
            self._lines = self._look()
            if is_following:
                self._at = self._last
            self._draw()
            key = self._screen.key(self._interval)
            if key in ("q", "escape", "left") and not (key == "left" and self._left):
                return
            if key:
                self._move(key)
                is_following = at_end and self._at >= self._last

    @property
    def _room(self) -> int:
        return max(1, self._screen.height - 2)

    @property
    def _last(self) -> int:
        return max(0, len(self._lines) - self._room)

    def _move(self, key: str) -> None:
        page = max(1, self._room - 1)
        moves = {**_MOVES, "page-up": -page, "page-down": page, "space": page}
        by = {"home": -len(self._lines), "end": len(self._lines)}.get(key, moves.get(key, 0))
        self._at = max(0, min(self._at + by, self._last))
        sideways = {"left": -1, "right": 1}.get(key, 0) * (self._screen.width // 2)
        self._left = max(0, self._left + sideways)

    def _draw(self) -> None:
        screen = self._screen
        screen.begin()
        screen.put(0, [(self._title, "")], "head")
        for y, line in enumerate(self._lines[self._at : self._at + self._room], 1):
            screen.put(y, [(line[self._left :], "")])
        shown = min(self._at + self._room, len(self._lines))
        place = f"lines {self._at + 1:,}-{shown:,} of {len(self._lines):,}"
        screen.put(screen.height - 1, [(f"{place}   arrows, PgUp, PgDn; q back", "bold")])
        screen.finish()


def show_output(screen: Screen, broker: Broker, task: Task, key: str, interval: float) -> None:
    """Show the streams of a task that a key of STREAMS means, as they grow, until it is left."""
    output = Output(broker, task, STREAMS[key])
    title = f"task {task.id}, attempt {task.attempt}: {lines.label(task)}"
    Pager(screen, title, output.look, interval).show(at_end=True)


class Output:
    """What a task has written, its last lines first, and what it writes meanwhile."""

    def __init__(self, broker: Broker, task: Task, streams: Sequence[str]) -> None:
        self._reader = Reader(broker, task.id, task.attempt, streams)
        self._is_log = list(streams) == [LOG]
        self._lines: list[str] = []
        self._open: dict[str, bytes] = {}  # a line by its stream that has no end yet
        self._reader.tail(_TAIL, self._take)

    def look(self) -> Sequence[str]:
        self._reader.read(self._take)
        del self._lines[:-KEPT]
        rest = [_shown(data) for data in self._open.values() if data]
        return [*self._lines, *rest] or ["(nothing yet)"]

    def _take(self, stream: str, data: bytes) -> None:
        *whole, rest = (self._open.get(stream, b"") + data).split(b"\n")
        self._open[stream] = rest[-_LONGEST:]
        self._lines += [self._line(line) for line in whole]

    def _line(self, line: bytes) -> str:
        from aque import logs

        return terminal.safe(logs.shown(line)) if self._is_log else _shown(line)


def _shown(line: bytes) -> str:
    """Return a line as a terminal would end up with it, and safe for one."""
    text = line[-_LONGEST:].decode("utf-8", "surrogateescape").rstrip("\r")
    written = text.rpartition("\r")[2]  # a line drawn over and over, as progress bars do
    return terminal.safe(_COLORING.sub("", written).expandtabs())
