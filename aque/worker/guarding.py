"""Own a worker's side of its guard: start it, tell it who is at work, start another if it ends.

The guard is a child of the worker, so its end is heard like a job's. While there is none, what is
left by a worker that is killed waits for whoever looks at the queue next, as it would anyway: so
nothing here may stop the worker's work, neither a guard that cannot be started nor one that does
not read.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from typing import Any

from aque.report import Start
from aque.worker import guard

#: Seconds from the start of one guard to the next; doubled, up to the second, if that ends at once.
_INTERVAL, _INTERVAL_MOST = 1.0, 60.0
#: Bytes that a guard may leave unread before it is replaced; a pipe holds 64 KiB more.
_UNSENT_MOST = 1 << 20

log = logging.getLogger("aque.worker")


class Guard:
    """The guard of the worker of that token, from monotonic `start_at` on.

    With `is_shared` the worker's commands share its terminal. Then all may be over in no time, and
    there is only something to guard while it `has_jobs`.
    """

    def __init__(self, token: str, start_at: float = 0.0, is_shared: bool = False) -> None:
        self.pid: int | None = None
        self.pipe = -1
        self.token = token
        self._start_at = start_at
        self._is_shared = is_shared
        self._interval = _INTERVAL
        self._told: dict[int, tuple[int, bool]] = {}  # by pid: when it started, leads a session
        self._unsent = b""

    def attend(self, has_jobs: bool) -> None:
        """See that there is a guard, if it is time for one, and that it knows all."""
        if time.monotonic() >= self.next_deadline(has_jobs):
            self._start()
        elif self._unsent:
            self._send()

    def next_deadline(self, has_jobs: bool) -> float:
        """Return the monotonic time at which a guard is to be started."""
        is_needed = self.pid is None and (has_jobs or not self._is_shared)
        return self._start_at if is_needed else float("inf")

    def add(self, start: Start) -> None:
        """Tell of a process at work."""
        if start.pid not in self._told and start.pid_started is not None:
            self._told[start.pid] = (start.pid_started, start.session is not None)
            self._tell(self._line(start.pid))

    def drop(self, pid: int) -> None:
        """Tell that a process has ended, if it was told of."""
        if self._told.pop(pid, None) is not None:
            self._tell(f"- {pid}")

    def note_ended(self, pid: int) -> bool:
        """Hear of the end of a child; whether it was the guard."""
        if pid != self.pid:
            return False
        log.warning("the guard has ended; starting another")
        ends_at_once = time.monotonic() < self._start_at
        self._interval = min(2 * self._interval, _INTERVAL_MOST) if ends_at_once else _INTERVAL
        os.close(self.pipe)
        self.pid, self.pipe, self._unsent = None, -1, b""  # the next is told all
        return True

    def leave(self) -> None:
        """Say goodbye: nothing is at work."""
        if self.pid is not None:
            self._tell(guard.BYE)
            os.close(self.pipe)
            self.pid, self.pipe = None, -1
        self._start_at = float("inf")

    # Over a reload

    def state(self) -> dict[str, Any]:
        """Return what the program after a reload must know; the pipe is to be inherited."""
        return {
            "pid": self.pid,
            "pipe": self.pipe,
            "_start_at": self._start_at,
            "_told": list(self._told.items()),
            "_unsent": self._unsent.decode(),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on with the guard of the program before, which may be an older one."""
        self.pid, self.pipe, self._start_at = state["pid"], state["pipe"], state["_start_at"]
        self._told = {pid: (started, leads) for pid, (started, leads) in state["_told"]}
        self._unsent = state["_unsent"].encode()

    # What that rests on

    def _start(self) -> None:
        self._start_at = time.monotonic() + self._interval
        try:
            reading, self.pipe = os.pipe()
        except OSError as error:
            log.info("cannot start the guard: %s; trying again", error.strerror)
            return
        os.set_blocking(self.pipe, False)
        shared = [guard.SHARED] if self._is_shared else []
        lines = [self.token, *shared, *map(self._line, self._told)]
        self._unsent = "".join(f"{line}\n" for line in lines).encode()
        self._send()  # before there is a guard: it knows all at its first look
        try:
            self.pid = _spawn(reading)
        except OSError as error:
            log.info("cannot start the guard: %s; trying again", error.strerror)
            os.close(self.pipe)
            self.pipe, self._unsent = -1, b""
        finally:
            os.close(reading)

    def _line(self, pid: int) -> str:
        started, leads_session = self._told[pid]
        return f"+ {pid} {started} {leads_session:d}"

    def _tell(self, line: str) -> None:
        if self.pid is not None:
            self._unsent += line.encode() + b"\n"
            self._send()

    def _send(self) -> None:
        """Send what the pipe takes. A guard that reads no more is replaced."""
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self.pipe, self._unsent) :]
        except BlockingIOError:
            if len(self._unsent) > _UNSENT_MOST and self.pid is not None:
                os.kill(self.pid, signal.SIGKILL)
        except BrokenPipeError:  # its end is about to be heard
            self._unsent = b""


def _spawn(reading: int) -> int:
    """Start a guard that reads there; return its pid. Raises OSError.

    It gets no mark of ours, should we be a job ourselves: it must outlive us to do its work.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(guard.__file__)))
    # Without site it starts in half the time; elsewhere the system is asked through psutil.
    options = "-IS" if sys.platform == "linux" else "-P"
    environ = {k: v for k, v in os.environ.items() if not k.startswith("AQUE_")}
    null = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (1, 2)]
    return os.posix_spawn(
        sys.executable, [sys.executable, options, "-c", guard.BOOT, package], environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, reading, 0), *null],
        setsid=True, setsigmask=guard.IGNORED,
    )  # fmt: skip
