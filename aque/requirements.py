"""Own what a task asks of where it runs: the Requirements that tasks with equal needs share.

Runners under Python 3.9 import this module, hence no slots.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache

from aque.record import keys, record


@record(frozen=True)
class Requirements:
    """What decides whether and where a task may run; shared by all tasks with equal needs.

    `cpus` is a number of cpus, `memory` bytes; None means "any" for the rest. `reserved` is
    the id of the only worker that may run it. A task has these keys too.
    """

    user: str
    host: str | None = None
    platform: str | None = None
    cpus: float = 1.0
    memory: int = 0
    limits: str | None = None
    mounts: str | None = None
    reserved: int | None = None


REQUIREMENT_KEYS = keys(Requirements)


def limits_text(limits: Mapping[str, int]) -> str | None:
    """Return the one text of the tokens a task takes, by the name of their limit."""
    return json.dumps(dict(sorted(limits.items())), separators=(",", ":")) if limits else None


@lru_cache(maxsize=1000)
def missing_limit(name: str) -> str:
    """Say that there is no limit of this name, and what to do."""
    limit, _, tokens = name.partition("=")
    remedy = f"write {limit}:{tokens}" if tokens else f"aque-limit {limit}=N makes it"
    return f"there is no limit {name!r}; {remedy}"


def parse_limits(text: str | None) -> Mapping[str, int]:
    return {} if text is None else json.loads(text)


def group_limit(group: int) -> str:
    """Return the name of a group's own limit, which bounds how many of its children run."""
    return f"xargs-{group}"
