"""Own the paths that a task will read and write: guessed from its arguments, or said.

Any argument that names a path counts, as the longest part of it that exists, so that an output yet
to be written counts too. The sizes of whole files add up to a pseudo duration, so that of equal
tasks the large go first. A guess only orders; what was said binds (schedule/mounts.py).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from functools import cached_property

from aque import mounts
from aque.errors import UsageError
from aque.mounts import Mount

#: What a disk gives, for the pseudo duration of a task; bytes a second.
RATE = 100e6

#: Arguments looked at; a task with thousands of files is told by the first of them.
_MOST = 64


class Finder:
    """Finds the paths of the tasks of one submission; what is mounted is looked up once."""

    @cached_property
    def _mounted(self) -> Sequence[Mount]:
        return mounts.table()

    def guess(self, words: Iterable[str], cwd: str | None) -> tuple[list[Mount], float]:
        """Return the mounts of the paths among these words, and their pseudo duration."""
        found: dict[Mount, None] = {}
        size = 0
        for word in list(words)[:_MOST]:
            path = _path_in(word, cwd)
            if path is not None:
                found[mounts.of(path, self._mounted)] = None
                size += _size(path)
        return list(found), size / RATE

    def said(self, paths: Iterable[str], cwd: str | None) -> list[Mount]:
        """Return the mounts of paths that a task was said to use."""
        found: dict[Mount, None] = {}
        for path in paths:
            if not isinstance(path, str) or not path:
                raise UsageError(f"io_paths cannot hold {path!r}")
            try:
                found[mounts.of(os.path.join(cwd or "/", path), self._mounted)] = None
            except ValueError:  # a NUL byte, or a surrogate that stands for no byte
                raise UsageError(f"io_paths cannot hold {path!r}") from None
        return list(found)


def _path_in(word: str, cwd: str | None) -> str | None:
    """Return the path that a word names, also as `--option=path`; None where it names none."""
    if word.startswith("-"):
        word = word.partition("=")[2]
    if not word or "\0" in word or "://" in word:
        return None
    path = os.path.join(cwd or "/", word)
    try:
        existing = path if os.path.lexists(path) else mounts.longest_existing(path)
    except (OSError, ValueError):
        return None
    has_slash = "/" in word
    if existing == "/" or (existing != path and not has_slash):
        return None  # a plain word that is no file here
    return path


def _size(path: str) -> int:
    try:
        there = os.stat(path)
    except (OSError, ValueError):
        return 0
    return there.st_size if stat.S_ISREG(there.st_mode) else 0
