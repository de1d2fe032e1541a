"""Own what a dead worker has left running: how it is found, and how it is ended to the last one.

A worker that is killed leaves its jobs, and whatever those have started. They are found in three
ways, each of which sees what the others cannot:

- by session: the sessions that were recorded or told, where the leader is still the process that
  was started. A pid is used again, so it counts only with its start time;
- by descent: the children of whatever was found, so also what has cleared its environment, as long
  as its parent lives;
- by mark: each process whose environment has this worker's random AQUE_JOB, so also what called
  setsid and lost its parents (a daemon), and a job so young that nobody was told of it. Where such
  a one leads a session, all of that is found.

A process that cleared its environment, whose parent has ended, and the leader of its session too
(its job, which may end by itself before we look), is beyond this; only a control group holds it.
What we may not signal (a setuid program, another user's job) cannot be ended either, but it is
known to be left: its task is not run again beside it.

A family that is being killed may go on forking, and a child without a mark whose parent has just
been killed would be lost. So the family is stopped first, and looked at again until nobody new is
there; only then, when none of them can run, all are killed. That is repeated until none is found
twice in a row: a process in the middle of its fork or exec may not be seen for a moment.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable

from aque.worker import processes
from aque.worker.processes import Process

#: In the environment of each job: the token of its worker.
MARK = "AQUE_JOB"
#: Looks at a family that forks faster than it is stopped, before it is killed as it is.
_LOOKS_MOST = 20
_PAUSE = 0.01
_POLL = 0.002
#: Seconds to wait for those that are held by a device: they may be so for hours.
_HELD_PATIENCE = 0.5


class Leader:
    """A process that was started for a task; its descendants and, if it leads one, its session."""

    __slots__ = ("leads_session", "pid", "started")

    def __init__(self, pid: int, started: int, leads_session: bool) -> None:
        self.pid = pid
        self.started = started
        self.leads_session = leads_session


def end(leaders: Iterable[Leader], token: str, until: float) -> bool:
    """Kill all that is left, until none is.

    False where something is there still at monotonic `until`, or is not ours to kill, or is held by
    a device and cannot die yet.
    """
    leaders = list(leaders)
    empty_looks = 0
    while empty_looks < 2:
        found = _stop(leaders, token)
        ours = [process for process in found if processes.may_signal(process)]
        processes.send(ours, signal.SIGKILL)
        if not _wait_gone(ours, until) or len(ours) < len(found):
            return False
        empty_looks = 0 if found else empty_looks + 1
        time.sleep(_PAUSE)
    return True


def _wait_gone(killed: list[Process], until: float) -> bool:
    held_until = time.monotonic() + _HELD_PATIENCE
    while left := [p for p in map(processes.find_again, killed) if p is not None]:
        now = time.monotonic()
        if now > until or (now > held_until and all(process.is_held for process in left)):
            return False
        time.sleep(_POLL)
    return True


def find(leaders: Iterable[Leader], token: str) -> list[Process]:
    """Return the processes that are left, but for ourselves."""
    table = processes.Table()
    everything = table.by_pid.values()
    roots = []
    sessions = set()
    for leader in leaders:
        process = table.by_pid.get(leader.pid)
        if process is not None and process.started == leader.started:
            roots.append(process)
            if leader.leads_session:
                sessions.add(leader.pid)
    marked = [p for p in everything if processes.is_marked(p, MARK, token)]
    sessions.update(process.pid for process in marked if process.session == process.pid)
    roots += marked
    roots += [process for process in everything if process.session in sessions]
    return [p for p in table.with_descendants(roots) if p.pid != os.getpid()]


def _stop(leaders: list[Leader], token: str) -> list[Process]:
    """Stop all that is left, and return it."""
    stopped: dict[tuple[int, int], Process] = {}
    for _ in range(_LOOKS_MOST):
        found = {(p.pid, p.started): p for p in find(leaders, token)}
        new = [process for key, process in found.items() if key not in stopped]
        if not new:
            break
        processes.send(new, signal.SIGSTOP)
        stopped.update(found)
    return list(stopped.values())
