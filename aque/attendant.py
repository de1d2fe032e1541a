"""Own the worker that an executor has to itself: a process that lives as long as it does.

It is an aque-worker that ends when its standard input does: that is a pipe whose other end only the
executor's process has, so it ends however that process does, and finishes what runs. It is in a
session of its own, so that Ctrl-C at a terminal is the program's to deal with.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

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
        self._start()

    def look(self) -> str | None:
        """See that the worker runs; return why it cannot be kept running, once that is so."""
        status = self._process.poll()
        if status is None or self._is_ending:
            return None
        self._deaths = self._deaths + 1 if time.monotonic() - self._started < _SOON else 1
        if self._deaths >= _MOST_DEATHS:
            return f"the executor's worker has ended {self._deaths} times, with status {status}"
        self._close()
        self._start()
        return None

    def end(self) -> None:
        """Have the worker end when what it runs has."""
        if not self._is_ending:
            self._is_ending = True
            self._close()
            # Somebody has to reap it, though nobody may wait for it any more.
            threading.Thread(target=self._process.wait, name="aque-reaper", daemon=True).start()

    def wait(self) -> None:
        self._process.wait()

    def _start(self) -> None:
        package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "aque.commands.attending", self._url, str(self._slots)],
            env=environ, stdin=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def _close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
