"""Own the records of logging that belong to a task: how they are stored, shown and handed on.

A record is a line of JSON in the stream `log` of its task, with its time, level and logger.
"""

from __future__ import annotations

import json
import time


def line(at: float, level: str, logger: str, message: str) -> bytes:
    """Return a record as it is stored; `at` is Unix seconds."""
    record = {"at": at, "level": level, "logger": logger, "message": message}
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def shown(stored: bytes) -> str:
    """Return a stored record as a person reads it, in local time."""
    try:
        record = json.loads(stored)
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record["at"]))
        return f"{at} {record['level']} {record['logger']}: {record['message']}"
    except (ValueError, KeyError, TypeError):  # the middle of a log whose end was not kept
        return stored.decode(errors="replace")


def hand_on(at: float, level: str, logger: str, message: str) -> None:
    """Hand a record of one of aque's own loggers to the logger of that name here."""
    import logging

    if logger.partition(".")[0] != "aque":
        return
    ours = logging.getLogger(logger)
    number = logging.getLevelName(level)
    if isinstance(number, int) and ours.isEnabledFor(number):
        record = ours.makeRecord(logger, number, "", 0, message, (), None)
        record.created = at
        ours.handle(record)
