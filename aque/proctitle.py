"""Own the names of processes, as killall, pgrep -x and top see them.

They match a process' `comm`, 15 characters. A console script run by its own name has it already;
one that came through `env`, a link's target or the umbrella writes it. Only what lives long pays
for setproctitle, which also shortens the title that ps shows: `killall` looks at the title where
the comm is long, so that the worker's is exactly its name.
"""

from __future__ import annotations

import sys


def set_comm(name: str) -> None:
    """Name this process `name` where that costs nothing (Linux); elsewhere leave it."""
    try:
        with open("/proc/self/comm", "r+b", buffering=0) as file:
            if file.read().rstrip(b"\n") != name.encode():
                file.write(name.encode())
    except OSError:
        pass  # no /proc: the name is a comfort, never a need


def set_title(name: str) -> None:
    """Name this process and its title exactly `name`."""
    from setproctitle import setproctitle

    setproctitle(name)
    if sys.platform == "linux":
        set_comm(name)
