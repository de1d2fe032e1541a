r"""Own how items become command lines: by -n, -L and -s, or by -I.

`Batches` is all that a runner needs:

    batches = Batches(options, os.environb)
    while not batches.ended and (chunk := read()):
        run(batches.feed(chunk))
    run(batches.finish())
    if batches.error: ...

GNU xargs fails late: what was complete before a bad byte has been run by then, and so has what was
not, unless -x, -I or -L is in force. So nothing here raises; `error` tells, and comes with `ended`.

How GNU 4.9 counts for -s, found by running it: the bytes of every argument and its NUL, without
pointers. Items that do not fit are left for the next command, or are the end ("argument list too
long") where -n with -x, -L or -I says which belong together. With -I no argument may be longer than
`max_chars` less two ("command too long"), whatever the others are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from aque.commands.xargs import limits
from aque.commands.xargs.items import NUL_WARNING, InputError, Items, Tokens
from aque.commands.xargs.settings import Options
from aque.record import record

__all__ = ["Batches", "InputError"]

_TOO_BIG = "cannot fit single argument within argument list size limit"
_CANNOT_EXEC = "can't call exec() due to argument size restrictions"

#: The arguments of one command, its name first.
Argv = list[bytes]


class Batches:
    """Turn chunks of input into argument vectors, each as soon as it is complete.

    - `ended`: the rest of the input does not matter (-E's string, or an error). Stop reading, and
      call `finish`, whose batches are still to be run.
    - `error`: once the batches returned so far are started, fail with this. The exit status is the
      error's, 1, unless a command failed: then it is what xargs makes of that (123 to 127).
    - `warnings`: for standard error, as they come; the caller may empty the list. They are due when
      `quiet` of the batches returned with them have been started.
    """

    def __init__(self, options: Options, environ: Mapping[bytes, bytes]) -> None:
        self.error: InputError | None = None
        self.warnings: list[str] = []
        self.quiet = 0
        self._is_strict = options.is_strict
        self._warns_of_nul = options.delimiter is None
        command = [os.fsencode(word) for word in options.command]
        room = Room(options.max_chars, limits.kernel_room(environ), limits.longest_argument())
        self._packer: Lists | Replacing
        if options.replace is None:
            self._packer = Lists(options, command, room)
            self._items = Items(options, options.max_chars - _chars(command))
            if not self._packer.is_possible:
                self.error = InputError(_TOO_BIG)
        else:
            self._packer = Replacing(os.fsencode(options.replace), command, room)
            # GNU does not set room for the command aside until it has read a line.
            limit = options.max_chars - len(command[0]) - 1
            self._items = Items(options, limit, first_limit=options.max_chars)

    @property
    def ended(self) -> bool:
        """Tell whether the rest of the input does not matter."""
        return self.error is not None or self._items.ended

    def feed(self, chunk: bytes) -> list[Argv]:
        """Return the batches that `chunk` completes."""
        return [] if self.ended else self._pack(self._items.feed(chunk))

    def finish(self) -> list[Argv]:
        """Return the last batches, at the end of the input: without items, the bare command."""
        if self.error:
            return []
        ready = self._pack(self._items.finish())
        if not self.error:
            self._packer.finish(ready)
        return self._cut(ready)

    def _pack(self, tokens: Tokens) -> list[Argv]:
        ready: list[Argv] = []
        complete = None
        try:
            self._packer.add(tokens, ready)
            self.error = self._items.error
        except InputError as error:
            self.error = error
        else:
            if self.error and not self._is_strict:
                complete = len(ready)
                self._packer.flush(ready)
        if isinstance(self._packer, Replacing):  # one command an item, which need not be in it
            return self._cut(ready, [[item] for item in tokens.items])
        return self._cut(ready, complete=complete)

    def _cut(
        self, ready: list[Argv], items: list[Argv] | None = None, complete: int | None = None
    ) -> list[Argv]:
        """Cut arguments off at a NUL, as exec would, with a warning unless -d asked for them.

        The warning comes before the first command whose `items` have a NUL; these are its arguments
        unless given. Where it is in none, it was read before all that follows the `complete` ones.
        """
        if not self._items.has_nul:
            return ready
        if self._warns_of_nul:
            self._warns_of_nul = False
            self.warnings.append(NUL_WARNING)
            made_of = ready if items is None else items
            spoilt = (n for n, words in enumerate(made_of) if any(b"\0" in word for word in words))
            self.quiet = next(spoilt, len(ready) if complete is None else complete)
        return [[word.partition(b"\0")[0] for word in argv] for argv in ready]


@record(frozen=True)
class Room:
    """How much one command may hold: by -s, by the kernel's count, and in one argument."""

    chars: int
    kernel: int
    longest: int

    def is_refused(self, chars: int, count: int) -> bool:
        """Tell whether the kernel would refuse `count` arguments of `chars` bytes."""
        return chars + count * limits.POINTER > self.kernel


class Lists:
    """Append items to the command until it is full: by -n, -L, or for want of room."""

    def __init__(self, options: Options, command: Argv, room: Room) -> None:
        self._command = command
        self._command_chars = _chars(command)
        self._room = room
        self._full = len(command) + (options.max_args or 0)
        self._max_lines = options.max_lines
        #: Whether items belong together, so that they may not be split for want of room.
        self._is_fixed = options.is_strict and bool(options.max_args or options.max_lines)
        self._runs_empty = not options.no_run_if_empty
        self._lines = 0
        self._argv, self._chars = list(command), self._command_chars

    @property
    def is_possible(self) -> bool:
        """Tell whether there is room for the command at all."""
        return self._command_chars <= self._room.chars

    def add(self, tokens: Tokens, ready: list[Argv]) -> None:
        """Take items, and append to `ready` what is full. Raises InputError."""
        if self._max_lines is None:
            self._extend(tokens.items, ready)
            return
        start = 0
        for end in tokens.line_ends:
            self._extend(tokens.items[start:end], ready)
            start = end
            self._lines += 1
            if self._lines == self._max_lines:
                self.flush(ready)
                self._lines = 0
        self._extend(tokens.items[start:], ready)

    def _extend(self, items: list[bytes], ready: list[Argv]) -> None:
        room, pointer = self._room, limits.POINTER
        for item in items:
            size = len(item) + 1
            chars = self._chars + size
            if (
                chars > room.chars
                or chars + (len(self._argv) + 1) * pointer > room.kernel
                or size > room.longest
            ):
                self._make_room(size, ready)
                chars = self._chars + size
            self._argv.append(item)
            self._chars = chars
            if len(self._argv) == self._full:
                self.flush(ready)

    def _make_room(self, size: int, ready: list[Argv]) -> None:
        if self._chars + size > self._room.chars:
            if self._chars == self._command_chars:
                raise InputError(_TOO_BIG)
            if self._is_fixed:
                raise InputError("argument list too long")
        self.flush(ready)
        is_refused = self._room.is_refused(self._chars + size, len(self._argv) + 1)
        if size > self._room.longest or is_refused:
            raise InputError(_CANNOT_EXEC)

    def flush(self, ready: list[Argv]) -> None:
        """Append what is at hand to `ready`, unless it is nothing."""
        if len(self._argv) > len(self._command):
            ready.append(self._argv)
            self._argv, self._chars = list(self._command), self._command_chars
            self._runs_empty = False

    def finish(self, ready: list[Argv]) -> None:
        """Append the last batch to `ready`, or the bare command when there was none."""
        self.flush(ready)
        if self._runs_empty:
            ready.append(list(self._command))
            self._runs_empty = False


class Replacing:
    """Put each item into the arguments of a command of its own."""

    def __init__(self, pattern: bytes, command: Argv, room: Room) -> None:
        self._pattern = pattern
        self._command = command
        self._room = room

    def add(self, tokens: Tokens, ready: list[Argv]) -> None:
        """Append one command an item to `ready`. Raises InputError."""
        for item in tokens.items:
            ready.append(self._replaced(item))

    def _replaced(self, item: bytes) -> Argv:
        """Return the command with `item` for each pattern, but never in its name."""
        argv, room = self._command[:1], self._room
        chars = _chars(argv)
        if chars > room.chars:
            raise InputError(_TOO_BIG)
        for word in self._command[1:]:
            # In an argument that is not empty GNU finds the empty pattern without end.
            argument = word.replace(self._pattern, item) if self._pattern or not word else None
            if argument is None or len(argument) > room.chars - 2:
                raise InputError("command too long")
            chars += len(argument) + 1
            if chars > room.chars:
                raise InputError("argument list too long")
            argv.append(argument)
        is_refused = room.is_refused(chars, len(argv))
        if is_refused or max(map(len, argv)) >= room.longest:
            raise InputError(_CANNOT_EXEC)
        return argv

    def flush(self, ready: list[Argv]) -> None:
        """Do nothing: no item waits for others."""

    def finish(self, ready: list[Argv]) -> None:
        """Do nothing: without items no command runs."""


def _chars(argv: Argv) -> int:
    return sum(len(word) + 1 for word in argv)
