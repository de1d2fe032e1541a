"""Own what the mounts of a task's paths mean for where and when it runs.

Said paths bind: a worker on whose host such a mount is another one, or none, may not run the task.
All of them order: of equal priority, tasks on idle local disks go first, then those on idle shared
ones, and last those whose mounts running tasks of this host are busy on already, the busiest last.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from aque.mounts import Mount


class Mounts(NamedTuple):
    """The mounts of a task's paths: those that were said, and those that were guessed."""

    said: tuple[Mount, ...] = ()
    guessed: tuple[Mount, ...] = ()

    @property
    def all(self) -> frozenset[Mount]:
        return frozenset(self.said + self.guessed)


def to_text(said: Iterable[Mount], guessed: Iterable[Mount]) -> str | None:
    """Return the one text of these mounts; None where there are none."""
    bound = sorted(set(said))
    free = sorted(set(guessed) - set(bound))
    return json.dumps([bound, free], separators=(",", ":")) if bound or free else None


@lru_cache(maxsize=1000)
def parse(text: str | None) -> Mounts:
    if text is None:
        return Mounts()
    said, guessed = json.loads(text)
    return Mounts(tuple(Mount(*m) for m in said), tuple(Mount(*m) for m in guessed))


def scale(text: str | None, busy: Mapping[Mount, int]) -> int:
    """Return the io scale of tasks with these mounts: the smaller, the sooner.

    `busy` counts the running tasks of this host by mount.
    """
    used = parse(text).all
    if not used:
        return 0
    tasks = max(busy.get(mount, 0) for mount in used)
    return tasks + 1 if tasks else int(any(not mount.is_local for mount in used))


def count_busy(running: Iterable[tuple[str, int]]) -> dict[Mount, int]:
    """Count running tasks by mount, from the texts of their mounts and their number."""
    busy: dict[Mount, int] = {}
    for text, count in running:
        for mount in parse(text).all:
            busy[mount] = busy.get(mount, 0) + count
    return busy
