"""Own how a task is written down for programs: JSON, CSV fields and `--format`.

It is the record as it is stored: encoded columns stay their text, durations are float seconds,
instants UTC in ISO 8601. Nothing is decoded, and no pattern is evaluated.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from string import Formatter
from typing import Any

from aque import task
from aque.commands import lost, terminal
from aque.commands.lost import NOBODY, Dead
from aque.errors import UsageError
from aque.task import Task

Record = Mapping[str, Any]

#: What can be asked of a task: what is stored, and what is only known when it is looked at.
KEYS = (*task.KEYS, "is_lost")

_WIDTH = re.compile(r"[1-9]\d*")
_TOO_WIDE = re.compile(r"\d{5}")
_FLOATS = tuple(field.name for field in fields(Task) if "float" in str(field.type))
_INSTANTS = tuple(key for key in _FLOATS if key.endswith("_at"))


def to_json(shown: Task, dead: Dead = NOBODY) -> str:
    """Return a task as one JSON object, in one line of ASCII."""
    return json.dumps(to_record(shown, dead), allow_nan=False)


def to_record(shown: Task, dead: Dead = NOBODY) -> dict[str, Any]:
    """Return a task's keys with values that JSON can hold."""
    record = task.as_dict(shown)
    for key in _FLOATS:
        if record[key] is not None and not math.isfinite(record[key]):
            record[key] = None
    for key in _INSTANTS:
        if record[key] is not None:
            record[key] = instant(record[key])
    record["is_lost"] = lost.worker_of(shown, dead) is not None
    return record


def to_safe_record(shown: Task, dead: Dead) -> dict[str, Any]:
    """Return the record with texts that are safe to send to a terminal."""
    record = to_record(shown, dead)
    return {k: terminal.safe(v) if isinstance(v, str) else v for k, v in record.items()}


def instant(at: float) -> str | None:
    """Write Unix seconds as UTC in ISO 8601; None where no calendar reaches."""
    try:
        return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return None


def check_key(key: str, known: Sequence[str] = KEYS) -> str:
    """Return a key as it is. Raises UsageError where a task does not have it."""
    if key not in known:
        import difflib

        close = "".join(f", but '{name}'" for name in difflib.get_close_matches(key, known, 1))
        all_of_them = "aque-status --json shows them all"
        raise UsageError(f"a task has no key '{terminal.safe(key)}'{close}; {all_of_them}")
    return key


def formatter(pattern: str) -> Callable[[Record], str]:
    """Read a pattern of `str.format` over the keys; return what writes a record by it.

    Attributes and indices are refused: they reach into Python, not into the task. Raises
    UsageError, and when it writes for a value that its field's format does not suit.
    """
    _check_fields(pattern)

    def write(record: Record) -> str:
        values = {k: _NOTHING if v is None else v for k, v in record.items()}
        try:
            return pattern.format_map(values)
        except (ValueError, TypeError, OverflowError) as error:
            raise UsageError(f"--format {pattern!r}: {error}") from None

    return write


class _Nothing(str):
    """The text of a value that is not there; it suits every format, also one for numbers."""

    def __format__(self, spec: str) -> str:
        try:
            return format("", spec)
        except ValueError:
            width = _WIDTH.search(spec.partition(".")[0])
            return " " * int(width[0]) if width else ""


_NOTHING = _Nothing()


def _check_fields(pattern: str) -> None:
    try:
        parts = list(Formatter().parse(pattern))
    except ValueError as error:
        raise UsageError(f"--format {pattern!r}: {error}") from None
    for _, field, spec, _ in parts:
        if field is None:
            continue
        if "." in field or "[" in field:
            safe = terminal.safe(field)
            raise UsageError(f"--format takes keys, no attributes or indices: '{safe}'")
        check_key(field)
        _check_width(spec or "")


def _check_width(spec: str) -> None:
    """Refuse what would take as much memory as it is wide, as by the value of another field."""
    safe = terminal.safe(spec)
    if "{" in spec:
        raise UsageError(f"--format takes numbers as widths, no other fields: '{safe}'")
    if _TOO_WIDE.search(spec):
        raise UsageError(f"--format takes widths up to 9999: '{safe}'")
