"""Own what a running task can know and say of itself: its record, its queue, its progress."""

from __future__ import annotations

import atexit
import math
import os
import time
from collections.abc import Callable

from aque import brokers
from aque.brokers.base import Broker
from aque.report import Progress
from aque.task import Task

Report = Callable[["float | None", "float | None", "str | None"], object]

#: Seconds between two reports of progress: what comes sooner waits, and the latest is kept.
_PACE = 0.1


class _Context:
    """What runs in this process. One task at a time, so its threads see the same."""

    def __init__(self) -> None:
        self.broker: Broker | None = None
        self.opened_for: str | None = None
        self.report: Report | None = None
        self.reported_at = 0.0
        self.held: tuple[float | None, float | None, str | None] | None = None


_context = _Context()


def current_task() -> Task | None:
    """Return the task this process works for, as it is in the queue now; None outside of one.

    In a shell task's program it is found by $AQUE_TID.
    """
    id = _own_id()
    return None if id is None else current_broker().fetch([id])[0]


def current_broker() -> Broker:
    """Return the queue this process works for: that of $AQUE_BROKER, else the user's own.

    The user's own is made where it is missing. Raises BrokerError where a queue cannot be reached.
    """
    url = os.environ.get("AQUE_BROKER")
    if _context.broker is None or _context.opened_for != url:
        _context.broker = brokers.from_url(url, durable=False, create=_own_id() is None)
        _context.opened_for = url
    return _context.broker


def progress(
    done: float | None = None, total: float | None = None, message: str | None = None
) -> None:
    """Say how far the task of this process is: `done` of `total`, and where.

    It may be called as often as one likes: ten times a second at most it is stored, and the last of
    all is. Outside of a task it does nothing. What is no finite number is not known.
    """
    if _own_id() is None:
        return
    if _context.report is None:
        _context.report = _report_to_queue
        atexit.register(flush_progress)
    _context.held = (_number(done), _number(total), None if message is None else str(message))
    if time.monotonic() - _context.reported_at >= _PACE:
        flush_progress()


def _number(value: float | None) -> float | None:
    """Return a number as it can be stored; one of numpy's too."""
    value = None if value is None else float(value)
    return None if value is None or not math.isfinite(value) else value


def report_by(report: Report) -> None:
    """Have progress reported so, of a task that begins."""
    _context.report = report
    _context.reported_at = 0.0
    _context.held = None


def flush_progress() -> None:
    """Report what was said last, if that has not been."""
    held, _context.held = _context.held, None
    if held is not None and _context.report is not None:
        _context.reported_at = time.monotonic()
        _context.report(*held)


def _report_to_queue(done: float | None, total: float | None, message: str | None) -> None:
    id, attempt = _own_id(), os.environ.get("AQUE_ATTEMPT", "")
    if id is not None and attempt.isdigit():
        current_broker().report_progress(Progress(id, int(attempt), done, total, message))


def _own_id() -> int | None:
    text = os.environ.get("AQUE_TID")
    return int(text) if text and text.isdigit() else None
