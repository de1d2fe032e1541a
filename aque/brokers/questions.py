"""Own what a broker may be asked, and in what words it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aque.record import record


@record(frozen=True)
class Condition:
    """One term of a search. `operator` is one of = != ~ (glob) < >."""

    key: str
    operator: str
    value: Any


@record(frozen=True)
class Selection:
    """The tasks that meet all that is said here; what is not said asks nothing.

    `statuses` are those wanted. With `ended_since`, Unix seconds, a task must not have ended, or
    have then or later. With `ids` it must be one of these. Each of the `words` must stand in its
    name, its function or its arguments, in whatever case.
    """

    conditions: Sequence[Condition] = ()
    statuses: Sequence[str] = ()
    ended_since: float | None = None
    ids: Sequence[int] | None = None
    words: Sequence[str] = ()


#: In what order `Broker.ranked` returns tasks: what runs, waits, has ended; or by one of these.
ORDERS = ("state", "id", "time", "cpu", "memory", "priority", "name")


class Entry(NamedTuple):
    """A task as `Broker.outline` has it.

    `rank` is 2 for what runs (a group until it has ended), 1 for what waits, 0 for what has ended.
    With `is_top` nothing that is shown stands above it: no parent, no dependent.
    """

    id: int
    status: str
    parent: int | None
    rank: int
    is_top: bool


class Outline(NamedTuple):
    """What a queue holds, or how that changed: up to which event, and which ids are gone.

    `beneath` are the ids that something which changed depends on.
    """

    number: int
    entries: Sequence[Entry]
    removed: Sequence[int] = ()
    beneath: Sequence[int] = ()


@record(frozen=True)
class Edge:
    """`task` waits for `dependency`, in the way of `kind`."""

    task: int
    dependency: int
    kind: str


#: The status of an attempt that did not come to its end, for no fault of its own.
REQUEUED = "requeued"


class Attempt(NamedTuple):
    """How an attempt before the present one ended: its `status` is that of an end, or REQUEUED.

    `error` says why, in words. `host` is None where the worker is forgotten.
    """

    attempt: int
    status: str
    started_at: float
    ended_at: float
    exit_status: int | None
    exit_signal: int | None
    error: str | None
    host: str | None


@record(frozen=True)
class Changes:
    """What changed since an event: the number of the latest, statuses by id, ids removed."""

    number: int
    statuses: Mapping[int, str]
    removed: Sequence[int]


@record(frozen=True)
class Request:
    """What somebody wants of a running task: a signal, or with `grace` its end.

    With `grace`, seconds, the task is cancelled: it gets the signal, and KILL when they are over.
    """

    id: int
    attempt: int
    signal: int
    grace: float | None = None


class Finding(NamedTuple):
    """What was found when a queue was examined. `remedy` says what to do where it is wrong."""

    subject: str
    text: str
    remedy: str = ""
