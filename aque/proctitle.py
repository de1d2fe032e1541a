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
    import threading  # neither is for what lives shortly

    from setproctitle import setproctitle

    if sys.platform != "linux":
        setproctitle(name)
        return
    # It first gives the thread that calls it the name of the command line, for some microseconds in
    # which a killall would miss us. What tools see is the name of the main thread.
    thread = threading.Thread(target=setproctitle, args=(name,))
    thread.start()
    thread.join()
    set_comm(name)
