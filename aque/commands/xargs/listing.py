"""Own --dry-run: the commands are printed as a shell would read them, and none is run."""

from __future__ import annotations

import os

from aque.commands.xargs import quoting, say, write
from aque.commands.xargs.items import InputError
from aque.commands.xargs.source import Source


def print_commands(source: Source) -> int:
    """Print the commands as they are read; return the exit status."""
    ascii_only = quoting.is_ascii_only()
    while not source.is_over:
        for entry in source.wait_and_read():
            if isinstance(entry, list):
                words = [os.fsdecode(word) for word in entry]
                if write(1, quoting.quote(words, ascii_only) + "\n"):
                    return 1
            else:
                say(str(entry))
                if isinstance(entry, InputError):
                    return entry.exit_status
    if source.failure is not None:
        say(source.failure)
        return 1
    return 0
