"""Own what a task takes over from the process that submits it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

#: What a job is told by its worker, and what is not passed on to the tasks it submits.
JOB_VARIABLES = ("AQUE_TID", "AQUE_ATTEMPT", "AQUE_SLOT", "AQUE_CPUS", "AQUE_JOB")


def take() -> Mapping[str, Any]:
    """Return what a task takes over from this process: directory, environment and umask."""
    return Surroundings().take()


class Surroundings:
    """What is taken over, time and again: most programs submit by the thousand while it is alike.

    To decode the environment anew took a tenth of a submit.
    """

    def __init__(self) -> None:
        self._taken: Mapping[str, Any] = MappingProxyType({})
        self._environ: tuple[Mapping[Any, Any], Mapping[str, str]] = {}, MappingProxyType({})

    def take(self) -> Mapping[str, Any]:
        """Return what `take` does: the same object for as long as nothing of it changes."""
        found = {"cwd": _directory(), "environ": self._decoded(), "umask": _umask()}
        taken = self._taken  # another thread may replace it meanwhile
        if taken != found:
            self._taken = taken = MappingProxyType(found)
        return taken

    def _decoded(self) -> Mapping[str, str]:
        held = getattr(os.environ, "_data", os.environ)  # a program may have put a dict there
        last, environ = self._environ
        if held != last:
            last = dict(held)
            decoded = {os.fsdecode(name): os.fsdecode(value) for name, value in last.items()}
            for name in JOB_VARIABLES:
                decoded.pop(name, None)
            environ = MappingProxyType(decoded)
            self._environ = last, environ
        return environ


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
        descriptor = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = os.read(descriptor, 4096).partition(b"\nUmask:")[2]
        finally:
            os.close(descriptor)
    except OSError:
        found = b""
    if found:
        return int(found.split(None, 1)[0], 8)
    umask = os.umask(0o077)  # no other way to read it; what is made meanwhile is private
    os.umask(umask)
    return umask
