"""Own what a task takes over from the process that submits it."""

from __future__ import annotations

import os
import sys
from typing import Any

#: What a job is told by its worker, and what is not passed on to the tasks it submits.
JOB_VARIABLES = ("AQUE_TID", "AQUE_ATTEMPT", "AQUE_SLOT", "AQUE_CPUS", "AQUE_JOB")


def take() -> dict[str, Any]:
    """Return what a task takes over from this process: directory, environment and umask."""
    environ = os.environ.copy()
    for name in JOB_VARIABLES:
        environ.pop(name, None)
    return {"cwd": _directory(), "environ": environ, "umask": _umask()}


def import_path() -> str | None:
    """Return where this program's own modules are, which its tasks are to find too."""
    return _absolute(sys.path[0] if sys.path else None)


def count_cpus() -> int:
    """Return how many cpus this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _absolute(path: str | None) -> str | None:
    return path if path is None or path[:1] == "/" else os.path.abspath(path)


def _directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was removed, or is out of reach
        return None


def _umask() -> int:
    try:
        with open("/proc/self/status", "rb") as file:
            for line in file:
                if line.startswith(b"Umask:"):
                    return int(line.split()[1], 8)
    except OSError:
        pass
    umask = os.umask(0o077)  # no other way to read it; what is made meanwhile is private
    os.umask(umask)
    return umask
