"""Own the ends that a task's own limits bring: its timeout, and the memory it asked for.

`memory` is reserved, and a task that passes 1.25 times as much is ended before the machine swaps:
what counts is the resident memory of all its processes, looked at each second. Time that a task
was stopped does not count against its timeout.
"""

from __future__ import annotations

from aque.worker.job import Job

#: The part of its memory that a task may use.
TOLERANCE = 1.25
#: Seconds between two looks at memory.
PERIOD = 1.0
#: The exit status of what timed out, as timeout(1) has it.
TIMED_OUT = 124


def verdict(job: Job, now: float) -> tuple[str, int | None] | None:
    """Say why a job is to be ended, and with which exit status; None while it may go on.

    `now` is monotonic.
    """
    timeout = job.task.timeout
    if timeout is not None and job.running_time(now) >= timeout:
        return f"timed out after {_duration(timeout)}", TIMED_OUT
    allowed = job.task.memory * TOLERANCE
    if allowed and now >= job.memory_at:
        job.memory_at = now + PERIOD
        used = job.resident()
        job.peak = max(job.peak, used)
        if used > allowed:
            asked = _size(job.task.memory)
            return f"used {_size(used)} of memory and had asked for {asked}", None
    return None


def next_look(job: Job, now: float) -> float | None:
    """Return when `verdict` is to be asked again, monotonic."""
    times = []
    if job.task.timeout is not None and job.stopped_since is None:
        times.append(now + job.task.timeout - job.running_time(now))
    if job.task.memory:
        times.append(job.memory_at)
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
