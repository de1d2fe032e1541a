"""Own the system's table of processes: who descends from whom, and how to end them.

A pid alone says little, since it is used again: a process is (pid, start time). On Linux /proc is
read, elsewhere psutil is asked; the start time is in the system's own units and only compared.

The guard is small and starts fast because this imports little: no dataclasses, no typing.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Iterator

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


class Process:
    """A process as it was when the table was read."""

    __slots__ = ("parent", "pid", "session", "started", "state")

    def __init__(self, pid: int, parent: int, session: int, started: int, state: str) -> None:
        self.pid = pid
        self.parent = parent
        self.session = session
        self.started = started
        self.state = state  # the letter that ps shows

    @property
    def is_zombie(self) -> bool:
        return self.state in "ZX"

    @property
    def is_stopped(self) -> bool:
        """Whether a signal has stopped it, and it waits for CONT."""
        return self.state == "T"

    @property
    def is_held(self) -> bool:
        """Whether it waits for a device or a debugger, and can not even be killed meanwhile."""
        return self.state in "Dt"


def find(pid: int) -> Process | None:
    """Return the process of this pid, a zombie too; None when there is none.

    Nor is one returned at which we may not look (proc(5), hidepid): it has another user's rights.
    """
    if sys.platform != "linux":
        return _find_elsewhere(pid)
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # The name, in parentheses, may hold anything, so count from its end (proc(5)).
    fields = text[text.rindex(b")") + 2 :].split()
    return Process(pid, int(fields[1]), int(fields[3]), int(fields[19]), fields[0].decode())


def resident(pid: int) -> int:
    """Return the bytes of memory that a process has resident; 0 for one that is gone."""
    if sys.platform == "linux":
        try:
            with open(f"/proc/{pid}/statm", "rb") as file:
                return int(file.read().split()[1]) * _PAGE_SIZE
        except (OSError, IndexError):
            return 0
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def find_again(process: Process) -> Process | None:
    """Return a process as it is now; None when it has ended."""
    now = find(process.pid)
    if now is None or now.started != process.started or now.is_zombie:
        return None
    return now


def start_time(pid: int) -> int | None:
    process = find(pid)
    return None if process is None else process.started


def everything() -> Iterator[Process]:
    for pid in _pids():
        process = find(pid)
        if process is not None:
            yield process


def of_session(session: int) -> list[Process]:
    return [p for p in everything() if p.session == session and not p.is_zombie]


class Table:
    """All processes as they were when this was made, for as many questions as there are then.

    To read it costs 10 us a process of the whole machine.
    """

    def __init__(self) -> None:
        self.by_pid = {process.pid: process for process in everything()}
        self._children: dict[int, list[Process]] = {}
        self._sessions: dict[int | None, list[Process]] = {}
        for process in self.by_pid.values():
            self._children.setdefault(process.parent, []).append(process)
            self._sessions.setdefault(process.session, []).append(process)
        self._environs: dict[int, set[bytes]] | None = None

    def family(self, leader: int | None, session: int | None, marks: set[bytes]) -> list[Process]:
        """Return a leader, a session, the orphans with all these marks, and all their descendants.

        Orphans are those that have become our own children. A leader or session of None is nobody.
        """
        orphans = [self.by_pid[pid] for pid, has in self._own_children().items() if marks <= has]
        first = [self.by_pid[leader]] if leader in self.by_pid else []
        return self.with_descendants([*first, *self._sessions.get(session, ()), *orphans])

    def _own_children(self) -> dict[int, set[bytes]]:
        """Return the environments of our own children, by pid."""
        if self._environs is None:
            children = self._children.get(os.getpid(), ())
            self._environs = {p.pid: set(_environ(p.pid)) for p in children if not p.is_zombie}
        return self._environs

    def has(self, process: Process) -> bool:
        """Whether this very process was there still, a zombie too."""
        found = self.by_pid.get(process.pid)
        return found is not None and found.started == process.started

    def with_descendants(self, roots: Iterable[Process]) -> list[Process]:
        """Return these and all that descend from them, without the zombies."""
        found = {process.pid: process for process in roots}
        looking = list(found.values())
        for process in looking:
            children = self._children.get(process.pid, ())
            new = [child for child in children if child.pid not in found]
            found.update({child.pid: child for child in new})
            looking.extend(new)
        return [process for process in looking if not process.is_zombie]


def is_marked(process: Process, variable: str, value: str) -> bool:
    """Whether a process was started with `variable=value` in its environment."""
    return f"{variable}={value}".encode() in _environ(process.pid)


def send(processes: Iterable[Process], number: int) -> None:
    """Signal those that are still the same processes."""
    for process in processes:
        if start_time(process.pid) == process.started:
            try:
                os.kill(process.pid, number)
            except (ProcessLookupError, PermissionError):
                pass


def adopt_orphans() -> None:
    """Have what our descendants leave become children of ours (Linux), not of init."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def hear_of_parents_end(number: int) -> None:
    """Have this process get a signal when the one that forked it ends (Linux)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def continue_unborn(parent: int) -> bool:
    """Let a child go on that was stopped before its exec, on which its parent waits (Linux).

    It still is the copy of its parent, so it is known by that command line. Returns whether there
    was one.
    """
    waiting = find(parent)
    if sys.platform != "linux" or waiting is None or waiting.state != "D":
        return False
    try:
        with open(f"/proc/{parent}/task/{parent}/children", "rb") as file:
            children = [find(int(pid)) for pid in file.read().split()]
        stopped = [child.pid for child in children if child is not None and child.state == "T"]
        unborn = [pid for pid in stopped if _command_line(pid) == _command_line(parent)]
        for pid in unborn:
            os.kill(pid, signal.SIGCONT)
    except OSError:  # it has ended
        return False
    return bool(unborn)


def _command_line(pid: int) -> bytes:
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read()


def may_signal(process: Process) -> bool:
    """Whether the system lets us signal a process: only root may signal another user's."""
    try:
        os.kill(process.pid, 0)
    except PermissionError:
        return False
    except ProcessLookupError:
        pass
    return True


def _pids() -> Iterator[int]:
    if sys.platform == "linux":
        yield from (int(name) for name in os.listdir("/proc") if name.isdigit())
        return
    import psutil

    yield from psutil.pids()


def _environ(pid: int) -> list[bytes]:
    if sys.platform == "linux":
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                return file.read().split(b"\0")
        except OSError:
            return []
    import psutil

    try:
        return [f"{k}={v}".encode() for k, v in psutil.Process(pid).environ().items()]
    except psutil.Error:
        return []


def _find_elsewhere(pid: int) -> Process | None:
    import psutil

    try:
        process = psutil.Process(pid)
        started = int(process.create_time() * 1000)
        state = "Z" if process.status() == psutil.STATUS_ZOMBIE else "R"
        return Process(pid, process.ppid(), os.getsid(pid), started, state)
    except (psutil.Error, OSError):
        return None
