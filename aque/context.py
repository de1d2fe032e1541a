"""Own what a running task can know of itself: its record and its queue."""

from __future__ import annotations

import os

from aque import brokers
from aque.brokers.base import Broker
from aque.task import Task


class _Context:
    """What runs in this process. One task at a time, so its threads see the same."""

    def __init__(self) -> None:
        self.broker: Broker | None = None
        self.opened_for: str | None = None


_context = _Context()


def current_task() -> Task | None:
    """Return the task this process works for, as it is in the queue now; None outside of one.

    In a shell task's program it is found by $AQUE_TID.
    """
    text = os.environ.get("AQUE_TID")
    if not text or not text.isdigit():
        return None
    return current_broker().fetch([int(text)])[0]


def current_broker() -> Broker:
    """Return the queue this process works for: that of $AQUE_BROKER, else the user's own."""
    url = os.environ.get("AQUE_BROKER")
    if _context.broker is None or _context.opened_for != url:
        _context.broker = brokers.from_url(url, durable=False)
        _context.opened_for = url
    return _context.broker
