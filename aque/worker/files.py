"""Own the descriptors that a job starts with, and that none of them stays open by mistake."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import stat
from collections.abc import Iterable, Mapping
from typing import Any

from aque.task import Task

#: What `task.stdin` says when the input is stored with the task itself.
STORED = "-"
_PLACES = {
    "cwd": "working directory", "stdin": "standard input", "stdout": "standard output",
    "stderr": "standard error",
}  # fmt: skip
#: Descriptors that jobs leave to the worker itself: for /proc, files, a connection.
_RESERVED = 16


class Descriptors:
    """Descriptors to be closed at the end of a `with`, but for those kept."""

    def __init__(self) -> None:
        self._opened: list[int] = []

    def __enter__(self) -> Descriptors:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        for descriptor in self._opened:
            os.close(descriptor)

    def open(self, path: str, flags: int) -> int:
        return self._add(os.open(path, flags | os.O_CLOEXEC | os.O_NOCTTY, 0o666))

    def pipe(self, lowest: int = 0) -> tuple[int, int]:
        """Make a pipe; both ends lie above `lowest`, so that they are in nobody's way.

        Raises OSError, EMFILE, while there still are some descriptors for the worker itself.
        """
        ends = [self._add(end) for end in os.pipe()]
        if lowest:
            ends = [self._add(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, lowest)) for end in ends]
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if most != resource.RLIM_INFINITY and max(ends) >= most - _RESERVED:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return ends[0], ends[1]

    def again(self, descriptor: int, lowest: int) -> int:
        """Make another descriptor of the same open file."""
        return self._add(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, lowest))

    def incoming(self) -> tuple[int, int]:
        """Make a pipe whose reading end does not wait."""
        ends = self.pipe()
        os.set_blocking(ends[0], False)
        return ends

    def holding(self, content: bytes) -> int:
        """Open a nameless file with this content."""
        descriptor = self._add(nameless())
        with open(descriptor, "r+b", closefd=False) as file:
            file.write(content)
            file.seek(0)
        return descriptor

    def keep(self, descriptors: Iterable[int]) -> None:
        kept = set(descriptors)
        self._opened = [descriptor for descriptor in self._opened if descriptor not in kept]

    def _add(self, descriptor: int) -> int:
        self._opened.append(descriptor)
        return descriptor


def nameless() -> int:
    """Open a file that has no name: in memory where that can be, since no disk is full there."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("aque")
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def outputs(task: Task, opened: Descriptors) -> tuple[int, int, dict[str, int]]:
    """Open a command's stdout and stderr; return them, and by name the pipes to read them from."""
    incoming: dict[str, int] = {}
    theirs: dict[str, int] = {}
    by_path: dict[str, int] = {}
    for name, path in (("stdout", task.stdout), ("stderr", task.stderr)):
        if path is None:
            incoming[name], theirs[name] = opened.incoming()
            continue
        if path not in by_path:
            file = os.devnull if is_fifo(path) else path
            by_path[path] = opened.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        theirs[name] = by_path[path]
    return theirs["stdout"], theirs["stderr"], incoming


def pipes(task: Task, opened: Descriptors) -> dict[str, tuple[int, int]]:
    """Make a pipe, to read from and to write to, for each stream that goes to no file."""
    named = (("stdout", task.stdout), ("stderr", task.stderr))
    return {name: opened.incoming() for name, path in named if path is None}


def behind_fifos(command: list[str], task: Task) -> list[str]:
    """Return the command that first opens the FIFOs among a task's files.

    That waits for whoever opens the other end, so the job does it, never the worker.
    """
    for operator, path in (("2>", task.stderr), (">", task.stdout), ("<", task.stdin)):
        if path is not None and path != STORED and is_fifo(path):
            command = ["/bin/sh", "-c", f'exec "$@" {operator}"$0"', path, *command]
    return command


def trouble(error: OSError, task: Mapping[str, Any]) -> str:
    """Say what an error is about, and which of the places in a task's keys that is."""
    if error.filename is None:
        return error.strerror or str(error)
    path = os.fsdecode(error.filename)
    names = [f"{what} " for key, what in _PLACES.items() if task.get(key) == path]
    return f"{names[0] if names else ''}{path}: {error.strerror}"


def is_null(descriptor: int) -> bool:
    """Whether a descriptor of ours is open, on /dev/null."""
    try:
        there = os.fstat(descriptor)
    except OSError:
        return False
    return stat.S_ISCHR(there.st_mode) and there.st_rdev == os.stat(os.devnull).st_rdev


def is_fifo(path: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        return False
