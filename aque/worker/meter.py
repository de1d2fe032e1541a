"""Own what running tasks of this host use: their part of a cpu, and their peak of memory.

Only the processes that a task's own leads to are looked at, never the whole table, which on a busy
machine would cost more than all else that a screen shows. Where the kernel does not tell the
children of a process, the task's own counts alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from aque.task import Task
from aque.worker import processes

_TICKS = os.sysconf("SC_CLK_TCK")
#: A family larger than this is looked at no further.
_MANY = 200


@dataclass(frozen=True, slots=True)
class Usage:
    """`cpu` is a part of one cpu, None until there are two looks; `peak` is bytes."""

    cpu: float | None
    peak: int


@dataclass(frozen=True, slots=True)
class _Sample:
    attempt: int
    at: float
    seconds: float
    usage: Usage


class Meter:
    """Measures tasks from one look to the next."""

    def __init__(self) -> None:
        self._samples: dict[int, _Sample] = {}

    def look(self, tasks: Iterable[Task], workers: set[int]) -> dict[int, Usage]:
        """Measure those of the tasks that run by these workers, which are of this host."""
        before, self._samples = self._samples, {}
        for task in tasks:
            if task.worker in workers and task.pid is not None and task.ended_at is None:
                sample = _measure(task, task.pid, before.get(task.id))
                if sample is not None:
                    self._samples[task.id] = sample
        return {id: sample.usage for id, sample in self._samples.items()}


def machine() -> tuple[float, int, int]:
    """Return the percent of all cpus used since this was asked last, memory used, and all of it."""
    import psutil

    memory = psutil.virtual_memory()
    return psutil.cpu_percent(), memory.total - memory.available, memory.total


def _measure(task: Task, pid: int, before: _Sample | None) -> _Sample | None:
    leader = processes.find(pid)
    if leader is None or leader.started != task.pid_started:
        return None
    seconds, peak = 0.0, 0
    for member in _family(pid):
        used, highest = _used(member)
        seconds += used
        peak = max(peak, highest)
    now = time.monotonic()
    if before is None or before.attempt != task.attempt:
        return _Sample(task.attempt, now, seconds, Usage(None, peak))
    cpu = max(0.0, seconds - before.seconds) / max(now - before.at, 0.001)
    return _Sample(task.attempt, now, seconds, Usage(cpu, max(peak, before.usage.peak)))


def _family(pid: int) -> Iterator[int]:
    """Yield a process and what it leads to, as far as the kernel says."""
    found = [pid]
    for member in found:
        yield member
        if len(found) < _MANY:
            try:
                with open(f"/proc/{member}/task/{member}/children", "rb") as file:
                    found += map(int, file.read().split())
            except OSError:
                pass


def _used(pid: int) -> tuple[float, int]:
    """Return the seconds of cpu, those of its ended children too, and the peak of a process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
        with open(f"/proc/{pid}/status", "rb") as file:
            status = file.read()
    except OSError:
        return _used_elsewhere(pid)
    fields = text[text.rindex(b")") + 2 :].split()
    seconds = sum(map(int, fields[11:15])) / _TICKS
    peak = status.partition(b"VmHWM:")[2].split(maxsplit=1)
    return seconds, int(peak[0]) * 1024 if peak else 0


def _used_elsewhere(pid: int) -> tuple[float, int]:
    if os.path.exists("/proc/self/stat"):
        return 0.0, 0
    import psutil

    try:
        process = psutil.Process(pid)
        return sum(process.cpu_times()[:2]), int(process.memory_info().rss)
    except psutil.Error:
        return 0.0, 0
