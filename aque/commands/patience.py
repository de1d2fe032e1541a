"""Own what a person at a terminal is told while a change of very many tasks takes its time.

A thread says it: the change holds the queue's lock, and must not wait for a terminal that Ctrl-S
holds. No signal is for that thread, since Ctrl-Z must stop nobody who holds the lock.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from aque.commands import terminal

#: Seconds after which silence would make a person wonder.
_LONG = 1.0
ALL_OR_NONE = "; Ctrl-C leaves all as it was"


@contextmanager
def telling(name: str, ids: Sequence[int], way_out: str = ALL_OR_NONE) -> Iterator[None]:
    """Say on a terminal what a command is at, and what Ctrl-C would do, if it takes long."""
    if not sys.stderr.isatty():
        yield
        return
    import threading

    is_done = threading.Event()
    what = f"{len(ids):,} tasks" if len(ids) > 1 else f"task {ids[0]}" if ids else "the queue"

    def tell() -> None:
        if not is_done.wait(_LONG):
            terminal.tell(f"{name}: still at work on {what}{way_out}")

    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        threading.Thread(target=tell, name="aque-patience", daemon=True).start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    try:
        yield
    finally:
        is_done.set()
