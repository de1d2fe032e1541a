"""Own the measure of idling: the cpu that an idle worker takes, with all it keeps running."""

from __future__ import annotations

import sys
from time import monotonic, sleep

import place
import psutil
import table

_SECONDS = 10.0
#: The least that a process does which looks once a second, as a worker does.
_PEER = "import time\nwhile True: time.sleep(1)"


def show(worker: int) -> None:
    """Measure a worker that has nothing to do, beside a Python that sleeps by the second."""
    with place.started([sys.executable, "-c", _PEER]) as peer:
        sleep(1)  # it starts, and the worker comes to rest
        groups = {
            "aque-worker and its runners": _family(worker),
            "while True: sleep(1)": [peer.pid],
        }
        before = {name: _used(pids) for name, pids in groups.items()}
        begin = monotonic()
        sleep(_SECONDS)
        taken = monotonic() - begin
        cpu = {name: (_used(pids) - before[name]) / taken for name, pids in groups.items()}
    theirs = cpu["while True: sleep(1)"]
    rows = [[name, f"{used:.4%}", table.ratio(used, theirs)] for name, used in cpu.items()]
    table.show(
        f"Of one core, idle, over {_SECONDS:g} s (wanted: under 0.1 %)",
        ["cpu", "to the sleep"],
        rows,
    )


def _family(pid: int) -> list[int]:
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def _used(pids: list[int]) -> float:
    return sum(map(_cpu_seconds, pids))


def _cpu_seconds(pid: int) -> float:
    """Return the cpu a process took, in ns where there is schedstat: ticks of 10 ms are coarse."""
    try:
        with open(f"/proc/{pid}/schedstat", "rb") as file:
            return int(file.read().split()[0]) / 1e9
    except FileNotFoundError:
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system)
