"""Own the worker that an executor has to itself: a process that lives as long as it does.

It is an aque-worker that takes nothing more when its standard input ends, and ends when what it
runs has. That input is a socket whose other end is our process's, so it ends with that, also by a
kill -9; but forks of our process have it open too, for as long as they live. So a shutdown is that
of the socket, which holds whoever has it open, and the worker also looks whether its parent is
still there. It is in a session of its own, so that Ctrl-C at a terminal is for the program alone.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

from aque.brokers.base import Broker

#: So many worker processes in a row that die within so many seconds are a defect, not an accident.
_MOST_DEATHS = 3
_SOON = 10.0


class Attendant:
    """A worker of `slots` slots on a broker's queue; started now, and again whenever it dies."""

    def __init__(self, broker: Broker, slots: int) -> None:
        self._url = broker.to_url()
        self._slots = slots
        self._deaths = 0
        self._is_ending = False
        self._lock = threading.Lock()  # or a worker might be started again while it is ended
        self._start()

    def look(self) -> str | None:
        """See that the worker runs; return why it cannot be kept running, once that is so."""
        with self._lock:
            status = self._process.poll()
            if status is None or self._is_ending:
                return None
            is_soon = time.monotonic() - self._started < _SOON
            self._deaths = self._deaths + 1 if is_soon else 1
            if self._deaths >= _MOST_DEATHS:
                return f"the executor's worker has ended {self._deaths} times, with status {status}"
            self._close()
            self._start()
            return None

    def end(self) -> None:
        """Have the worker end when what it runs has."""
        with self._lock:
            if self._is_ending:
                return
            self._is_ending = True
            self._close()
        # Somebody has to reap it, though nobody may wait for it any more.
        reaper = threading.Thread(target=self._process.wait, name="aque-reaper", daemon=True)
        with suppress(RuntimeError):  # Python 3.12 starts none at its end; `wait` does it then
            reaper.start()

    def wait(self) -> None:
        self._process.wait()

    def _start(self) -> None:
        package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        self._started = time.monotonic()
        self._line, theirs = socket.socketpair()
        arguments = [self._url, str(self._slots), str(os.getpid())]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "aque.commands.attending", *arguments],
                env=environ, stdin=theirs.fileno(), start_new_session=True,
            )  # fmt: skip

    def _close(self) -> None:
        with suppress(OSError):  # the worker has ended
            self._line.shutdown(socket.SHUT_WR)
        self._line.close()
