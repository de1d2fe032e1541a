"""Own what aque-submit does: words of a command line, or lines of JSON, become prototypes."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import IO, Any

from aque import surroundings, trust
from aque.commands import options, quantities
from aque.commands.request import Request, merge
from aque.errors import AqueError, BrokerError, UsageError
from aque.fields import check
from aque.queue import Queue

#: Lines of --from that go into the queue, or not, together.
BATCH = 1000

_STORED = "-"
#: What parts the tasks of a JSON document.
_BETWEEN = ",\n "
#: Options that are a prototype's keys as they are.
_AS_GIVEN = (
    "name priority cpus memory stdout stderr host platform hold timeout retries retry_delay"
    " keep_background duration io_paths user"
).split()
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


def submit_one(request: Request, watch: bool, as_json: bool) -> int:
    queue = _open_queue(request)
    here = surroundings.take()
    future = queue.submit_ex(_prototype(queue, request, here))
    if watch:
        return _follow(queue, [future.id])
    _print([future.id], f"{_json(queue, [future.id]) if as_json else future.id}\n")
    return 0


def submit_many(request: Request, source: str, watch: bool, as_json: bool) -> int:
    """Submit a task a line; a batch with a bad line is refused whole, those before it stay."""
    if request.command:
        raise UsageError("with --from the commands are in the file; give none here")
    queue = _open_queue(request)
    batches = _submit_batches(queue, request, source)
    if watch:
        ids = [id for batch in batches for id in batch]
        return _follow(queue, ids) if ids else 0
    if as_json:
        _print_document(queue, batches)
        return 0
    for batch in batches:
        _print(batch, "".join(f"{id}\n" for id in batch))
    return 0


def _submit_batches(queue: Queue, request: Request, source: str) -> Iterator[list[int]]:
    """Yield the ids of each batch once it is stored."""
    here = surroundings.take()
    with _open(source) as file:
        lines = ((n, line) for n, line in enumerate(file, 1) if line.strip())
        while batch := list(islice(lines, BATCH)):
            submitted = _parse(queue, request, here, batch)
            yield [future.id for future in queue.submit_many(submitted)]


def _open_queue(request: Request) -> Queue:
    queue = Queue(request.broker)
    options.note_new(queue.broker, "aque-submit")
    return queue


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
    here: Mapping[str, Any],
    lines: Iterable[tuple[int, bytes]],
) -> list[dict[str, Any]]:
    parsed, complaints, kinds = [], [], []
    for number, line in lines:
        try:
            parsed.append(_prototype(queue, merge(request, line), here))
        except BrokerError:
            raise
        except AqueError as error:
            complaints.append(f"line {number}: {error}")
            kinds.append(type(error))
    if complaints:
        more = f" (and {len(complaints) - 5} more)" if len(complaints) > 5 else ""
        worst = max(kinds, key=lambda kind: kind.exit_status)
        raise worst("; ".join(complaints[:5]) + more)
    return parsed


def _prototype(queue: Queue, request: Request, here: Mapping[str, Any]) -> dict[str, Any]:
    parent = None
    if request.parent is not None:
        (parent,) = options.resolve(queue.broker, [request.parent])
    settings, command = ([], request.command) if request.shell else _split(request.command)
    if not command:
        raise UsageError("no command after the KEY=VALUE words")
    if request.shell and not command[0].strip():
        raise UsageError("the script is empty; give it as one word, as -s 'cd scenes && render'")
    fields: dict[str, Any] = {
        "pattern": "shell",
        "args": command,
        "after": options.resolve(queue.broker, request.after),
        "after_any": options.resolve(queue.broker, request.after_any),
        "limits": _limits(request.limits),
        "due_at": _due_at(request),
        "parent": parent,
        **{key: getattr(request, key) for key in _AS_GIVEN},
        **_surroundings(queue, request, parent, settings, here),
        **_stdin(request.stdin),
    }
    if request.shell:
        fields["kwargs"] = {"shell": True}
    prototype = {key: value for key, value in fields.items() if value is not None}
    check(prototype)  # here already, where a bad line still has its number
    return prototype


def _surroundings(
    queue: Queue,
    request: Request,
    parent: int | None,
    settings: Sequence[str],
    here: Mapping[str, Any],
) -> dict[str, Any]:
    """Return directory, environment and umask; a child takes its parent's where none is given."""
    changes = _changes(request, settings)
    cwd = os.path.abspath(request.cwd) if request.cwd else None
    if parent is not None:
        return {"cwd": cwd, "environ": _childs_environ(queue, parent, request, changes)}
    inherited = here["environ"]
    if request.user is not None:
        changes = {**trust.login_environ(request.user), **changes}
    if changes or request.clean_env:  # else the same object for many tasks, stored once
        inherited = {**({} if request.clean_env else inherited), **changes}
    return {"cwd": cwd or here["cwd"], "umask": here["umask"], "environ": inherited}


def _childs_environ(
    queue: Queue, parent: int, request: Request, changes: Mapping[str, str]
) -> dict[str, str] | None:
    """Return a child's environment: its parent's with these changes; None where it is the same."""
    if request.clean_env:
        return dict(changes)
    if not changes:
        return None
    stored = queue.broker.fetch([parent])[0].environment
    return {**({} if stored is None else queue.broker.environ(stored)), **changes}


def _due_at(request: Request) -> float | None:
    if request.delay is None:
        return request.at
    if request.at is not None:
        raise UsageError("--delay and --at exclude each other")
    return time.time() + request.delay


def _limits(words: Sequence[str]) -> dict[str, int] | None:
    """Return the tokens that `NAME[:N]` words say."""
    limits: dict[str, int] = {}
    for word in words:
        name, count = quantities.parse_limit(word)
        limits[name] = limits.get(name, 0) + count
    return limits or None


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split the leading KEY=VALUE words from the command."""
    count = 0
    while count < len(words) and _SETTING.match(words[count]):
        count += 1
    return list(words[:count]), list(words[count:])


def _changes(request: Request, settings: Sequence[str]) -> dict[str, str]:
    changes = {}
    for setting in (*request.env, *settings):
        key, separator, value = setting.partition("=")
        if not separator or not key:
            raise UsageError(f"{setting!r} is not KEY=VALUE")
        changes[key] = value
    return changes


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


def _print_document(queue: Queue, batches: Iterable[list[int]]) -> None:
    """Print the tasks of all batches as one document, also where one that is refused ends it."""
    before = "["
    try:
        for batch in batches:
            _print(batch, before + _json(queue, batch))
            before = _BETWEEN
    except AqueError:
        if before == _BETWEEN:
            print("]")
        raise
    print("]" if before == _BETWEEN else "[]")


def _json(queue: Queue, ids: Sequence[int]) -> str:
    from aque.commands import rendering

    return _BETWEEN.join(map(rendering.to_json, queue.broker.fetch(ids)))


def _print(ids: Sequence[int], text: str) -> None:
    """Print what tells of tasks. Raises OSError that says they are stored, where it cannot."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        stored = f"task {ids[0]} is" if len(ids) == 1 else f"tasks {ids[0]} to {ids[-1]} are"
        reason = f"{stored} stored, but standard output takes no more: {error.strerror}"
        raise OSError(error.errno, reason) from None
