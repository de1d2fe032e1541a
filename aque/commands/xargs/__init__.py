"""aque-xargs: a drop-in for GNU xargs whose commands are tasks of a queue.

Each command is a task under one group, run by a worker in this process, so that it can be listed,
killed and retried while it runs and after. Where no queue can be had a private one is used that
goes with us: a script never breaks for it.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aque.commands.xargs.settings import Options

NAME = "aque-xargs"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as xargs does and return its exit status; an interrupt ends this process by itself."""
    from aque import proctitle
    from aque.commands.xargs import inheritance, options

    inheritance.restore()
    proctitle.set_comm(NAME)
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        parsed = options.parse(words, os.environb)
    except options.UsageError as error:
        for warning in error.warnings:
            say(warning)
        say(str(error))
        return error.exit_status
    for warning in parsed.warnings:
        say(warning)
    if parsed.help:
        return _show(options.usage() + "\n")
    if parsed.version:
        import aque

        return _show(f"{NAME} (aque) {aque.__version__}\n")
    return _run(parsed)


def say(text: str) -> None:
    """Tell a person something; where nobody listens, that is their choice."""
    said = f"{NAME}: {text}"
    if os.isatty(2):
        from aque.commands import terminal

        said = terminal.folded(said, terminal.look(stream=sys.stderr).width)
    write(2, f"{said}\n")


def write(descriptor: int, text: str) -> int:
    """Write all of it, past the buffers of Python; return 1 where that fails."""
    try:
        _write_all(descriptor, os.fsencode(text))
    except OSError:
        return 1
    return 0


def _show(text: str) -> int:
    """Write what was asked for to standard output; say, as GNU does, where that fails."""
    try:
        _write_all(1, os.fsencode(text))
    except OSError as error:
        say(f"write error: {error.strerror}")
        return 1
    return 0


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _run(parsed: Options) -> int:
    gc.disable()  # what is made until the first command starts is there to stay
    from aque.commands.xargs import run
    from aque.errors import AqueError

    try:
        status = run.run(parsed)
        gc.freeze()  # and nothing of it is to be collected one by one at the end: a tenth of it all
    except AqueError as error:
        say(str(error))
        return 1
    if status < 0:  # ended by a signal: so that a shell sees it, end by it
        from aque.commands import ending

        return ending.by_signal(-status)
    return status
