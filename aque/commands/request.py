"""Own what one submission asks for: by the options of a call, and by a line of JSON over those."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from aque.commands import options, quantities
from aque.errors import UsageError
from aque.record import keys, record


@record(frozen=True)
class Request:
    """What the options of one call say."""

    broker: str | None
    command: Sequence[str]
    shell: bool
    name: str | None
    priority: int | None
    cpus: float | None
    memory: int | None
    cwd: str | None
    env: Sequence[str]
    clean_env: bool
    stdin: str | None
    stdout: str | None
    stderr: str | None
    after: Sequence[str]
    after_any: Sequence[str]
    parent: str | None
    host: str | None
    platform: str | None
    limits: Sequence[str]
    delay: float | None
    at: float | None
    hold: bool
    timeout: float | None
    retries: int | None
    retry_delay: float | None
    keep_background: bool
    duration: float | None
    io_paths: Sequence[str]
    user: str | None


def merge(request: Request, line: bytes) -> Request:
    """Return the request of one line, over what the options say of all."""
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise UsageError(f"not JSON: {error}") from None
    if isinstance(fields, list):
        fields = {"command": fields}
    if not isinstance(fields, dict):
        raise UsageError('write {"command": ["echo", "hello"]} or ["echo", "hello"]')
    unknown = fields.keys() - _CHECKS.keys()
    if unknown:
        raise UsageError(f"no key {min(unknown)!r}; there are {', '.join(sorted(_CHECKS))}")
    merged = {key: getattr(request, key) for key in keys(Request)}
    for key, value in fields.items():
        merged[key] = _CHECKS[key](key, value)
    for key, other in (("at", "delay"), ("delay", "at")):
        if key in fields and other not in fields:
            merged[other] = None
    if not merged["command"]:
        raise UsageError('no "command"')
    if merged["stdin"] == "-":
        raise UsageError('"stdin": "-" is for a single task; name a file')
    return Request(**merged)


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{key!r} is a text, not {json.dumps(value)}")
    return value


def _texts(key: str, value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise UsageError(f"{key!r} is a list of texts, not {json.dumps(value)}")
    return value


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{key!r} is true or false, not {json.dumps(value)}")
    return value


def _integer(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{key!r} is a whole number, not {json.dumps(value)}")
    return value


def _count(key: str, value: Any) -> int:
    if _integer(key, value) < 0:
        raise UsageError(f"{key!r} is a whole number from 0, not {json.dumps(value)}")
    return int(value)


def _pattern(key: str, value: Any) -> str:
    from aque.schedule import hosts

    return hosts.check(_text(key, value))


def _cpus(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UsageError(f"{key!r} is a number, not {json.dumps(value)}")
    return quantities.parse_cpus(value)


def _duration(key: str, value: Any) -> float:
    return quantities.parse_duration(value)


def _instant(key: str, value: Any) -> float:
    return options.parse_instant(str(value))


def _size(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise UsageError(f'{key!r} is a size as 4096 or "4G", not {json.dumps(value)}')
    return quantities.parse_size(value)


def _settings(key: str, value: Any) -> list[str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise UsageError(f'{key!r} is an object as {{"KEY": "value"}}, not {json.dumps(value)}')
    return [f"{name}={text}" for name, text in value.items()]


def _selectors(key: str, value: Any) -> list[str]:
    words = [str(v) for v in value] if isinstance(value, list) else [str(value)]
    for word in words:
        options.check_selector(word)
    return words


def _task(key: str, value: Any) -> str:
    return options.check_task(str(value))


_CHECKS = {
    "command": _texts, "shell": _flag, "name": _text, "priority": _integer, "cpus": _cpus,
    "memory": _size, "cwd": _text, "env": _settings, "clean_env": _flag, "stdin": _text,
    "stdout": _text, "stderr": _text, "after": _selectors, "after_any": _selectors,
    "parent": _task, "host": _pattern, "platform": _pattern, "limits": _texts, "hold": _flag,
    "keep_background": _flag,
    "delay": _duration, "timeout": _duration, "retries": _count, "retry_delay": _duration,
    "duration": _duration, "at": _instant,
    "io_paths": _texts, "user": _text,
}  # fmt: skip
