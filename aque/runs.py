"""Own what a group has of the run of aque-xargs whose commands are its children."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aque import codec
from aque.task import Task


def recorded(options: Sequence[str], command: Sequence[str]) -> str:
    """Return as text what a run was asked to do, by which it can be resumed."""
    return codec.encode({"options": [*options], "command": [*command]}, "extra")


def is_cut_off(group: Task) -> bool:
    """Whether it is of a run whose input was not read to its end."""
    return group.is_group and group.progress_total is None and told(group.extra) is not None


def told(extra: str | None) -> dict[str, Any] | None:
    """Return what was recorded; None where a group is of no run."""
    found = None if extra is None else codec.decode(extra)
    return found if isinstance(found, dict) and "command" in found else None
