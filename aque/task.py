"""Own the records of a task: the Prototype that is submitted and the Task that is stored.

A task is one flat row, and `Task` has a field for each of its columns. Values that a program
gave (`func`, `args`, `kwargs`, `result`, `exception`, `extra`) stay the text the codec made of
them: each is decoded on its own, only where it is needed.

Runners under Python 3.9 import this module, hence no slots.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, NamedTuple, Union

from aque import states

DEFAULT_PRIORITY = 1000

#: What one edge of the graph asks of the dependency before the task may run.
AFTER = "after"  # it must succeed
AFTER_ANY = "after-any"  # it must end
CHILD = "child"  # it must end, and its failure becomes its parent's


@dataclass(frozen=True)
class Earlier:
    """A dependency on the prototype at `index` of the same submission."""

    index: int


Reference = Union[int, Earlier]


@dataclass(frozen=True)
class Requirements:
    """What decides whether and where a task may run; shared by all tasks with equal needs.

    `cpus` is a number of cpus, `memory` bytes; None means "any" for the rest. `worker` reserves
    the task for the worker of that id.
    """

    user: str
    group: str | None = None
    host: str | None = None
    platform: str | None = None
    cpus: float = 1.0
    memory: int = 0
    limits: str | None = None
    mounts: str | None = None
    worker: int | None = None


REQUIREMENT_KEYS = tuple(f.name for f in fields(Requirements))


def limits_text(limits: Mapping[str, int]) -> str | None:
    """Return the one text of the tokens a task takes, by the name of their limit."""
    return json.dumps(dict(sorted(limits.items())), separators=(",", ":")) if limits else None


@lru_cache(maxsize=1000)
def parse_limits(text: str | None) -> Mapping[str, int]:
    return {} if text is None else json.loads(text)


def group_limit(group: int) -> str:
    """Return the name of a group's own limit, which bounds how many of its children run."""
    return f"xargs-{group}"


@dataclass(frozen=True)
class Prototype:
    """A task as it is submitted. None means: as the parent has it, else the default.

    Values are encoded already. Instants are Unix seconds, durations seconds, sizes bytes.
    """

    pattern: str | None = None
    func: str | None = None
    args: str | None = None
    kwargs: str | None = None
    extra: str | None = None
    name: str | None = None
    status: str = states.PENDING
    priority: int | None = None
    duration: float = 0.0
    due_at: float | None = None
    parent: Reference | None = None
    after: tuple[Reference, ...] = ()
    after_any: tuple[Reference, ...] = ()
    requirements: Requirements | None = None
    #: Without requirements of its own, a child has its parent's with these fields changed.
    needs: Mapping[str, Any] | None = None
    cwd: str | None = None
    environ: Mapping[str, str] | None = None
    umask: int | None = None
    import_path: str | None = None
    interpreter: str | None = None
    stdin: str | None = None
    stdin_value: bytes | None = None
    stdout: str | None = None
    stderr: str | None = None
    timeout: float | None = None
    retries: int = 0
    retry_delay: float = 0.0
    keep_background: bool = False
    owner: int | None = None


_PROTOTYPE = {field.name: field.default for field in fields(Prototype)}


def prototype(**given: Any) -> Prototype:
    """Make a Prototype; five times faster than a frozen __init__ of 30 fields."""
    made: Prototype = object.__new__(Prototype)
    made.__dict__.update(_PROTOTYPE, **given)
    return made


@dataclass(frozen=True)
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
    group: str | None = None
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
KEYS = tuple(f.name for f in fields(Task))


def from_row(row: Sequence[Any]) -> Task:
    """Make a Task of a row whose columns are KEYS, in that order."""
    if bytes in map(type, row):  # a path or name that is not UTF-8
        row = [os.fsdecode(value) if type(value) is bytes else value for value in row]
    task: Task = object.__new__(Task)
    task.__dict__.update(zip(KEYS, row))  # ten times faster than a frozen __init__ of 60 fields
    return task


def alike(task: Task, **changes: Any) -> Task:
    """Return a task that differs in these keys alone, as fast as `from_row`."""
    changed: Task = object.__new__(Task)
    changed.__dict__.update(task.__dict__, **changes)
    return changed


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
    words = json.loads(task.args)
    return words if isinstance(words, list) and all(isinstance(w, str) for w in words) else None


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
    positional = json.loads(task.args) if task.args else []
    if isinstance(positional, dict):
        positional = positional.get("$tuple", [positional])
    named = json.loads(task.kwargs) if task.kwargs else {}
    return [json.dumps(value) for value in positional] + [
        f"{key}={json.dumps(value)}" for key, value in named.items()
    ]


@dataclass(frozen=True)
class End:
    """How one attempt of a running task ended.

    `status` is one of success, error, cancelled, or pending to requeue it; with `due_at` that is a
    retry of an attempt that failed, not before then, and without an `error` it gives back a task
    that never began. `started_at` is when it began, where the claim did not know. `user_time` and
    `system_time` are seconds of cpu, `max_rss` is bytes.
    """

    id: int
    attempt: int
    status: str
    ended_at: float
    due_at: float | None = None
    exit_status: int | None = None
    exit_signal: int | None = None
    result: str | None = None
    exception: str | None = None
    error: str | None = None
    user_time: float | None = None
    system_time: float | None = None
    max_rss: int | None = None
    started_at: float | None = None


class Begin(NamedTuple):
    """An attempt that its worker began before the queue heard of it: of a task reserved for it."""

    id: int
    attempt: int
    worker: int
    started_at: float


@dataclass(frozen=True)
class Start:
    """The process that an attempt runs in; `pid_started` tells it from a later one of that pid."""

    id: int
    attempt: int
    pid: int
    pid_started: int | None
    session: int | None


@dataclass(frozen=True)
class Chunk:
    """A piece of output. `data` None says that the stream goes on, from here, in a file."""

    task: int
    attempt: int
    stream: str
    offset: int
    at: float
    data: bytes | None
    number: int = 0


@dataclass(frozen=True)
class Progress:
    """How far an attempt says it is: `done` of `total`, and where."""

    id: int
    attempt: int
    done: float | None
    total: float | None
    message: str | None


@dataclass(frozen=True)
class Report:
    """What a worker has to tell the queue of its running tasks, in one transaction."""

    ends: Sequence[End] = ()
    starts: Sequence[Start] = ()
    output: Sequence[Chunk] = ()
    progress: Sequence[Progress] = ()
    begun: Sequence[Begin] = ()

    def __bool__(self) -> bool:
        return bool(self.begun or self.ends or self.starts or self.output or self.progress)


NOTHING = Report()


@dataclass(frozen=True)
class WorkerRecord:
    """A worker as the queue knows it. `token` names its liveness file and marks its jobs."""

    id: int
    token: str
    kind: str
    name: str
    host: str
    machine: str
    boot: str
    pid_namespace: str
    pid: int
    pid_started: int | None
    user: str
    cpus: float
    memory: int
    slots: int
    started_at: float
    ended_at: float | None = None
    heartbeat: int = 0
    #: All it is known by, its platform, and its user's groups; each in words.
    names: str = ""
    platform: str = ""
    groups: str = ""


def worker_keys() -> tuple[str, ...]:
    return tuple(f.name for f in fields(WorkerRecord))
