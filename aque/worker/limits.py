"""Own the ends that a task's own limits bring: its timeout, and the memory it asked for.

`memory` is reserved, and a task that passes 1.25 times as much is ended before the machine swaps:
what counts is the resident memory of all its processes, looked at each second. Time that a task
was stopped does not count against its timeout.
"""

from __future__ import annotations

from collections.abc import Iterable

from aque.worker.job import Job
from aque.worker.processes import Table

#: The part of its memory that a task may use.
TOLERANCE = 1.25
#: Seconds between two looks at memory.
PERIOD = 1.0
#: The exit status of what timed out, as timeout(1) has it.
TIMED_OUT = 124


def measure(jobs: Iterable[Job], now: float) -> None:
    """Look at the memory of those for which it is time. `now` is monotonic."""
    due = [job for job in jobs if job.task.memory and now >= _measure_at(job)]
    if due:
        table = Table()
        for job in due:
            job.measured_at = now
            job.memory_used = job.resident(table)


def _measure_at(job: Job) -> float:
    """Return when to look at its memory; at the same time for all, since each look costs much."""
    return (job.measured_at // PERIOD + 1) * PERIOD


def verdict(job: Job, now: float) -> tuple[str, int | None] | None:
    """Say why a job is to be ended, and with which exit status; None while it may go on.

    `now` is monotonic.
    """
    timeout = job.task.timeout
    if timeout is not None and job.running_time(now) >= timeout:
        return f"timed out after {_duration(timeout)}", TIMED_OUT
    if job.memory_used > job.task.memory * TOLERANCE:
        used, asked = _size(job.memory_used), _size(job.task.memory)
        return f"used {used} of memory and had asked for {asked}", None
    return None


def next_look(job: Job, now: float) -> float | None:
    """Return when `verdict` is to be asked again, monotonic."""
    times = []
    if job.task.timeout is not None and job.stopped_since is None:
        times.append(now + job.task.timeout - job.running_time(now))
    if job.task.memory:
        times.append(_measure_at(job))
    return min(times, default=None)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else ""]
    return "".join(parts) + (f"{rest:g}s" if rest or not any(parts) else "")


def _size(number: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if number < 1024 or unit == "GiB":
            return f"{number:.4g} {unit}"
        number /= 1024
    raise AssertionError("unreachable")
