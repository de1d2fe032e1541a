"""Own whether the code that a worker runs has changed on the disk, for `--reload`.

The code is that of aque itself and of the modules that tasks have imported, which the runners name.
It is looked at once a poll: some hundred calls of stat, well under a millisecond. An upgrade writes
many files, so a change counts once nothing has changed any more since the look before. Rejected:
inotify, since editors and installers replace files and directories, and each would have to be
watched anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

import aque

_Stamp = tuple[int, int, int]


class Watch:
    """The files of a worker's code, as they were when it began to run it.

    `known` are the stamps that the program before a reload had seen when it asked for that: what
    has changed since may not be what this program has loaded.
    """

    def __init__(self, known: Mapping[str, Sequence[int] | None] | None = None) -> None:
        self._package = os.path.dirname(os.path.abspath(aque.__file__))
        self._imported: dict[str, _Stamp | None] = {}
        self._last = self._look()
        self._begun = self._last if known is None else _stamps(known)

    def add(self, paths: Iterable[str]) -> None:
        """Watch these files too, of modules that have just been imported."""
        for path in paths:
            if path not in self._imported:
                self._imported[path] = self._begun[path] = self._last[path] = _stamp(path)

    def has_changed(self) -> bool:
        """Look again; whether the code is another, and at rest since the look before.

        What was seen so is the code from then on: it is told once.
        """
        now = self._look()
        is_at_rest, self._last = now == self._last, now
        if now == self._begun or not is_at_rest:
            return False
        self._begun = now
        return True

    def state(self) -> dict[str, _Stamp | None]:
        """Return what the program after a reload is to know: the stamps of aque's own files."""
        return {path: s for path, s in self._begun.items() if path not in self._imported}

    def _look(self) -> dict[str, _Stamp | None]:
        return {path: _stamp(path) for path in (*_sources(self._package), *self._imported)}


def _stamps(known: Mapping[str, Sequence[int] | None]) -> dict[str, _Stamp | None]:
    return {path: stamp and tuple(stamp) for path, stamp in known.items()}  # type: ignore[misc]


def _sources(directory: str) -> Iterable[str]:
    for place, directories, names in os.walk(directory):
        directories[:] = [name for name in directories if name != "__pycache__"]
        for name in names:
            if name.endswith((".py", ".sql")):
                yield os.path.join(place, name)


def _stamp(path: str) -> _Stamp | None:
    try:
        there = os.stat(path)
    except OSError:
        return None
    return there.st_mtime_ns, there.st_size, there.st_ino
