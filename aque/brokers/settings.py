"""Own the settings of a queue: their names, defaults and what they mean."""

from __future__ import annotations

from collections.abc import Mapping

from aque.errors import UsageError

#: Name -> (default, meaning). Durations are seconds, sizes bytes.
SETTINGS = {
    "poll": (1.0, "seconds after which a worker or waiter looks without having been woken"),
    "heartbeat": (10.0, "seconds between two heartbeats of a worker on a shared disk"),
    "grace": (5.0, "seconds from a kill's signal to KILL"),
    "crashes": (3, "workers a task may take down before it is an error"),
    "keep-success": (7 * 86400.0, "seconds to keep a success"),
    "keep-other": (30 * 86400.0, "seconds to keep what ended otherwise"),
    "output-inline": (65536, "bytes of a stream and attempt kept in the queue; the rest in a file"),
    "output-limit": (1 << 30, "bytes of a stream and attempt that are kept: its head and its tail"),
}
#: Those that are bytes.
SIZES = frozenset({"output-inline", "output-limit"})
DEFAULTS: Mapping[str, float] = {name: float(default) for name, (default, _) in SETTINGS.items()}


def check(values: Mapping[str, float]) -> None:
    """Raise UsageError for a setting that does not exist or cannot be that."""
    for name, value in values.items():
        if name not in SETTINGS:
            raise UsageError(f"no setting {name!r}; there are {', '.join(SETTINGS)}")
        if not value > 0:
            raise UsageError(f"{name} must be more than 0, not {value:g}")
