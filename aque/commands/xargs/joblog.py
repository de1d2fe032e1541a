"""Own the log that --joblog writes: a line for each command that has ended, as GNU parallel's."""

from __future__ import annotations

import os

from aque import task as tasks
from aque.commands.xargs import quoting
from aque.errors import UsageError
from aque.report import End
from aque.task import Task

_HEADER = "Seq Host Starttime JobRuntime Send Receive Exitval Signal Command".split()


class JobLog:
    """An open log; with `is_resumed` the lines of before are kept."""

    def __init__(self, path: str, is_resumed: bool) -> None:
        flags = os.O_APPEND if is_resumed else os.O_TRUNC
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, 0o666)
        except OSError as error:
            raise UsageError(f"cannot write the log {path}: {error.strerror}") from None
        self._file = open(descriptor, "w", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
        if os.fstat(descriptor).st_size == 0:
            print(*_HEADER, sep="\t", file=self._file, flush=True)

    def write(self, task: Task, end: End, number: int, began: float) -> None:
        """Write how a command ended; `number` is its place in the input, `began` Unix seconds."""
        command = quoting.quote(tasks.shell_words(task) or [])
        times = f"{began:.3f}", f"{end.ended_at - began:10.3f}"
        fields = (number, ":", *times, 0, 0, end.exit_status or 0, end.exit_signal or 0, command)
        print(*fields, sep="\t", file=self._file, flush=True)
