"""Own what a supervisor does: a fork of aque-xargs that starts commands of a flood and awaits them.

Supervisors share one queue of commands: whoever has a place free takes the next, and tells how it
ended. A supervisor leaves once it is asked to, or when something is not as in a flood; what it has
running becomes a child of the process that forked it, which adopts orphans. So at each moment one
can tell where a command is: it stands in a place from just before it starts until its end has been
told, and what stands in none and was not told has not begun.
"""

from __future__ import annotations

import gc
import marshal
import mmap
import os
import signal
import socket
import struct
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from aque import task as tasks
from aque.errors import AqueError
from aque.task import Task
from aque.worker import processes, turns
from aque.worker.signals import NOTED
from aque.worker.usage import ChildUsage

if TYPE_CHECKING:
    from aque.worker.starter import Starter

#: Asks a supervisor to leave. By default it does nothing, so commands that it starts cannot tell
#: whether it was ignored before.
LEAVE = signal.SIGURG
#: Beside a signal's number: the exit status of a supervisor that left for it.
HEARD = 128
#: The most bytes of a command that is handed over.
SIZE_MOST = 8192
#: Seconds between two looks for a first place.
_LOOK = 0.002

#: The fields of a place: the slot it stands for (0: none yet), the task that is there (0: none),
#: its process (0: none yet), and when that was started, in Unix nanoseconds.
SLOT, TASK, PID, BEGUN = range(4)
_FIELDS = 4
_ENDED = struct.Struct("=qddqddq")
#: Bytes of what is told.
ENDED_SIZE = _ENDED.size


class Ended(NamedTuple):
    """What is told of a command: when it began and ended in Unix seconds, and what wait4 gave."""

    id: int
    begun: float
    ended: float
    wait_status: int
    ru_utime: float
    ru_stime: float
    ru_maxrss: int

    def pack(self) -> bytes:
        return _ENDED.pack(*self)

    @staticmethod
    def unpack(data: bytes) -> Ended:
        return Ended(*_ENDED.unpack(data))


class Places:
    """The places of some supervisors, `size` of each, as all of them and their parent see them."""

    def __init__(self, supervisors: int, size: int) -> None:
        words = memoryview(mmap.mmap(-1, 8 * (1 + supervisors * size * _FIELDS))).cast("q")
        self._over = words[:1]
        starts = range(1, len(words), size * _FIELDS)
        self.by_supervisor = [
            [words[at : at + _FIELDS] for at in range(start, start + size * _FIELDS, _FIELDS)]
            for start in starts
        ]

    @property
    def is_over(self) -> bool:
        """Whether nobody is to start anything more."""
        return bool(self._over[0])

    def close(self) -> None:
        self._over[0] = 1


class Supervisor:
    """Starts commands that differ from `model` in their arguments alone.

    It reads them from `work`, and writes how they ended to `told`.
    """

    def __init__(
        self,
        starter: Starter,
        model: Task,
        shared: Places,
        work: socket.socket,
        told: socket.socket,
    ) -> None:
        self._starter = starter
        self._model = model
        self._shared = shared
        self._work = work
        self._told = told
        self._usage = ChildUsage()
        self._running: dict[int, memoryview] = {}
        self._heard = 0
        self._is_waiting = False

    def fork(self, places: list[memoryview], not_its: Iterable[socket.socket]) -> int:
        """Have a process of its own work in these places; return its pid. Raises OSError."""
        parent, ours = os.getpid(), signal.pthread_sigmask(signal.SIG_BLOCK, (*NOTED, LEAVE))
        pid = -1
        try:
            pid = os.fork()
            if pid == 0:
                self._be_it(parent, places, not_its)
        finally:
            if pid != 0:
                signal.pthread_sigmask(signal.SIG_SETMASK, ours)
        return pid

    # In its own process

    def _be_it(
        self, parent: int, places: list[memoryview], not_its: Iterable[socket.socket]
    ) -> None:
        status = 1
        try:
            gc.disable()  # nothing here makes cycles
            self._take_signals()
            processes.hear_of_parents_end(LEAVE)
            for one in not_its:
                one.close()
            self._close_what_commands_do_not_inherit()
            turns.shorten()
            if os.getppid() == parent:
                self._work_in(places)
        except (_Leave, ConnectionError):
            # A command may have meant its parent: who forked us heeds it, unless it has it too.
            status = HEARD + self._heard if self._heard not in (0, LEAVE) else 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def _take_signals(self) -> None:
        """Leave by what who forked us heeds; the ends of commands are waited for, and blocked."""
        signal.set_wakeup_fd(-1)
        heeded = {n for n in NOTED if signal.getsignal(n) != signal.SIG_IGN} - {signal.SIGCHLD}
        for number in (LEAVE, *heeded):
            signal.signal(number, self._note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {LEAVE, *heeded})

    def _note(self, number: int, frame: object) -> None:
        if self._heard in (0, LEAVE):  # which any other outdoes: it is to be passed on
            self._heard = number
        if self._is_waiting:  # and has no command in hand
            raise _Leave

    def _work_in(self, places: list[memoryview]) -> None:
        while True:
            for place in places:
                if place[SLOT] and not place[TASK]:
                    command = self._next()
                    if not command:
                        break
                    self._start(command, place)
            if self._running:
                self._hear_end()
            else:
                time.sleep(_LOOK)
            self._leave_if_asked()

    def _next(self) -> bytes:
        """Return the next command, or nothing where there is none yet and some are running."""
        self._leave_if_asked()
        try:
            command = self._work.recv(SIZE_MOST, socket.MSG_DONTWAIT if self._running else 0)
        except BlockingIOError:
            return b""
        if not command:  # who forked us wants no more of us, or has ended
            raise _Leave
        self._leave_if_asked()  # it stands in no place yet, so it has not begun
        return command

    def _start(self, command: bytes, place: memoryview) -> None:
        id, attempt, args = marshal.loads(command)
        task = tasks.alike(self._model, id=id, attempt=attempt, args=args)
        place[PID] = 0
        place[BEGUN] = time.time_ns()
        place[TASK] = id
        try:
            job, _ = self._starter.start(task, place[SLOT])
        except (OSError, AqueError, ValueError):  # who forked us finds out why
            place[TASK] = 0
            self._shared.close()
            raise _Leave from None
        place[PID] = job.pid
        self._running[job.pid] = place

    def _hear_end(self) -> None:
        """Wait until a command has ended, tell how, and free its place."""
        self._is_waiting = True
        try:
            self._leave_if_asked()
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)  # a signal finds nothing reaped
        finally:
            self._is_waiting = False
        pid, wait_status, rusage = os.wait4(-1, 0)
        if wait_status:
            self._shared.close()
        place = self._running.pop(pid)
        is_our_peak = self._usage.of(rusage).max_rss is None
        ended = Ended(
            place[TASK], place[BEGUN] / 1e9, time.time(), wait_status,
            rusage.ru_utime, rusage.ru_stime, 0 if is_our_peak else rusage.ru_maxrss,
        )  # fmt: skip
        self._told.send(ended.pack())
        place[TASK] = 0

    def _leave_if_asked(self) -> None:
        if self._heard or self._shared.is_over:
            raise _Leave

    def _close_what_commands_do_not_inherit(self) -> None:
        """Else others would still see ours open when who forked us has ended."""
        kept = {self._work.fileno(), self._told.fileno(), *self._starter.descriptors}
        for name in os.listdir("/proc/self/fd"):
            descriptor = int(name)
            with suppress(OSError):  # the listing's own
                if descriptor not in kept and not os.get_inheritable(descriptor):
                    os.close(descriptor)


class _Leave(Exception):
    """It is to leave now."""
