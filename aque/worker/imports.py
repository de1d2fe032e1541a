"""Own which files a runner's tasks have imported: what `--reload` has the worker watch.

Told are those of the tasks' own modules and of what is installed for them, but neither aque's,
which the worker watches by itself, nor the standard library's, which only a new Python changes.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

_LIBRARY = os.path.join(os.path.dirname(os.path.abspath(os.__file__)), "")
_INSTALLED = tuple(_LIBRARY + name for name in ("site-packages", "dist-packages"))
_OURS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")


class Imports:
    """The modules that are loaded, as far as they were told."""

    def __init__(self) -> None:
        self._names = set(sys.modules)
        self._files: set[str] = set()

    def take(self) -> list[str]:
        """Return the files that are new since the last time."""
        if len(sys.modules) == len(self._names):
            return []
        names = set(sys.modules)
        new, self._names = names - self._names, names
        files = {_file(sys.modules.get(name)) for name in new}
        found = sorted(file for file in files if file is not None and file not in self._files)
        self._files.update(found)
        return found


def _file(module: ModuleType | None) -> str | None:
    """Return the file of a module, unless it is nobody's to change. Runs no code of its."""
    if not isinstance(module, ModuleType):
        return None
    file = ModuleType.__getattribute__(module, "__dict__").get("__file__")
    if not isinstance(file, str):
        return None
    path = os.path.abspath(file)
    is_library = path.startswith(_LIBRARY) and not path.startswith(_INSTALLED)
    return None if is_library or path.startswith(_OURS) else path
