"""Own what Python calls have in common: which may share a runner, and what it is told of them."""

from __future__ import annotations

import sys
from base64 import b64encode
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from aque.task import Task

#: Interpreter, user, environment and import path.
Key = tuple[str, str, "int | None", "str | None"]


def key_of(task: Task) -> Key:
    """Return what tasks that share a runner have in common."""
    interpreter = task.interpreter or sys.executable
    return (interpreter, task.user, task.environment, task.import_path)


def batches(tasks: Iterable[Task]) -> list[list[Task]]:
    """Split tasks into runs of those that share all but their arguments."""
    return [list(run) for _, run in groupby(tasks, _shape)]


def _shape(task: Task) -> tuple[Any, ...]:
    return (*key_of(task), task.pattern, task.func, task.cwd, task.umask, task.cpus,
            task.keep_background, task.stdin, task.stdout, task.stderr)  # fmt: skip


def common_of(
    task: Task, environ: Mapping[str, str], stdin_value: bytes | None = None
) -> dict[str, Any]:
    """Return what a runner must know of a task's kind; `environ` is what differs from its own."""
    return {
        "pattern": task.pattern,
        "func": task.func,
        "cwd": task.cwd,
        "umask": task.umask,
        "import_path": task.import_path,
        "stdin": task.stdin,
        "stdin_value": None if stdin_value is None else b64encode(stdin_value).decode(),
        "stdout": task.stdout,
        "stderr": task.stderr,
        "environ": dict(environ),
    }
