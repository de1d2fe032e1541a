"""Own how kept output is shown: each command's apart, a line at a time, or in the input's order.

The worker reads and stores what the commands write, and shows it here as well. What cannot be shown
yet lies in memory, past a megabyte a stream in a temporary file. With an order, no more than a
thousand commands are begun before the first whose output is still to be shown, so that a slow one
holds up no endless heap.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from typing import TYPE_CHECKING

from aque import task as tasks
from aque.commands.xargs.settings import Options
from aque.task import Task

if TYPE_CHECKING:
    from tempfile import SpooledTemporaryFile

_DESCRIPTORS = {"stdout": 1, "stderr": 2}
_IN_MEMORY = 1 << 20
_PIECE = 65536
#: Commands that may have ended or be running while the first in order is not through.
_MOST_AHEAD = 1000

Write = Callable[[int, bytes], None]


class Display:
    """Shows the output of commands that are told of by `started`, `hear` and `ended`.

    `is_broken` once nobody reads any more what is shown.
    """

    def __init__(self, options: Options) -> None:
        self.is_broken = False
        self._options = options
        self._by_line = options.by_line
        self._is_ordered = options.keep_order
        self._pieces: dict[int, _Piece] = {}  # by id, in the order of the input

    @property
    def has_room(self) -> bool:
        """Whether one more command may be begun."""
        return not self._is_ordered or len(self._pieces) < _MOST_AHEAD

    def started(self, task: Task) -> None:
        if task.id in self._pieces:  # tried again, in its own place
            return
        tag = tag_of(task, self._options) if self._options.tag else b""
        self._pieces[task.id] = _Piece(tag, self._write)
        self._go_on()

    def hear(self, id: int, stream: str, data: bytes) -> None:
        """Take what a command has written."""
        self._pieces[id].take(stream, data)

    def again(self, task: Task) -> None:
        """Forget what a command has written that is to be tried again, but for what was shown."""
        if task.id in self._pieces:
            self._pieces[task.id].forget()

    def ended(self, task: Task) -> None:
        piece = self._pieces.get(task.id)
        if piece is None:
            return
        piece.is_over = True
        if not self._is_ordered:
            piece.show()
            del self._pieces[task.id]
        self._go_on()

    def close(self) -> None:
        """Show what is left, in order."""
        for piece in self._pieces.values():
            piece.show()
        self._pieces.clear()

    def _go_on(self) -> None:
        """Show what may be shown now: whole outputs in their order, and lines as they come."""
        while self._is_ordered and self._pieces:
            id, first = next(iter(self._pieces.items()))
            if not first.is_over:
                break
            first.show()
            del self._pieces[id]
        if self._by_line:
            live = list(self._pieces.values())[: 1 if self._is_ordered else None]
            for piece in live:
                piece.go_live()

    def _write(self, descriptor: int, data: bytes) -> None:
        while data and not self.is_broken:
            try:
                data = data[os.write(descriptor, data) :]
            except BlockingIOError:
                select.select([], [descriptor], [])
            except OSError:
                self.is_broken = True


class _Piece:
    """One command's output as far as it is not shown."""

    def __init__(self, tag: bytes, write: Write) -> None:
        self.is_over = False
        self._tag = tag
        self._write = write
        self._is_live = False
        self._kept: dict[str, SpooledTemporaryFile[bytes]] = {}
        self._rest: dict[str, bytes] = {}  # a line that is not complete, when live

    def take(self, stream: str, data: bytes) -> None:
        if self._is_live:
            self._show_lines(stream, data)
        else:
            if stream not in self._kept:
                from tempfile import SpooledTemporaryFile

                self._kept[stream] = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
            self._kept[stream].write(data)

    def forget(self) -> None:
        for file in self._kept.values():
            file.close()
        self._kept.clear()

    def go_live(self) -> None:
        """Show what there is, and from now on each line as it is complete."""
        if not self._is_live:
            self._is_live = True
            self._show_kept()

    def show(self) -> None:
        """Show all: standard output first."""
        self._show_kept()
        for stream in sorted(self._rest, reverse=True):
            self._show(stream, self._rest.pop(stream))

    def _show_kept(self) -> None:
        for stream in sorted(self._kept, reverse=True):
            with self._kept.pop(stream) as file:
                file.seek(0)
                while data := file.read(_PIECE):
                    self._show_lines(stream, data)

    def _show_lines(self, stream: str, data: bytes) -> None:
        lines, newline, rest = (self._rest.pop(stream, b"") + data).rpartition(b"\n")
        self._show(stream, lines + newline)
        if rest:
            self._rest[stream] = rest

    def _show(self, stream: str, data: bytes) -> None:
        if self._tag and data:
            lines = data.splitlines(keepends=True) if b"\r" not in data else _lines(data)
            data = b"".join(self._tag + b"\t" + line for line in lines)
        self._write(_DESCRIPTORS[stream], data)


def _lines(data: bytes) -> list[bytes]:
    return [line + b"\n" for line in data[:-1].split(b"\n")] if data[-1:] == b"\n" else [data]


def tag_of(task: Task, options: Options) -> bytes:
    """Return what of the input a command was given."""
    words = tasks.shell_words(task) or []
    pattern = options.replace
    if pattern is None:
        return os.fsencode(" ".join(words[len(options.command) :]))
    for template, word in zip(options.command[1:], words[1:]):
        count = template.count(pattern) if pattern else 0
        if count:
            size = (len(word) - len(template)) // count + len(pattern)
            start = template.index(pattern)
            return os.fsencode(word[start : start + size])
    return b""
