"""Own one running attempt: its process, its output, its way to an end."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from aque import states
from aque.brokers.questions import Request
from aque.report import End, Start
from aque.task import Task
from aque.worker import leftovers, processes
from aque.worker.output import Stream
from aque.worker.processes import Table
from aque.worker.usage import Usage

Signals = tuple[int, ...]

#: Handed over a reload. The rest is not known of a job that runs, or is made anew.
_KEPT = (
    "pid", "slot", "own_session", "is_python", "is_start_recorded", "started", "cancel_signal",
    "is_stopping", "is_lost", "verdict", "stopped_since", "stopped_for", "kill_at",
)  # fmt: skip


class Job:
    """A claimed task at work. `own_session` tells whether its process leads a session.

    A runner stays when its job, which `is_python`, ends, and its pipes with it.
    """

    #: Its worker's, by which its orphans are known.
    token = ""
    is_start_recorded = False
    cancel_signal: int | None = None
    is_stopping = False
    #: Its attempt runs elsewhere now, and is no longer ours.
    is_lost = False
    #: Why its own limits end it, and with which exit status.
    verdict: tuple[str, int | None] | None = None
    #: Since when it is stopped, and for how long it was before; monotonic, seconds.
    stopped_since: float | None = None
    stopped_for = 0.0
    #: The bytes of memory that it had when they were looked at.
    memory_used = 0
    kill_at: float | None = None
    wait_status: int | None = None
    usage: Usage | None = None
    drain_until: float | None = None
    #: What is left of its session and still has its grace, once its own process has ended.
    rest: Sequence[processes.Process] = ()

    def __init__(
        self,
        task: Task,
        pid: int,
        slot: int,
        own_session: bool,
        streams: Sequence[Stream] = (),
        is_python: bool = False,
    ) -> None:
        self.task = task
        self.pid = pid
        self.slot = slot
        self.own_session = own_session
        self.streams = list(streams)
        self.is_python = is_python
        self.started = self.measured_at = time.monotonic()

    @property
    def log(self) -> logging.Logger:
        """The logger `aque.job.<id>`; what the task logs by that name in a runner comes here."""
        return logging.getLogger(f"aque.job.{self.task.id}")

    @property
    def has_limits(self) -> bool:
        """Whether its task has limits of its own to be kept: a timeout, or memory."""
        return self.task.timeout is not None or bool(self.task.memory)

    @property
    def is_bare(self) -> bool:
        """Whether its end is that of its own process: no output is read, no session is its own."""
        return not self.streams and not self.own_session

    @property
    def is_drained(self) -> bool:
        return not any(stream.is_open for stream in self.streams)

    @property
    def is_ending(self) -> bool:
        """Whether somebody wants it to end: to cancel its task, or to requeue it."""
        return bool(self.cancel_signal is not None or self.is_stopping or self.verdict)

    @property
    def is_stalled(self) -> bool:
        """Whether output of it waits for room on the disk."""
        return any(stream.is_stalled for stream in self.streams)

    # What begins here to end the job returns the signals that it is to be sent. `now` is monotonic.

    def handle(self, request: Request, now: float) -> Signals:
        """Take a signal that is to be passed on; with a grace, begin to end the job."""
        if request.grace is None:
            self._note_stop(request.signal, now)
            return (request.signal,)
        if request.signal == self.cancel_signal:
            return ()
        self.cancel_signal = request.signal
        return self._end_by(request.signal, now + request.grace)

    def _note_stop(self, number: int, now: float) -> None:
        if number in (signal.SIGSTOP, signal.SIGTSTP) and self.stopped_since is None:
            self.stopped_since = now
        elif number == signal.SIGCONT and self.stopped_since is not None:
            self.stopped_for += now - self.stopped_since
            self.stopped_since = None

    def running_time(self, now: float) -> float:
        """Return for how long it has run, without the time it was stopped; `now` is monotonic."""
        until = now if self.stopped_since is None else self.stopped_since
        return until - self.started - self.stopped_for

    def condemn(self, verdict: tuple[str, int | None], now: float, grace: float) -> Signals:
        """Begin to end the job because of its own limits."""
        if self.is_ending:
            return ()
        self.verdict = verdict
        return self._end_by(signal.SIGTERM, now + grace)

    def stop(self, now: float, grace: float) -> Signals:
        """Begin to end the job, so that its task can be requeued."""
        if self.is_stopping:
            return ()
        self.is_stopping = True
        return self._end_by(signal.SIGTERM, now + grace)

    def _end_by(self, number: int, kill_at: float) -> Signals:
        self.kill_at = kill_at if self.kill_at is None else min(kill_at, self.kill_at)
        return (number, signal.SIGCONT)  # a stopped process would take no other signal but KILL

    def kill(self) -> None:
        kill([self])

    # Its processes

    def note_rest(self, table: Table) -> None:
        """Look what is left: of its session, and of those who have left that and lost their parent.

        While one of a session is there, if only as a zombie, its number is not used again; then it
        is not ours any more.
        """
        is_ours = self.wait_status is None or any(
            p.session == self.pid and table.has(p) for p in self.rest
        )
        self.rest = self._family(self.pid if is_ours else None, table)

    def resident(self, table: Table) -> int:
        """Return the bytes of memory that all its processes have resident."""
        return sum(processes.resident(process.pid) for process in self.processes_in(table))

    def processes_in(self, table: Table) -> Sequence[processes.Process]:
        """Return its processes; once its own has ended, those that still have its grace."""
        if self.wait_status is None:
            return self._family(self.pid, table)
        if self.rest:
            self.note_rest(table)
        return self.rest

    def _family(self, leader: int | None, table: Table) -> list[processes.Process]:
        marks = (
            f"{leftovers.MARK}={self.token}",
            f"AQUE_TID={self.task.id}",
            f"AQUE_ATTEMPT={self.task.attempt}",
        )
        session = leader if self.own_session else None
        return table.family(leader, session, {mark.encode() for mark in marks})

    def find_orphan(self, patience: float) -> int | None:
        """Find its own process, which is a child of ours by now, if need be for so many seconds."""
        until = time.monotonic() + patience
        while time.monotonic() < until:
            for process in self._family(None, Table()):
                if process.parent == os.getpid():
                    return process.pid
        return None

    def start_record(self) -> Start:
        started = processes.start_time(self.pid)
        session = self.pid if self.own_session else None
        return Start(self.task.id, self.task.attempt, self.pid, started, session)

    def state(self) -> dict[str, Any]:
        """Return what the program after a reload must know of it beside its task and streams."""
        return {name: getattr(self, name) for name in _KEPT}

    @classmethod
    def resumed(cls, state: Mapping[str, Any], task: Task) -> Job:
        """Return the job of the program before, without its streams."""
        job = cls(task, state["pid"], state["slot"], state["own_session"])
        vars(job).update((name, state[name]) for name in _KEPT if name in state)
        return job

    def end(self, now: float) -> End:
        """Say how the attempt ended, from the status that wait4 gave. `now` is Unix seconds."""
        assert self.wait_status is not None
        code, number = _split(self.wait_status)
        error = _describe(code, number)
        status = states.SUCCESS if error is None else states.ERROR
        result = "0" if error is None and not self.is_python else None
        usage = self.usage or Usage()
        end = End(
            self.task.id, self.task.attempt, status, now, None, code, number, result, None, error,
            *usage,
        )  # fmt: skip
        return self._as_wanted(end) if self.is_ending else end

    def end_told(self, end: End) -> End:
        """Return what an end counts as that a runner told of."""
        is_kept = end.status == states.SUCCESS and self.cancel_signal is None
        return self._as_wanted(end) if self.is_ending and not is_kept else end

    def _as_wanted(self, end: End) -> End:
        """Return what an end counts as since the job was to be ended.

        A call that returns has done its work after all, so unless it was to be cancelled its result
        is kept. A command that exits with 0 may do so because it was told to end: its work may be
        half done.
        """
        if self.cancel_signal is not None:
            return end._replace(status=states.CANCELLED, error="killed", result=None)
        if self.is_stopping:
            return end._replace(status=states.PENDING, error="its worker was stopped", result=None)
        assert self.verdict is not None
        error, code = self.verdict
        if code is not None:
            end = end._replace(exit_status=code, exit_signal=None)
        return end._replace(status=states.ERROR, error=error, result=None, exception=None)


def send(jobs: Collection[Job], number: int) -> None:
    """Signal all processes of these jobs, as they are now.

    With a signal that no process can handle, also those that they start meanwhile. What they start
    because of another may be how they end in good order, and is left alone.
    """
    told: set[tuple[int, int]] = set()
    while new := [p for p in _all_of(jobs) if (p.pid, p.started) not in told]:
        processes.send(new, number)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            return
        told.update((process.pid, process.started) for process in new)


def _all_of(jobs: Collection[Job]) -> list[processes.Process]:
    table = Table()
    return [process for job in jobs for process in job.processes_in(table)]


def kill(jobs: Collection[Job]) -> None:
    if jobs:
        send(jobs, signal.SIGKILL)
    for job in jobs:
        job.kill_at = None


def note_rests(jobs: Iterable[Job]) -> None:
    """Look what is left of those of which something was at the last look."""
    left = [job for job in jobs if job.rest]
    if left:
        table = Table()
        for job in left:
            job.note_rest(table)


def failed_start(task: Task, status: int, reason: str, now: float) -> End:
    """Say that a task could not be started at all; `status` is what a shell would give."""
    return End(task.id, task.attempt, states.ERROR, now, exit_status=status, error=reason)


def _split(wait_status: int) -> tuple[int | None, int | None]:
    number = wait_status & 0x7F
    return (None, number) if number else (wait_status >> 8 & 0xFF, None)


def _describe(code: int | None, number: int | None) -> str | None:
    if number is not None:
        return f"ended by {signal_name(number)}"
    return f"ended with exit status {code}" if code else None


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
