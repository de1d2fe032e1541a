"""Own the pager: a long text over the whole screen, which may grow while it is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from aque.brokers.base import Broker
from aque.brokers.questions import Selection
from aque.commands import lines, terminal
from aque.commands.watch.prompt import Prompt
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

_SAME = {
    "k": "up", "ctrl-p": "up", "j": "down", "enter": "down", "ctrl-n": "down", "b": "page-up",
    "ctrl-b": "page-up", "space": "page-down", "ctrl-f": "page-down", "g": "home", "G": "end",
}  # fmt: skip
_LEAVING = ("q", "escape", "left", "ctrl-d")


class Text(Protocol):
    """What is shown: its lines, what they are, and where to find those left out before them."""

    title: str
    left_out: str

    def look(self) -> Sequence[str]: ...


@dataclass
class Told:
    """A text that a function returns."""

    title: str
    look: Callable[[], Sequence[str]]
    left_out: str = ""


class Pager:
    """Shows the lines of a text, which is asked again each `interval` seconds."""

    def __init__(self, screen: Screen, text: Text, interval: float) -> None:
        self._screen = screen
        self._text = text
        self._interval = interval
        self._prompt = Prompt(screen, self._draw, self._look, interval)
        self._lines: Sequence[str] = ()
        self._at = 0
        self._left = 0
        self._sought, self._found = "", -1
        self._is_following = False

    def show(self, at_end: bool = False) -> None:
        """Show it until it is left."""
        self._is_following = at_end
        while True:
            self._look()
            self._draw()
            key = self._screen.key(self._interval)
            if key in _LEAVING and not (key == "left" and self._left):
                return
            if key in ("/", "n", "N"):
                self._search(key)
            elif key and key != "resize":
                self._move(_SAME.get(key, key))
            if key and key != "resize":
                self._is_following = at_end and self._at >= self._last

    @property
    def _room(self) -> int:
        return max(1, self._screen.height - 2)

    @property
    def _last(self) -> int:
        return max(0, len(self._lines) - self._room)

    def _look(self) -> None:
        self._lines = self._text.look()
        if self._is_following:
            self._at = self._last

    def _move(self, key: str) -> None:
        page = max(1, self._room - 1)
        whole = len(self._lines)
        moves = {"up": -1, "down": 1, "page-up": -page, "page-down": page}
        by = {**moves, "home": -whole, "end": whole}.get(key, 0)
        self._at = max(0, min(self._at + by, self._last))
        sideways = {"left": -1, "right": 1}.get(key, 0) * (self._screen.width // 2)
        self._left = max(0, self._left + sideways)

    def _search(self, key: str) -> None:
        """Go to the next line that has a text, or the one before, and past the end begin again."""
        if key == "/":
            self._sought = self._prompt.read("/", self._sought) or ""
            self._found = self._at - 1
        if not self._sought:
            return
        places = [n for n, line in enumerate(self._lines) if self._sought in line]
        if not places:
            self._prompt.say(f"no line has {self._sought}")
        elif key == "N":
            self._found = max((n for n in places if n < self._found), default=places[-1])
        else:
            self._found = min((n for n in places if n > self._found), default=places[0])
        if places:
            self._at = max(0, min(self._found, self._last))

    def _draw(self) -> None:
        screen = self._screen
        screen.begin()
        screen.put(0, [(self._text.title, "")], "head")
        for y, line in enumerate(self._lines[self._at : self._at + self._room], 1):
            is_found = self._at + y - 1 == self._found and self._sought
            screen.put(y, [(line[self._left :], "bold" if is_found else "")])
        shown = min(self._at + self._room, len(self._lines))
        last = "the last " if self._text.left_out else ""
        place = f"lines {self._at + 1:,}-{shown:,} of {last}{len(self._lines):,}"
        place += f"; {self._text.left_out}" if last else ""
        said = self._prompt.said or f"{place}   arrows, PgUp, PgDn, / search; q back"
        screen.put(screen.height - 1, [(said, "bold")])
        screen.finish()


def show_output(screen: Screen, broker: Broker, task: Task, key: str, interval: float) -> None:
    """Show the streams of a task that a key of STREAMS means, as they grow, until it is left."""
    Pager(screen, Output(broker, task, STREAMS[key]), interval).show(at_end=True)


class Output:
    """The end of what the latest attempt of a task has written, and what it writes meanwhile."""

    def __init__(self, broker: Broker, task: Task, streams: Sequence[str]) -> None:
        self._broker = broker
        self._id = task.id
        self._streams = streams
        self._is_log = list(streams) == [LOG]
        self._begin(task)

    def look(self) -> Sequence[str]:
        for task in self._broker.select(Selection(ids=[self._id])):
            if task.attempt != self._reader.attempt:
                self._begin(task)
        self._reader.read(self._take)
        self._cut(KEPT)
        rest = [_shown(data) for data in self._open.values() if data]
        return [*self._lines, *rest] or ["(nothing yet)"]

    def _begin(self, task: Task) -> None:
        self.title = f"task {task.id}, attempt {task.attempt}: {lines.label(task)}"
        self.left_out = ""
        self._lines: list[str] = []
        self._open: dict[str, bytes] = {}  # a line by its stream that has no end yet
        self._reader = Reader(self._broker, task.id, task.attempt, self._streams)
        self._reader.tail(_TAIL + 1, self._take)  # one more tells whether there are more
        self._cut(_TAIL)

    def _cut(self, most: int) -> None:
        surplus = len(self._lines) + sum(map(bool, self._open.values())) - most
        if surplus > 0:
            del self._lines[:surplus]
            self.left_out = f"aque-output {self._id} has all"

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
