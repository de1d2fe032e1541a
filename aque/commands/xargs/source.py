"""Own the input of a run: standard input or -a FILE, read as it comes and made into commands.

What a person is to be told between two commands (a NUL, a quote that does not end) comes between
them, so that it is told when the one before has been started and no earlier.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import selectors

from aque.commands.xargs import quoting
from aque.commands.xargs.batches import Argv, Batches
from aque.commands.xargs.items import InputError
from aque.commands.xargs.settings import Options
from aque.errors import UsageError

_CHUNK = 65536
#: Below are the standard streams.
_ABOVE = 3

#: A command, a warning, or what ended the input before its end.
Entry = Argv | str | InputError


class Source:
    """Reads without waiting: `is_ready` tells whether to read, and has the loop woken if not.

    After the end `failure` is why standard input could not be read, in GNU's words, or None.
    """

    def __init__(self, options: Options) -> None:
        self.is_over = False
        self.failure: str | None = None
        self._batches = Batches(options, os.environb)
        self._is_file = options.arg_file is not None
        self._descriptor = 0 if options.arg_file is None else _open(options.arg_file)
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)
        self._selector: selectors.BaseSelector | None = None
        self._is_watched = False

    def leave_stdin(self) -> None:
        """Read on elsewhere, and have /dev/null there: commands inherit it, which costs nothing."""
        if self._is_file:
            return
        try:
            self._descriptor = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
        except OSError:  # it is closed, which is told when it is to be read
            return
        self._poll.unregister(0)
        self._poll.register(self._descriptor, select.POLLIN)
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        os.dup2(null, 0)
        os.close(null)

    def attach(self, selector: selectors.BaseSelector) -> None:
        """Say who waits for the input."""
        self._selector = selector

    @property
    def is_typed(self) -> bool:
        """Whether the input is to be typed at a terminal."""
        return not self._is_file and os.isatty(self._descriptor)

    def wait_and_read(self) -> list[Entry]:
        """Read once, however long that takes."""
        self._poll.poll()
        return self.read()

    def is_ready(self) -> bool:
        """Whether `read` would not wait; if it would, have the selector tell when it does not."""
        if self._is_watched:
            return False
        if self._poll.poll(0):
            return True
        if self._selector is not None:
            self._selector.register(self._descriptor, selectors.EVENT_READ, self.unwatch)
            self._is_watched = True
        return False

    def read(self) -> list[Entry]:
        """Read once; `is_over` tells afterwards whether that was the end."""
        found: list[Entry] = []
        try:
            chunk = b"" if self._batches.ended else self._read()
        except BlockingIOError:
            return found
        if chunk:
            found += self._with_warnings(self._batches.feed(chunk))
        if not chunk or self._batches.ended:
            self.is_over = True
            found += self._with_warnings(self._batches.finish())
            if self._batches.error is not None:
                found.append(self._batches.error)
        return found

    def unwatch(self) -> None:
        """Be told no more: at each turn, while there is no room for what has come."""
        if self._is_watched and self._selector is not None:
            self._selector.unregister(self._descriptor)
            self._is_watched = False

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            raise
        except OSError as error:  # closed, or a directory: it has no items
            if not self._is_file:
                reason = f": {error.strerror}" if error.errno == errno.EBADF else ""
                self.failure = f"error closing file{reason}"
            return b""

    def _with_warnings(self, ready: list[Argv]) -> list[Entry]:
        batches = self._batches
        entries: list[Entry] = list(ready)
        if batches.warnings:
            entries[batches.quiet : batches.quiet] = batches.warnings
            batches.warnings.clear()
        return entries


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        name = quoting.quote_name(path, quoting.is_ascii_only())
        raise UsageError(f"Cannot open input file {name}: {error.strerror}") from None
