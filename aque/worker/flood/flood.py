"""Own a flood: own short commands, one after another, so many that to start them takes the time.

Two supervisors start its commands and await them; we keep them in commands, and hear of the ends.
One process alone could not keep two cores busy: it sleeps until a command that it started has got
as far as its exec, and works for a tenth of what a command takes.
"""

from __future__ import annotations

import marshal
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aque.task import Task
from aque.worker import processes
from aque.worker.crew import Crew
from aque.worker.flood.retired import Retired
from aque.worker.flood.supervisor import (
    BEGUN,
    LEAVE,
    PARENT,
    PID,
    SIZE_MOST,
    SLOT,
    TASK,
    Places,
    Supervisor,
    received,
)
from aque.worker.job import Job
from aque.worker.signals import Signals

#: At a time, where so many may run.
_SUPERVISORS = 2
#: Commands handed over beside those that run: more than can begin until the next look.
_AHEAD = 32
#: Seconds between two looks whether a supervisor has retired: the first, and what that grows to.
_PAUSE, _PAUSE_MOST = 0.0003, 0.005
#: Seconds to look for a command whose supervisor was killed before it knew its pid.
_PATIENCE = 0.1
#: Seconds after which a command is not short.
_SHORT = 0.05


class Flood:
    """One flood of the commands of `worker`, at most `slots` at a time with those of the crew.

    Raises OSError where the system lacks what it needs beside that of its commands.
    """

    #: Seconds between two looks at what supervisors have told.
    pause = 0.004

    def __init__(
        self,
        crew: Crew,
        signals: Signals,
        selector: selectors.BaseSelector,
        worker: int,
        slots: int,
    ) -> None:
        self._crew = crew
        self._signals = signals
        self._selector = selector
        self._worker = worker
        self._slots = slots
        self._kind: tuple[Any, ...] | None = None
        #: What was handed over and not told of, by id; the last may not have been sent yet.
        self._given: dict[int, Task] = {}
        self._unsent = b""
        supervisors = min(_SUPERVISORS, slots)
        self._shared = Places(supervisors, -(-slots // supervisors))
        rows = zip(*self._shared.by_supervisor)  # the first place of each, then the second
        self._places = [place for row in rows for place in row][:slots]
        self._pids: list[int] = []
        self._work, self._told = _pair(), _pair()
        self._began = self._heard_at = time.monotonic()

    @property
    def lasted(self) -> float:
        """For how many seconds it was one: until the last end that was told."""
        return self._heard_at - self._began

    def note_ended(self) -> bool:
        """Note which of the crew's own jobs have ended; False where a supervisor has.

        That is awaited in `end`, and with it what it leaves to us, which is nobody's job yet: the
        system tells of it before that.
        """
        while self._pids or self._crew.jobs:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None:
                return True
            if found.si_pid in self._pids:
                return False
            self._crew.note_end(*os.wait4(found.si_pid, 0))
        return True

    def pass_on(self, take: Callable[[], Task | None]) -> bool:
        """Hear what has ended, and hand over what `take` gives; whether it is a flood still."""
        self._hear()
        is_quiet = time.monotonic() - self._heard_at > _SHORT
        if self._shared.is_over or is_quiet or self._has_long():
            return False
        self._share_out_slots()
        self._send()
        while not self._unsent and len(self._given) < self._slots + _AHEAD:
            task = take()
            if task is None:
                break
            self._given[task.id] = task
            if not self._hand_over(task):
                return False
        return len(self._given) > self._slots

    def end(self) -> list[Task]:
        """Have the supervisors retire, and take over what runs; return what has not begun."""
        self._shared.close()
        with suppress(OSError):  # there are none, or no more
            self._work[0].shutdown(socket.SHUT_RDWR)
        for pid in self._pids:
            os.kill(pid, LEAVE)
        left = {pid for number, pid in enumerate(self._pids) if self._stays(number)}
        self._hear()
        retired = Retired(self._crew, self._signals, self._selector, self._told[0], left)
        for place in sorted(self._places, key=lambda place: place[BEGUN]):
            if place[TASK] in self._given:
                self._take_over(self._given.pop(place[TASK]), place, retired)
            elif place[SLOT]:
                self._crew.slots.give(place[SLOT])
        for one in (*self._work, self._told[1]):
            one.close()
        return list(self._given.values())

    # What that rests on

    def _hand_over(self, task: Task) -> bool:
        """Hand over a command, if it is alike; whether it was."""
        kind = self._crew.starter.kind_of(task)
        if self._kind is None and kind is not None:
            self._kind = kind
            self._begin(task)
        self._unsent = marshal.dumps((task.id, task.attempt, task.args))
        if kind is None or kind != self._kind or len(self._unsent) > SIZE_MOST:
            return False
        self._send()
        return True

    def _send(self) -> None:
        """Send what is to be sent, if there is room for it."""
        with suppress(BlockingIOError, ConnectionError):  # of one that has ended we hear soon
            if self._unsent:
                self._work[0].send(self._unsent)
                self._unsent = b""

    def _begin(self, model: Task) -> None:
        """Fork supervisors for commands like `model`. Raises OSError."""
        (ours, its), (hearing, telling) = self._work, self._told
        for number in range(len(self._shared.by_supervisor)):
            one = Supervisor(number, self._crew.starter, model, self._shared, its, telling)
            self._pids.append(one.fork((ours, hearing)))
        its.close()
        telling.close()

    def _share_out_slots(self) -> None:
        """Give places the slots that the crew's own jobs have left."""
        empty = [place for place in self._places if not place[SLOT]]
        for place in empty[: max(0, len(empty) - len(self._crew.jobs))]:
            place[SLOT] = self._crew.slots.take()

    def _hear(self) -> None:
        crew = self._crew
        for ended in received(self._told[0]):
            if not ended.id:
                self._signals.pass_on(ended.wait_status, ended.ended)
                continue
            task = self._given.pop(ended.id)
            crew.news.begun[task.id] = task.attempt, self._worker, ended.begun
            crew.news.ended_at = self._heard_at = time.monotonic()
            crew.aside.put(Job(task, 0, 0, False), ended.wait_status, ended, ended.ended)

    def _has_long(self) -> bool:
        before = time.time_ns() - int(_SHORT * 1e9)
        return any(place[TASK] and place[BEGUN] < before for place in self._places)

    def _take_over(self, task: Task, place: memoryview, retired: Retired) -> None:
        """Take over a command that runs, or has ended and was not told."""
        crew, begun = self._crew, place[BEGUN] / 1e9
        crew.news.begun[task.id] = task.attempt, self._worker, begun
        job = Job(task, place[PID], place[SLOT], False)
        job.started -= time.time() - begun
        job.token = crew.guard.token
        if not job.pid:  # its supervisor was killed while it started it
            job.pid = job.find_orphan(_PATIENCE) or 0
        crew.take_in(job)
        retired.take(job, place[PARENT])

    def _stays(self, number: int) -> bool:
        """Wait until a supervisor has retired; whether it is there still, since commands run.

        It may miss the signal that it gets just before it begins to wait. It may have been stopped;
        or be kept by a command that was stopped before its exec, as by Ctrl-Z.
        """
        pid, pause = self._pids[number], _PAUSE
        while not os.waitpid(pid, os.WNOHANG)[0]:
            if self._shared.retired[number] and self._shared.are_taken(number):
                return True
            time.sleep(pause)
            if pause == _PAUSE_MOST:
                os.kill(pid, LEAVE)
                os.kill(pid, signal.SIGCONT)
                processes.continue_unborn(pid)
            pause = min(2 * pause, _PAUSE_MOST)
        return False


def _pair() -> tuple[socket.socket, socket.socket]:
    """Return our end and theirs of a way for whole messages, on which we never wait."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return ours, theirs
