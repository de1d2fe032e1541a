"""The pattern of a command: its arguments are a program's argument list.

A worker starts a command itself, as directly as xargs would, and never through `run`; that is for
whoever calls a shell task inside another program.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from aque.errors import TaskFailedError, UsageError
from aque.patterns import Call


def argument_list(args: Sequence[object], kwargs: dict[str, object]) -> list[str]:
    """Return the argument list to execute. With `shell`, the first argument is a script."""
    words = [os.fspath(a) if isinstance(a, os.PathLike) else a for a in args]
    if not words or not all(isinstance(word, str) for word in words):
        raise UsageError("a command is a list of strings that is not empty")
    command = [str(word) for word in words]
    if kwargs.get("shell"):
        return ["/bin/sh", "-c", command[0], "sh", *command[1:]]
    return command


def run(call: Call) -> int:
    import subprocess

    status = subprocess.run(argument_list(call.args, call.kwargs), check=False).returncode
    if status:
        raise TaskFailedError(f"ended with status {status}", status if status > 0 else 128 - status)
    return status
