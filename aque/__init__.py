"""A durable job queue in one SQLite file.

Only names meant for users stand here, and each is imported when it is first used, so that the
commands start fast and a runner imports nothing that its task does not need.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aque import errors as errors
    from aque import states as states
    from aque.context import current_broker as current_broker
    from aque.context import current_task as current_task
    from aque.context import progress as progress
    from aque.executor import Executor as Executor
    from aque.futures import Future as Future
    from aque.futures import as_completed as as_completed
    from aque.futures import wait as wait
    from aque.queue import Queue as Queue

__version__ = "0.1.0"

_HOMES = {
    "Executor": "aque.executor",
    "Future": "aque.futures",
    "Queue": "aque.queue",
    "as_completed": "aque.futures",
    "current_broker": "aque.context",
    "current_task": "aque.context",
    "progress": "aque.context",
    "wait": "aque.futures",
}
_MODULES = frozenset({"errors", "states"})


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"aque.{name}")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'aque' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_MODULES})
