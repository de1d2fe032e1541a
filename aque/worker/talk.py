"""Own what a worker tells a person at a terminal, and others where they ask for more (-v)."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable

from aque.worker import terminal
from aque.worker.job import Job

#: Running tasks that are named.
_NAMED = 2

told = logging.getLogger("aque.worker.told")


def say_begin(pid: int, slots: int, place: str) -> None:
    noun = "slot" if slots == 1 else "slots"
    told.info("pid %d, %d %s on %s; %s ends it", pid, slots, noun, place, _way())


def say_drain(jobs: Iterable[Job]) -> None:
    """Say what is waited for, if anything is."""
    named = _named(jobs)
    if named:
        what = "it" if named.startswith("task ") else "them"
        told.info("waits for %s; %s again requeues %s", named, _way(), what)


def say_stop(jobs: Iterable[Job]) -> None:
    named = _named(jobs)
    if named:
        told.info("stopping %s, to be run again later", named)


def _way() -> str:
    """Say how this process is told to end: in the background of a shell Ctrl-C does not come."""
    return "Ctrl-C" if terminal.is_in_front() else f"kill {os.getpid()}"


def _named(jobs: Iterable[Job]) -> str:
    ids = sorted(job.task.id for job in jobs)
    if len(ids) < 2:
        return f"task {ids[0]}" if ids else ""
    named = ", ".join(map(str, ids[:_NAMED]))
    return f"{len(ids)} tasks ({named}{', ...' if len(ids) > _NAMED else ''})"
