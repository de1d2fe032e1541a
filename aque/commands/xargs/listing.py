"""Own --dry-run: the commands are printed as a shell would read them, and none is run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from aque.commands.xargs import quoting, say, write
from aque.commands.xargs.items import InputError
from aque.commands.xargs.source import Entry, Source


def print_commands(source: Source, earlier: Iterable[Entry]) -> int:
    """Print `earlier` commands, and those that are read, as they are; return the exit status."""
    ascii_only = quoting.is_ascii_only()
    entries: Iterator[Entry] | None = iter(earlier)
    while entries is not None:
        for entry in entries:
            if isinstance(entry, list):
                words = [os.fsdecode(word) for word in entry]
                if write(1, quoting.quote(words, ascii_only) + "\n"):
                    return 1
            else:
                say(str(entry))
                if isinstance(entry, InputError):
                    return entry.exit_status
        entries = None if source.is_over else iter(source.wait_and_read())
    if source.failure is not None:
        say(source.failure)
        return 1
    return 0
