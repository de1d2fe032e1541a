"""Own what an executor was given and its queue does not have yet.

A transaction costs 100 us and more, whatever is in it; a task in it costs 10. So calls that come in
a flood are stored together. One that comes alone is stored at once, by whoever submits it. One that
comes within PACE of the last transaction is held: it is stored with those that follow by the first
who comes after that time, by a thread of ours where nobody comes, and by whoever asks for an id,
waits for all or ends.

That is also what a kill -9 of the program can take: calls of the last moments of a flood, whose ids
nobody has seen. Who must not lose them makes the executor `durable`, and it holds nothing.

Rejected: a thread that stores all (it would wait for the interpreter's lock, 5 ms each time, with
the queue's write lock held, while the program computes), and a file of calls yet to be stored,
which others would have to find and take over when its owner is dead.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

#: Seconds from one transaction to the next, and calls that are held at most.
PACE, MOST = 0.002, 256

T = TypeVar("T")
#: What is left to do when the lock is let go: it may run a program's own code.
After = Callable[[], object]


class Outbox(Generic[T]):
    """Holds items until `store` is called with them. Used from any thread."""

    def __init__(self, store: Callable[[Sequence[T]], After]) -> None:
        self._store = store
        self._is_closed = False
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()  # a signal, or what is collected, may put in mid-store
        self._is_storing = False
        self._held: list[T] = []
        self._stored_at = 0.0
        self._news = threading.Event()
        self._thread: threading.Thread | None = None

    def put(self, item: T) -> None:
        """Take an item over: to be stored now, or in PACE seconds."""
        self._see_fork()
        with self._lock:
            self._held.append(item)
            is_late = time.monotonic() - self._stored_at >= PACE
            is_full = len(self._held) >= MOST
            is_due = is_late or self._is_closed or is_full
            if (self._is_storing or not is_due) and self._wake():
                return
            after = self._store_held()
        after()

    def flush(self) -> None:
        """Return when all that was put before has been stored."""
        self._see_fork()
        with self._lock:
            if not self._held:
                return
            after = self._store_held()
        after()

    def close(self) -> None:
        """Hold nothing any more."""
        self._is_closed = True
        self.flush()
        self._news.set()
        atexit.unregister(self.flush)

    def _store_held(self) -> After:
        held, self._held = self._held, []
        self._is_storing = True
        try:
            return self._store(held)
        finally:
            self._is_storing = False
            self._stored_at = time.monotonic()

    def _see_fork(self) -> None:
        """In a child begin anew: what was held is its parent's to store."""
        if self._pid != os.getpid():
            self._begin()

    # The thread

    def _wake(self) -> bool:
        """Have the thread store what is held; whether there can be one."""
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="aque-outbox", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # too many, or the interpreter is ending
                return False
            self._thread = thread
            atexit.register(self.flush)
        if not self._news.is_set():
            self._news.set()
        return True

    def _run(self) -> None:
        """Store until closed, or until a program's own code raises; then another thread goes on."""
        try:
            while not self._is_closed:
                self._news.wait()
                self._news.clear()
                while self._held:
                    left = self._stored_at + PACE - time.monotonic()
                    if left > 0:
                        time.sleep(left)
                    else:
                        self.flush()
        finally:
            with self._lock:
                self._thread = None
                self._news.set()
                if self._held:
                    self._wake()
