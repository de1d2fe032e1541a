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
    have then or later. With `ids` it must be one of these.
    """

    conditions: Sequence[Condition] = ()
    statuses: Sequence[str] = ()
    ended_since: float | None = None
    ids: Sequence[int] | None = None


@record(frozen=True)
class Edge:
    """`task` waits for `dependency`, in the way of `kind`."""

    task: int
    dependency: int
    kind: str


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
