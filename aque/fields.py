"""Own what may stand in the fields of a prototype, so that what cannot run is refused at submit.

A program is told at once, by the name of the field, and not by a task that fails in the night.
Bytes that are no text are kept as they are, each as the surrogate that stands for it. What no
argument, variable or path can hold is NUL, which ends a C string, and a surrogate of no byte.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from aque import trust
from aque.errors import UsageError
from aque.requirements import REQUIREMENT_KEYS

EDGES = frozenset(("dependencies", "after", "after_any", "children", "parent"))
VALUES = ("pattern", "func", "args", "kwargs", "extra")
PLAIN = frozenset(
    "name priority duration due_at cwd environ umask import_path interpreter stdin stdin_value"
    " stdout stderr timeout retries retry_delay keep_background".split()
)
REQUIREMENTS = frozenset(REQUIREMENT_KEYS) - {"reserved"}
KEYS = {*EDGES, *VALUES, *PLAIN, *REQUIREMENTS, "hold", "io_paths"} - {"mounts"}

_TEXTS = "name cwd import_path interpreter stdin stdout stderr".split()

_UNSTARTABLE = re.compile("[\0\ud800-\udc7f\udd00-\udfff]")

_INFINITY = float("inf")
#: The largest whole number that a queue can store.
_MOST = 2**63 - 1
#: What are numbers, and how small they may be.
_NUMBERS: Mapping[str, tuple[Any, float]] = {
    "priority": ((int,), -_INFINITY),
    "duration": ((int, float), 0.0),
    "due_at": ((int, float), 0.0),
    "cpus": ((int, float), 0.0),
    "memory": ((int, float), 0),
    "retries": ((int,), 0),
    "retry_delay": ((int, float), 0),
    "timeout": ((int, float), 1e-9),
}


def check(submitted: Mapping[str, Any]) -> None:
    """Raise UsageError for a prototype that no task can be made of."""
    if not isinstance(submitted, Mapping):
        raise UsageError(f"{submitted!r} is neither a prototype, an id nor a future")
    for key in submitted:
        if key not in KEYS:
            raise UsageError(f"a prototype has no key {key!r}; it has {', '.join(sorted(KEYS))}")
    _check_numbers(submitted)
    check_arguments(submitted)
    for key in _TEXTS:
        value = submitted.get(key)
        if isinstance(value, str):
            _check_text(key, value)
    if submitted.get("user") is not None:
        trust.check_user(submitted["user"])
    if not isinstance(submitted.get("keep_background", False), bool):
        raise UsageError(f"keep_background cannot be {submitted['keep_background']!r}")
    if submitted.get("environ") is not None:
        _check_environ(submitted["environ"])
    if submitted.get("pattern") == "shell":
        _check_command(submitted)


def _check_numbers(submitted: Mapping[str, Any]) -> None:
    for key, (kind, least) in _NUMBERS.items():
        value: Any = submitted.get(key)
        if value is None:
            continue
        is_storable = not isinstance(value, int) or -_MOST <= value <= _MOST
        if not isinstance(value, kind) or not least <= value < _INFINITY or not is_storable:
            what = "a whole number" if kind == (int,) else "a number"
            bounds = f"from {max(least, -_MOST)} to {_MOST}"
            raise UsageError(f"{key} cannot be {value!r}; it is {what} {bounds}")


def check_arguments(submitted: Mapping[str, Any]) -> None:
    """Raise UsageError for arguments that no call can have: there is no more to check of a call."""
    args, kwargs = submitted.get("args"), submitted.get("kwargs")
    if args is not None and (isinstance(args, (str, bytes)) or not isinstance(args, Iterable)):
        raise UsageError(f"args must be a list, not {args!r}")
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise UsageError(f"kwargs must be a mapping of names to values, not {kwargs!r}")


def _check_environ(environ: Any) -> None:
    if not isinstance(environ, Mapping):
        raise UsageError(f"environ must be a mapping, not {environ!r}")
    for key, value in environ.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise UsageError(f"an environment holds texts, not {key!r}: {value!r}")
        if not key or "=" in key:
            raise UsageError(f"no variable of an environment can be named {key!r}")
        if not (_can_start(key) and _can_start(value)):
            _check_text("environment", f"{key}={value}")


def _check_command(submitted: Mapping[str, Any]) -> None:
    args = submitted.get("args")
    words = args if isinstance(args, (list, tuple)) else ()
    if not words:
        raise UsageError("a command is a list of words that is not empty")
    for word in words:
        text = os.fspath(word) if isinstance(word, os.PathLike) else word
        if not isinstance(text, str):
            raise UsageError(f"a command is a list of texts, and {word!r} is none")
        _check_text("argument", text)
    is_script = (submitted.get("kwargs") or {}).get("shell")
    if not is_script and not os.fspath(words[0]):
        raise UsageError("the name of a command cannot be empty")


def _can_start(text: str) -> bool:
    """Say whether an argument, variable or path can hold this; what is ASCII is seen at once."""
    if text.isascii():
        return "\0" not in text
    return _UNSTARTABLE.search(text) is None


def _check_text(key: str, text: str) -> None:
    if not _can_start(text):
        shown = text if len(text) <= 40 else f"{text[:40]}..."
        wrong = "a NUL byte" if "\0" in text else "half a character"
        raise UsageError(f"there is {wrong} in the {key} {shown!r}; nothing can be started so")
