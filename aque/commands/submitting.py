"""Own what aque-submit does: words of a command line, or lines of JSON, become prototypes."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

from aque import prototypes
from aque.commands import options
from aque.errors import AqueError, UsageError
from aque.queue import Queue

#: Lines of --from that go into the queue, or not, together.
BATCH = 1000

_STORED = "-"
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_JSON_KEYS = {
    "command", "shell", "name", "priority", "cpus", "memory", "cwd", "env", "clean_env",
    "stdin", "stdout", "stderr", "after", "after_any",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
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


def submit_one(request: Request, watch: bool, as_json: bool) -> int:
    queue = Queue(request.broker)
    surroundings = prototypes.surroundings()
    future = queue.submit_ex(_prototype(queue, request, surroundings))
    if watch:
        return _follow(queue, [future.id])
    _print(queue, [future.id], as_json)
    return 0


def submit_many(request: Request, source: str, watch: bool, as_json: bool) -> int:
    """Submit a task a line; a batch with a bad line is refused whole, those before it stay."""
    if request.command:
        raise UsageError("with --from the commands are in the file; give none here")
    queue = Queue(request.broker)
    surroundings = prototypes.surroundings()
    ids: list[int] = []
    with _open(source) as file:
        lines = ((n, line) for n, line in enumerate(file, 1) if line.strip())
        while batch := list(islice(lines, BATCH)):
            submitted = _parse(queue, request, surroundings, batch)
            batch_ids = [future.id for future in queue.submit_many(submitted)]
            if watch:
                ids += batch_ids
            else:
                _print(queue, batch_ids, as_json)
    return _follow(queue, ids) if ids else 0


def _follow(queue: Queue, ids: Sequence[int]) -> int:
    """Show what these write; standard output is theirs, so the ids go to standard error."""
    from aque.commands import following

    many = f"{len(ids)} tasks, {ids[0]} to {ids[-1]}"
    print(f"aque-submit: {f'task {ids[0]}' if len(ids) == 1 else many}", file=sys.stderr)
    options.note_missing_worker(queue, "aque-submit", ids)
    return following.follow(queue.broker, ids, on_poll=options.recovery(queue))


def _parse(
    queue: Queue,
    request: Request,
    surroundings: Mapping[str, Any],
    lines: Iterable[tuple[int, bytes]],
) -> list[dict[str, Any]]:
    parsed, complaints = [], []
    for number, line in lines:
        try:
            parsed.append(_prototype(queue, _merge(request, line), surroundings))
        except AqueError as error:
            complaints.append(f"line {number}: {error}")
    if complaints:
        more = f" (and {len(complaints) - 5} more)" if len(complaints) > 5 else ""
        raise UsageError("; ".join(complaints[:5]) + more)
    return parsed


def _merge(request: Request, line: bytes) -> Request:
    """Return the request of one line, over what the options say of all."""
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise UsageError(f"not JSON: {error}") from None
    if isinstance(fields, list):
        fields = {"command": fields}
    if not isinstance(fields, dict):
        raise UsageError('write {"command": ["echo", "hello"]} or ["echo", "hello"]')
    unknown = fields.keys() - _JSON_KEYS
    if unknown:
        raise UsageError(f"no key {min(unknown)!r}; there are {', '.join(sorted(_JSON_KEYS))}")
    merged = {key: getattr(request, key) for key in Request.__slots__}
    for key, value in fields.items():
        merged[key] = _CHECKS[key](key, value)
    if not merged["command"]:
        raise UsageError('no "command"')
    if merged["stdin"] == _STORED:
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


def _number(key: str, value: Any) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value < float("inf"):
        raise UsageError(f"{key!r} is a number from 0, not {json.dumps(value)}")
    return float(value)


def _size(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise UsageError(f'{key!r} is a size as 4096 or "4G", not {json.dumps(value)}')
    return options.parse_size(value)


def _settings(key: str, value: Any) -> list[str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise UsageError(f'{key!r} is an object as {{"KEY": "value"}}, not {json.dumps(value)}')
    return [f"{name}={text}" for name, text in value.items()]


def _selectors(key: str, value: Any) -> list[str]:
    words = [str(v) for v in value] if isinstance(value, list) else [str(value)]
    for word in words:
        options.check_selector(word)
    return words


_CHECKS = {
    "command": _texts, "shell": _flag, "name": _text, "priority": _integer, "cpus": _number,
    "memory": _size, "cwd": _text, "env": _settings, "clean_env": _flag, "stdin": _text,
    "stdout": _text, "stderr": _text, "after": _selectors, "after_any": _selectors,
}  # fmt: skip


def _prototype(queue: Queue, request: Request, surroundings: Mapping[str, Any]) -> dict[str, Any]:
    settings, command = ([], request.command) if request.shell else _split(request.command)
    if not command:
        raise UsageError("no command after the KEY=VALUE words")
    fields: dict[str, Any] = {
        "pattern": "shell",
        "args": command,
        "name": request.name,
        "priority": request.priority,
        "stdout": request.stdout,
        "stderr": request.stderr,
        "cwd": os.path.abspath(request.cwd) if request.cwd else surroundings["cwd"],
        "umask": surroundings["umask"],
        "environ": _environ(request, settings, surroundings["environ"]),
        "after": options.resolve(queue.broker, request.after),
        "after_any": options.resolve(queue.broker, request.after_any),
        **_stdin(request.stdin),
    }
    if request.shell:
        fields["kwargs"] = {"shell": True}
    for key in ("cpus", "memory"):
        if getattr(request, key) is not None:
            fields[key] = getattr(request, key)
    return fields


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split the leading KEY=VALUE words from the command."""
    count = 0
    while count < len(words) and _SETTING.match(words[count]):
        count += 1
    return list(words[:count]), list(words[count:])


def _environ(
    request: Request, settings: Sequence[str], inherited: Mapping[str, str]
) -> Mapping[str, str]:
    changes = {}
    for setting in (*request.env, *settings):
        key, separator, value = setting.partition("=")
        if not separator or not key:
            raise UsageError(f"{setting!r} is not KEY=VALUE")
        changes[key] = value
    if not changes and not request.clean_env:
        return inherited  # the same object for many tasks, stored once
    return {**({} if request.clean_env else inherited), **changes}


def _stdin(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    if path == _STORED:
        return {"stdin": _STORED, "stdin_value": sys.stdin.buffer.read()}
    return {"stdin": path}


@contextmanager
def _open(source: str) -> Iterator[IO[bytes]]:
    if source == "-":
        yield sys.stdin.buffer
        return
    try:
        file = open(source, "rb")  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"cannot read {source}: {error.strerror}") from None
    with file:
        yield file


def _print(queue: Queue, ids: Sequence[int], as_json: bool) -> None:
    if not as_json:
        print("\n".join(map(str, ids)))
        return
    from aque.commands import rendering

    for task in queue.broker.fetch(ids):
        print(rendering.to_json(task))
