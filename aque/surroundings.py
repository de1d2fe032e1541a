"""Own what a task takes over from the process that submits it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

#: What a job is told by its worker, and what is not passed on to the tasks it submits.
JOB_VARIABLES = ("AQUE_TID", "AQUE_ATTEMPT", "AQUE_SLOT", "AQUE_CPUS", "AQUE_JOB")

#: How entries of `sys.path` end that are no directories but names for a finder of setuptools.
_HOOK = ".__path_hook__"


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
    """Return where this program finds modules and its Python alone would not; its tasks do too.

    That is all of `sys.path` but the library and what is installed, which are others under another
    Python. Directories are joined as in PYTHONPATH; those that stand behind the library, where they
    hide nothing of it, are behind a `::`.
    """
    return _import_path(tuple(sys.path), _directory())


def split_import_path(text: str) -> tuple[list[str], list[str]]:
    """Return the directories of an import path that stand before the library, and behind it."""
    before, mark, behind = text.partition("::/")
    return _directories(before), _directories(mark[2:] + behind)


def _directories(text: str) -> list[str]:
    first, *others = text.split(":/")  # not at each colon: a directory may have one in its name
    return [first, *(f"/{other}" for other in others)] if text else []


@lru_cache(maxsize=100)
def _import_path(entries: tuple[object, ...], directory: str | None) -> str | None:
    """Return the import path of these entries of `sys.path`, seen from this directory."""
    texts = [path for path in entries if isinstance(path, str)]  # imports pass over others too
    named = [_absolute(text, directory) for text in texts if not text.endswith(_HOOK)]
    paths = [path for path in dict.fromkeys(named) if path is not None]
    own = _found_by_python()
    library = next((n for n, path in enumerate(paths) if path in own), len(paths))
    before, behind = paths[:library], [path for path in paths[library:] if path not in own]
    return ":".join(before) + "::" * bool(behind) + ":".join(behind) or None


def _absolute(path: str, directory: str | None) -> str | None:
    if path[:1] == "/":
        return path
    return None if directory is None else os.path.normpath(os.path.join(directory, path))


def _found_by_python() -> set[str]:
    import site  # it has been, unless by -S

    library = os.path.dirname(os.path.abspath(os.__file__))
    archive = f"python{sys.version_info[0]}{sys.version_info[1]}.zip"
    around = {os.path.join(os.path.dirname(library), archive), os.path.join(library, "lib-dynload")}
    return {library, *around, *site.getsitepackages(), site.getusersitepackages()}


def count_cpus() -> int:
    """Return how many cpus this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
