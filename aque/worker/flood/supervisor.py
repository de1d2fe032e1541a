"""Own what a supervisor does: a fork of aque-xargs that starts commands of a flood and awaits them.

Supervisors share one queue of commands: whoever has a place free takes the next, and tells how it
ended. A supervisor retires once it is asked to, or when something is not as in a flood. It starts
nothing more then, and ends when all that it has started has ended and was told of: so a command
has the same parent for as long as it runs. Should a supervisor be killed, its commands become
children of the process that forked it, which adopts orphans.

At each moment one can tell where a command is: it stands in a place from just before it starts
until its end has been told, and what stands in none and was not told has not begun. Once a
supervisor has retired its places stay as they are.
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
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from aque import task as tasks
from aque.errors import AqueError
from aque.task import Task
from aque.worker import processes, turns
from aque.worker.signals import NOTED
from aque.worker.usage import ChildUsage

if TYPE_CHECKING:
    from aque.worker.starter import Starter

#: Asks a supervisor to retire. By default it does nothing, so commands that it starts cannot tell
#: whether it was ignored before.
LEAVE = signal.SIGURG
#: The most bytes of a command that is handed over.
SIZE_MOST = 8192
#: Seconds between two looks for a first place.
_LOOK = 0.002
#: The si_code of a signal that is the system's own, as by Ctrl-C (asm-generic/siginfo.h).
_SI_KERNEL = 0x80

#: The fields of a place: the slot it stands for (0: none yet), the task that is there (0: none),
#: its process (0: none yet), its supervisor, and when it was started, in Unix nanoseconds.
SLOT, TASK, PID, PARENT, BEGUN = range(5)
_FIELDS = 5
_ENDED = struct.Struct("=qddqddq")


class Ended(NamedTuple):
    """What is told of a command: when it began and ended in Unix seconds, and what wait4 gave.

    With an id of 0 it is a signal that came, `wait_status` its number and `ended` monotonic.
    """

    id: int
    begun: float
    ended: float
    wait_status: int
    ru_utime: float
    ru_stime: float
    ru_maxrss: int

    def pack(self) -> bytes:
        return _ENDED.pack(*self)


def received(told: socket.socket) -> Iterator[Ended]:
    """Yield what has been told and not been read yet."""
    with suppress(BlockingIOError):
        while data := told.recv(_ENDED.size):
            yield Ended(*_ENDED.unpack(data))


class Places:
    """The places of some supervisors, `size` of each, as all of them and their parent see them.

    `retired` has a word for each supervisor: whether it has.
    """

    def __init__(self, supervisors: int, size: int) -> None:
        first = 1 + supervisors
        words = memoryview(mmap.mmap(-1, 8 * (first + supervisors * size * _FIELDS))).cast("q")
        self._over = words[:1]
        self.retired = words[1:first]
        starts = range(first, len(words), size * _FIELDS)
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

    def are_taken(self, supervisor: int) -> bool:
        """Whether a command stands in one of the places of this supervisor."""
        return any(place[TASK] for place in self.by_supervisor[supervisor])


class Supervisor:
    """The one of this number. It starts commands that differ from `model` in their arguments alone.

    It reads them from `work`, and writes how they ended to `told`.
    """

    def __init__(
        self,
        number: int,
        starter: Starter,
        model: Task,
        shared: Places,
        work: socket.socket,
        told: socket.socket,
    ) -> None:
        self._number = number
        self._starter = starter
        self._model = model
        self._shared = shared
        self._work = work
        self._told = told
        self._usage = ChildUsage()
        self._running: dict[int, memoryview] = {}
        self._parent = os.getpid()
        self._heeded: set[int] = set()
        self._heard: dict[int, float] = {}
        self._is_waiting = False

    def fork(self, not_its: Iterable[socket.socket]) -> int:
        """Have a process of its own do the work; return its pid. Raises OSError."""
        ours = signal.pthread_sigmask(signal.SIG_BLOCK, (*NOTED, LEAVE))
        pid = -1
        try:
            pid = os.fork()
            if pid == 0:
                self._be_it(not_its)
        finally:
            if pid != 0:
                signal.pthread_sigmask(signal.SIG_SETMASK, ours)
        return pid

    # In its own process

    def _be_it(self, not_its: Iterable[socket.socket]) -> None:
        status = 1
        try:
            gc.disable()  # nothing here makes cycles
            self._take_signals()
            processes.hear_of_parents_end(LEAVE)
            if os.getppid() != self._parent:  # it has ended before that
                return
            for one in not_its:
                one.close()
            self._close_what_commands_do_not_inherit()
            turns.shorten()
            with suppress(_Retire):
                self._work_in(self._shared.by_supervisor[self._number])
            self._retire()
            status = 0
        except ConnectionError:  # who forked us has ended
            pass
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def _take_signals(self) -> None:
        """Retire by what who forked us heeds; the ends of commands are waited for, and blocked."""
        signal.set_wakeup_fd(-1)
        self._heeded = {n for n in NOTED if signal.getsignal(n) != signal.SIG_IGN}
        self._heeded = self._heeded - {signal.SIGCHLD} | {LEAVE}
        for number in self._heeded:
            signal.signal(number, self._note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._heeded)

    def _note(self, number: int, frame: object) -> None:
        self._heard[number] = time.monotonic()
        if self._is_waiting:  # and has no command in hand
            self._is_waiting = False
            raise _Retire

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
            self._retire_if_asked()

    def _next(self) -> bytes:
        """Return the next command, or nothing where there is none yet and some are running."""
        self._retire_if_asked()
        try:
            command = self._work.recv(SIZE_MOST, socket.MSG_DONTWAIT if self._running else 0)
        except BlockingIOError:
            return b""
        if not command:  # who forked us wants no more of us, or has ended
            raise _Retire
        self._retire_if_asked()  # it stands in no place yet, so it has not begun
        return command

    def _start(self, command: bytes, place: memoryview) -> None:
        id, attempt, args = marshal.loads(command)
        task = tasks.alike(self._model, id=id, attempt=attempt, args=args)
        place[PID] = 0
        place[PARENT] = os.getpid()
        place[BEGUN] = time.time_ns()
        place[TASK] = id
        try:
            job, _ = self._starter.start(task, place[SLOT])
        except (OSError, AqueError, ValueError):  # who forked us finds out why
            place[TASK] = 0
            self._shared.close()
            raise _Retire from None
        place[PID] = job.pid
        self._running[job.pid] = place

    def _hear_end(self) -> None:
        """Wait until a command has ended, tell how, and free its place."""
        self._is_waiting = True
        try:
            self._retire_if_asked()
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)  # a signal finds nothing reaped
        finally:
            self._is_waiting = False
        pid, wait_status, rusage = os.wait4(-1, 0)
        if wait_status:
            self._shared.close()
        self._tell(pid, wait_status, rusage)[TASK] = 0

    def _tell(self, pid: int, wait_status: int, rusage: Any) -> memoryview:
        """Tell how a command has ended; return its place."""
        place = self._running.pop(pid)
        is_our_peak = self._usage.of(rusage).max_rss is None
        ended = Ended(
            place[TASK], place[BEGUN] / 1e9, time.time(), wait_status,
            rusage.ru_utime, rusage.ru_stime, 0 if is_our_peak else rusage.ru_maxrss,
        )  # fmt: skip
        self._told.send(ended.pack())
        return place

    def _tell_signal(self, number: int, at: float) -> None:
        """Tell of a signal: a command may have meant its parent."""
        if number != LEAVE:
            self._told.send(Ended(0, 0.0, at, number, 0.0, 0.0, 0).pack())

    def _retire_if_asked(self) -> None:
        if self._heard or self._shared.is_over:
            raise _Retire

    def _retire(self) -> None:
        """Start nothing more; await what runs, and tell of that and of signals."""
        self._shared.close()
        signal.pthread_sigmask(signal.SIG_BLOCK, self._heeded)
        for number, at in self._heard.items():
            self._tell_signal(number, at)
        self._shared.retired[self._number] = 1
        while self._running and os.getppid() == self._parent:
            heard = signal.sigwaitinfo({signal.SIGCHLD, *self._heeded})
            if heard.si_signo == signal.SIGCHLD:
                self._reap()
            elif heard.si_code != _SI_KERNEL:  # of the system's own our parent has got the same
                self._tell_signal(heard.si_signo, time.monotonic())

    def _reap(self) -> None:
        while self._running and (ended := os.wait4(-1, os.WNOHANG))[0]:
            self._tell(*ended)

    def _close_what_commands_do_not_inherit(self) -> None:
        """Else others would still see ours open when who forked us has ended."""
        kept = {self._work.fileno(), self._told.fileno(), *self._starter.descriptors}
        for name in os.listdir("/proc/self/fd"):
            descriptor = int(name)
            with suppress(OSError):  # the listing's own
                if descriptor not in kept and not os.get_inheritable(descriptor):
                    os.close(descriptor)


class _Retire(Exception):
    """It is to retire now."""
