"""Own the thread that a worker spawns from, so that no job is ever called aque-worker.

Until its own exec a spawned child has the name of the thread it was spawned from, and takes signals
as if nobody handled them. `killall -HUP aque-worker` looks at all names first, and signals those it
found some milliseconds later: it would hit jobs that were just about to begin, and also ones that
have begun by then (of 600 jobs of 10 ms under 300 killalls, most were hit once). What a tool sees
as the name of a process is that of its main thread, so it is enough to spawn from another one,
which does nothing else. It costs less than it saves: the child runs on another core than we do.

Rejected: starting again what never ran, which the kernel knows (PF_FORKNOEXEC in /proc/PID/stat):
of those 600 jobs a few had just begun, and nobody can know what they had done. Another name for the
worker while it spawns: a killall would miss it. Signals that are blocked or ignored: the job would
inherit that.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any

_NAME = "aque-spawn"


class SpawningThread:
    """Called as os.posix_spawn, does that in a thread of another name."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], int]] = SimpleQueue()
        self._answers: SimpleQueue[int | BaseException] = SimpleQueue()
        threading.Thread(target=self._serve, name=_NAME, daemon=True).start()

    def __call__(self, *arguments: Any, **options: Any) -> int:
        self._calls.put(partial(os.posix_spawn, *arguments, **options))
        answer = self._answers.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _serve(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are the loop's
        _name_this_thread()
        while True:
            call = self._calls.get()
            try:
                self._answers.put(call())
            except BaseException as error:  # whichever it is, the caller waits for it
                self._answers.put(error)


def _name_this_thread() -> None:
    try:
        with open("/proc/thread-self/comm", "wb", buffering=0) as file:
            file.write(_NAME.encode())
    except OSError:
        pass  # not on Linux
