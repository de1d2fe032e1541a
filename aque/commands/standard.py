"""Own the standard descriptors of a command: that none is missing, and that talk fails nothing.

A closed 0, 1 or 2 would be given to the first file opened, the queue, and then be written to by
whoever means to print. It is put on a placeholder that fails as a closed one does, and is closed
again in the children.
"""

from __future__ import annotations

import io
import os
import sys


def hold_places() -> None:
    """Take the places of those that are closed; call it first."""
    for descriptor, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, flags | os.O_CLOEXEC)  # gets the lowest number that is free


def open_streams() -> None:
    """Give Python streams of all three. What cannot be said on standard error is left unsaid."""
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names are bytes, and go out as they are
    talk = io.BufferedWriter(_Talk(2, "w", closefd=False))
    sys.stderr = io.TextIOWrapper(talk, errors="backslashreplace", line_buffering=True)


def drop_output() -> None:
    """Have Python not try again, at its exit, to write what cannot be written."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError:
        pass


class _Talk(io.FileIO):
    """A descriptor that takes all there is to write, though it may be full, closed or a dead pipe.

    Who does not listen has chosen so; what a command did is told by its exit status.
    """

    def write(self, data: object) -> int:
        try:
            written = super().write(data)  # type: ignore[arg-type]
        except OSError:
            written = None
        return len(data) if written is None else written  # type: ignore[arg-type]
