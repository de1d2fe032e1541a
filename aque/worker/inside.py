"""Own what a runner tells its worker beside answers: records of logging, progress, and imports.

They go over a pipe of their own, a line of JSON each with the task and attempt they are of; long
ones in pieces (pieces.py), since threads and forked children of a task speak there too. Loggers of
aque (`aque`, `aque.job.7`) end there: their counterparts in the worker take over. A program's
own logging works as it would anywhere; that its records are stored too is done where every logger
hands its records to its handlers, so that neither `basicConfig` nor the handler of last resort
notices. (A handler at the root logger would switch off both.) So one that cannot be put into words
is told of by those handlers alone.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from itertools import count
from typing import Any

from aque import context
from aque.worker import pieces


class Channel:
    """The pipe, and whom what is written there is of."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._task: tuple[int, int] | None = None
        self._numbers = count()
        ours = logging.getLogger("aque")
        ours.addHandler(_Handler(self))
        ours.propagate = False
        ours.setLevel(logging.DEBUG)
        _hook(self)

    def start(self, id: int, attempt: int) -> None:
        """Say whose records come from now on."""
        self._task = (id, attempt)
        context.report_by(self._report)

    def end(self) -> None:
        """Send what was held back of the task's progress; what comes later is nobody's."""
        context.flush_progress()
        self._task = None

    def log(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        self._send("log", record.created, record.levelname, record.name, text)

    def tell_imported(self, paths: list[str]) -> None:
        """Say which files of modules have been imported."""
        self._send("imported", paths)

    def _report(self, done: float | None, total: float | None, message: str | None) -> None:
        self._send("progress", done, total, message)

    def _send(self, kind: str, *values: Any) -> None:
        task = self._task
        if task is None:
            return
        record = json.dumps([kind, *task, *values])
        lines: Iterable[str] = (record,)
        if len(record) >= pieces.SHORT:
            lines = pieces.cut(record, *task, f"{os.getpid()}.{next(self._numbers)}")
        try:
            for line in lines:
                os.write(self._descriptor, line.encode() + b"\n")
        except OSError:
            pass  # the worker is gone, and we are soon


class _Handler(logging.Handler):
    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._channel.log(record)
        except Exception:  # its arguments do not fit, or their own code fails
            self.handleError(record)


def _hook(channel: Channel) -> None:
    hand_on = logging.Logger.callHandlers

    def call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] != "aque":
            try:
                channel.log(record)
            except Exception:  # as above; the handlers will say so, each in its way
                pass
        hand_on(self, record)

    logging.Logger.callHandlers = call_handlers  # type: ignore[method-assign]
