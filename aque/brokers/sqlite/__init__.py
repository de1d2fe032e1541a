"""The broker that keeps a queue in one SQLite file.

Its acts are modules, each loaded when it is first done: a submit needs a third of them, and loading
all takes as long as the submit itself. Who enlists as a worker stays, and loads them all at once:
the files may be another version's by the time an act is first done.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aque.brokers.sqlite import claim as claim
    from aque.brokers.sqlite import contents as contents
    from aque.brokers.sqlite import create as create
    from aque.brokers.sqlite import expire as expire
    from aque.brokers.sqlite import files as files
    from aque.brokers.sqlite import finish as finish
    from aque.brokers.sqlite import glance as glance
    from aque.brokers.sqlite import hold as hold
    from aque.brokers.sqlite import look as look
    from aque.brokers.sqlite import migrations as migrations
    from aque.brokers.sqlite import outline as outline
    from aque.brokers.sqlite import place as place
    from aque.brokers.sqlite import reopen as reopen
    from aque.brokers.sqlite import roots as roots
    from aque.brokers.sqlite import roster as roster
    from aque.brokers.sqlite import steer as steer

_ACTS = (
    "claim contents create expire files finish glance hold look migrations outline"
    " place reopen roots roster steer"
).split()


def load() -> None:
    """Load all acts, of one version."""
    for name in _ACTS:
        importlib.import_module(f"{__name__}.{name}")


def __getattr__(name: str) -> Any:
    if name not in _ACTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")
