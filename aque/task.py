"""Own the Task: the record of a task that is stored, and how to say in one line what it is.

A task is one flat row, and `Task` has a field for each of its columns. Values that a program
gave (`func`, `args`, `kwargs`, `result`, `exception`, `extra`) stay the text the codec made of
them: each is decoded on its own, only where it is needed.

Runners under Python 3.9 import this module, hence no slots.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from aque import states
from aque.record import keys, make, record

DEFAULT_PRIORITY = 1000

#: A third of the time of `json.loads`, which looks for blanks around the text first.
_decode = json.JSONDecoder().raw_decode


@record(frozen=True)
class Task:
    """A stored task, as it was when it was fetched."""

    id: int
    status: str
    name: str | None = None
    pattern: str | None = None
    func: str | None = None
    args: str | None = None
    kwargs: str | None = None
    extra: str | None = None
    parent: int | None = None
    waiting: int = 0
    priority: int = DEFAULT_PRIORITY
    duration: float = 0.0
    due_at: float | None = None
    user: str = ""
    host: str | None = None
    platform: str | None = None
    cpus: float = 1.0
    memory: int = 0
    limits: str | None = None
    mounts: str | None = None
    reserved: int | None = None
    cwd: str | None = None
    environment: int | None = None
    umask: int | None = None
    import_path: str | None = None
    interpreter: str | None = None
    stdin: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    timeout: float | None = None
    retries: int = 0
    retry_delay: float = 0.0
    keep_background: int = 0
    retried: int = 0
    created_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    stopped_at: float | None = None
    cancel_at: float | None = None
    cancel_signal: int | None = None
    cancel_grace: float | None = None
    attempt: int = 0
    crashes: int = 0
    owner: int | None = None
    worker: int | None = None
    pid: int | None = None
    pid_started: int | None = None
    session: int | None = None
    exit_status: int | None = None
    exit_signal: int | None = None
    result: str | None = None
    exception: str | None = None
    error: str | None = None
    cause: int | None = None
    user_time: float | None = None
    system_time: float | None = None
    max_rss: int | None = None
    progress_done: float | None = None
    progress_total: float | None = None
    progress_message: str | None = None
    changed: int = 0

    @property
    def is_complete(self) -> bool:
        return self.status in states.COMPLETE_STATES

    @property
    def is_group(self) -> bool:
        """Whether it runs nothing itself and only stands for what it waits for."""
        return self.pattern is None


#: The keys of a task, in the order in which they are shown.
KEYS = keys(Task)


def from_row(
    row: Sequence[Any],
    columns: Sequence[str] = KEYS,
    known: Mapping[str, Any] = MappingProxyType({}),
) -> Task:
    """Make a Task of a row; what its columns leave out is `known`, which has the keys in order."""
    if bytes in map(type, row):  # a path or name that is not UTF-8
        row = [os.fsdecode(value) if type(value) is bytes else value for value in row]
    return make(Task, known, zip(columns, row))


def alike(task: Task, **changes: Any) -> Task:
    """Return a task that differs in these keys alone, as fast as `from_row`."""
    return make(Task, task.__dict__, changes)


def as_dict(task: Task) -> dict[str, Any]:
    return dict(task.__dict__)


def label(task: Task) -> str:
    """Say in one line what a task is: its name, else its command or its call, never decoded."""
    if task.name is not None:
        return task.name
    if task.pattern is None:
        return "group"
    words = shell_words(task)
    if words is not None:
        return quote(words)
    return f"{func_name(task)}({', '.join(_arguments(task))})"


def shell_words(task: Task) -> list[str] | None:
    """Return the argument list of a shell task; None for any other."""
    if task.pattern != "shell" or task.args is None:
        return None
    words, end = _decode(task.args)
    if end < len(task.args) or not isinstance(words, list):
        return None
    return words if {str}.issuperset(map(type, words)) else None


def func_name(task: Task) -> str:
    """Return the function's name as the text has it, without its module."""
    text = task.func or task.pattern or "?"
    return text.rstrip('"}]').rpartition('"')[2].rpartition(":")[2] or text


def quote(words: Sequence[str]) -> str:
    """Join words as a shell would read them, with anything a terminal would act on escaped."""
    return " ".join(_quote_word(word) for word in words)


_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_")


def _quote_word(word: str) -> str:
    if word and _PLAIN.issuperset(word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


def _arguments(task: Task) -> list[str]:
    from aque import shown  # few look, and each runner loads this module

    positional = json.loads(task.args) if task.args else []
    if isinstance(positional, dict):
        positional = positional.get("$tuple", [positional])
    named = json.loads(task.kwargs) if task.kwargs else {}
    return [shown.text(value) for value in positional] + [
        f"{key}={shown.text(value)}" for key, value in named.items()
    ]
