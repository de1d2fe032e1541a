"""Own the filters: `KEY=VALUE`, `KEY!=VALUE`, `KEY~GLOB`, `KEY<N`, `KEY>N` become conditions.

A value is compared, never evaluated. An empty one means "not set": `parent=` is what has no parent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from typing import Any

from aque import states, task
from aque.brokers.questions import Condition
from aque.commands import quantities, rendering, terminal
from aque.errors import UsageError
from aque.task import Task

_FILTER = re.compile(r"(\w+)(!=|=|~|<|>)(.*)", re.DOTALL)
_DATE = re.compile(r"\d{4}-")
_NUMERIC = frozenset(f.name for f in fields(Task) if "str" not in str(f.type))
_SIZES = frozenset({"memory", "max_rss"})


def parse(text: str) -> Condition:
    """Read one filter. Raises UsageError for an unknown key, or what is no number for < and >."""
    match = _FILTER.fullmatch(text)
    if match is None:
        raise UsageError(
            f"'{terminal.safe(text)}' is no filter; write KEY=VALUE, KEY!=VALUE, KEY~GLOB, "
            "KEY<N or KEY>N"
        )
    key, operator, value = match.groups()
    return Condition(rendering.check_key(key, task.KEYS), operator, _value(key, operator, value))


def statuses(words: Iterable[str]) -> list[str]:
    """Read the states of `-s`, each of which may be several with commas between."""
    found: dict[str, None] = {}
    for status in (part.strip() for word in words for part in word.split(",")):
        found[_status(status)] = None
    return list(found)


def _status(word: str) -> str:
    if word not in states.STATES:
        known = ", ".join(states.STATES)
        raise UsageError(f"'{terminal.safe(word)}' is no state; there are {known}")
    return word


def _value(key: str, operator: str, text: str) -> Any:
    if operator == "~":
        return text
    if operator in ("=", "!="):
        if not text or key not in _NUMERIC:
            return _status(text) if text and key == "status" else text or None
    elif key not in _NUMERIC:
        raise UsageError(f"'{key}' is text; < and > compare numbers")
    number = _number(key, text)
    if number is None:
        raise UsageError(f"'{key}' is {_kind(key)}, '{terminal.safe(text)}' is not")
    return number


def _kind(key: str) -> str:
    """Say how a value of a key that is stored as a number is written."""
    if key in _SIZES:
        return "a size as 4096 or 4G"
    return "a time as 2026-01-31 or 2026-01-31T23:30" if key.endswith("_at") else "a number"


def _number(key: str, text: str) -> float | None:
    """Read a number, or a size as 4G, or an instant in ISO 8601, where the key has these."""
    try:
        if key in _SIZES:
            return float(quantities.parse_size(text))
        if key.endswith("_at") and _DATE.match(text):
            return datetime.fromisoformat(text).timestamp()
        number = float(text)
    except (ValueError, OverflowError, UsageError):
        return None
    return None if math.isnan(number) else number
