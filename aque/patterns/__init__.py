"""Own what a task's pattern means: how its func, args and kwargs become a result.

A pattern is one function of a Call. The built-in ones stand in a table; others are found by the
entry points of the group `aque.patterns`, asked only on a miss. New kinds of task are made here,
by a richer pattern, never by new columns.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

from aque.errors import UsageError

BUILT_IN = {
    "generic": "aque.patterns.generic:run",
    "map": "aque.patterns.map:run",
    "reduce": "aque.patterns.reduce:run",
    "shell": "aque.patterns.shell:run",
}


class Call(NamedTuple):
    """A task as its pattern sees it: decoded values, and its id for all else."""

    id: int
    func: Callable[..., Any] | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


Pattern = Callable[[Call], Any]


def find(name: str) -> Pattern:
    """Return the function of a pattern. Raises UsageError for one that nobody provides."""
    target = BUILT_IN.get(name)
    if target is None:
        return _find_plugin(name)
    module, _, function = target.partition(":")
    pattern: Pattern = getattr(importlib.import_module(module), function)
    return pattern


def exists(name: str) -> bool:
    return name in BUILT_IN or any(point.name == name for point in _entry_points())


def _find_plugin(name: str) -> Pattern:
    for point in _entry_points():
        if point.name == name:
            pattern: Pattern = point.load()
            return pattern
    known = ", ".join(sorted(BUILT_IN))
    raise UsageError(f"no pattern {name!r}; there are {known} and those of installed plug-ins")


def _entry_points() -> list[Any]:
    from importlib.metadata import entry_points

    try:
        return list(entry_points(group="aque.patterns"))
    except TypeError:  # Python 3.9 takes no group
        return list(entry_points().get("aque.patterns", []))
