"""Own the signals of a long-lived command: handlers note them, and wake its one blocking call.

Handlers stand before anything else is imported, since a HUP that comes while Python starts would
end the process. Over an exec the noted signals are blocked by the one who execs and unblocked
here, once the handlers stand, so none is lost.
"""

from __future__ import annotations

import fcntl
import operator
import os
import signal
import time
from contextlib import suppress
from types import FrameType

NOTED = (
    signal.SIGCHLD,  # first: an end that comes meanwhile must not be missed
    signal.SIGHUP,
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTSTP,
)

#: GNU xargs handles these whatever it was started with.
_ALWAYS = {signal.SIGUSR1, signal.SIGUSR2}
_READ_SIZE = 4096
#: Seconds within which a signal that came to us and to a process of ours was one, sent to both.
_SAME = 0.2
#: What the pipe gets when a child has ended, which is all that need be known of it.
_END = bytes([signal.SIGCHLD])
#: Its handler has nothing to do, and this one in C does that at a tenth of the cost.
_hear_end = operator.is_


class Signals:
    """What has come since the last `take`. `fileno` becomes readable when something has."""

    def __init__(self) -> None:
        self._noted: list[int] = []
        #: By number: when one came to us last, and when to a process of ours; monotonic, seconds.
        self._came_at: dict[int, float] = {}
        self._passed_on_at: dict[int, float] = {}
        self._ignored: frozenset[int] = frozenset()
        self._readable, self._writable = map(_above_standard, os.pipe())
        for descriptor in (self._readable, self._writable):
            os.set_blocking(descriptor, False)

    def install(self, keep_ignored: bool = False) -> frozenset[int]:
        """Begin to note; only the main thread can.

        With `keep_ignored` signals that whoever started us had ignored stay so, as under GNU xargs,
        and are returned.
        """
        signal.set_wakeup_fd(self._writable, warn_on_full_buffer=False)
        self._ignored = _ignored()
        ignored = self._ignored - _ALWAYS if keep_ignored else frozenset()
        for number in NOTED:
            if number not in ignored:
                self.note(number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, NOTED)
        return ignored

    def note(self, number: int) -> None:
        """Begin to note one signal more."""
        signal.signal(number, _hear_end if number == signal.SIGCHLD else self._note)
        signal.siginterrupt(number, False)

    def were_ignored(self, number: int) -> bool:
        """Whether whoever started us had this signal ignored, as nohup has HUP."""
        return number in self._ignored

    def fileno(self) -> int:
        return self._readable

    def wake(self) -> None:
        """Wake the loop without a signal, from any thread."""
        try:
            os.write(self._writable, b"\0")
        except BlockingIOError:
            pass  # it is being woken already

    def take(self) -> list[int]:
        """Return the signals noted, in the order they came, and forget them.

        The ends of children are not among them: whoever takes looks for these anyway.
        """
        try:
            while len(os.read(self._readable, _READ_SIZE)) == _READ_SIZE:
                pass
        except BlockingIOError:
            pass
        noted = self._noted[:]
        del self._noted[: len(noted)]
        return noted

    def pass_on(self, number: int, came_at: float) -> None:
        """Have it be as if one had come to us that came to a process of ours, if it did not.

        `came_at` is monotonic. Several such at once count as one, as they do for the system.
        """
        last = max(self._came_at.get(number, 0.0), self._passed_on_at.get(number, 0.0))
        if came_at > last + _SAME and number not in self._noted:
            self._passed_on_at[number] = came_at
            self._noted.append(number)

    def has_come(self, *numbers: int) -> bool:
        """Whether one of these has come, and was not taken yet."""
        return any(number in self._noted for number in numbers)

    def take_ends(self, are_due: bool = True) -> bool:
        """Whether ends of children are all that has come, and forget these.

        Where they `are_due`, it is not if none has come.
        """
        try:
            heard = os.read(self._readable, _READ_SIZE)
        except BlockingIOError:
            return not are_due and not self._noted
        return not heard.strip(_END) and not self._noted

    def hear_end(self) -> None:
        """Have it be as if a child had ended just now."""
        with suppress(BlockingIOError):  # it is full of them
            os.write(self._writable, _END)

    def block(self) -> None:
        """Hold signals back until `install` in the program that is exec'd next."""
        signal.pthread_sigmask(signal.SIG_BLOCK, NOTED)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        self._came_at[number] = now
        if now > self._passed_on_at.get(number, 0.0) + _SAME:
            self._noted.append(number)


def _above_standard(descriptor: int) -> int:
    """Move a descriptor away from 0, 1 and 2, which it gets where those were closed."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    return moved


def _ignored() -> frozenset[int]:
    """Return the signals that whoever started us had ignored, but for those we cannot do without.

    Python ignores two itself, so of those nobody can tell.
    """
    numbers = signal.valid_signals() - {signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ}
    return frozenset(n for n in numbers if signal.getsignal(n) == signal.SIG_IGN)
