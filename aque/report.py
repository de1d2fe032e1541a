"""Own what workers tell a queue: who they are, and how the tasks they run fare.

Runners under Python 3.9 import this module, hence no slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from aque import states
from aque.record import keys, record


class End(NamedTuple):
    """How one attempt of a running task ended.

    `status` is one of success, error, cancelled, or pending where the task is to wait again:
    as a retry, given back, or requeued, which its `error` says why. `started_at` is when it began,
    where the claim did not know. `user_time` and `system_time` are seconds of cpu, `max_rss` is
    bytes.
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

    def retried(self, due_at: float) -> End:
        """Return it as that of an attempt that failed, after which another is made at `due_at`."""
        return self._replace(status=states.PENDING, due_at=due_at)

    @property
    def is_final(self) -> bool:
        """Whether the task has ended with it, and does not wait again."""
        return self.status != states.PENDING

    @property
    def is_retry(self) -> bool:
        """Whether the attempt failed, and the task waits for its next."""
        return not self.is_final and self.due_at is not None

    @property
    def is_given_back(self) -> bool:
        """Whether the attempt never began: it is as if the task had not been claimed."""
        return not self.is_final and self.due_at is None and self.error is None


class Begin(NamedTuple):
    """An attempt that its worker began before the queue heard of it: of a task reserved for it."""

    id: int
    attempt: int
    worker: int
    started_at: float


@record(frozen=True)
class Start:
    """The process that an attempt runs in; `pid_started` tells it from a later one of that pid."""

    id: int
    attempt: int
    pid: int
    pid_started: int | None
    session: int | None


@record(frozen=True)
class Chunk:
    """A piece of output. `data` None says that the stream goes on, from here, in a file."""

    task: int
    attempt: int
    stream: str
    offset: int
    at: float
    data: bytes | None
    number: int = 0


@record(frozen=True)
class Progress:
    """How far an attempt says it is: `done` of `total`, and where."""

    id: int
    attempt: int
    done: float | None
    total: float | None
    message: str | None


@record(frozen=True)
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


@record(frozen=True)
class WorkerRecord:
    """A worker as the queue knows it. `token` names its liveness file and marks its jobs."""

    id: int
    token: str
    kind: str
    name: str
    host: str
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
    #: All it is known by, in words.
    names: str = ""
    platform: str = ""
    #: Since when it starts nothing more, and ends once what it runs has.
    draining_at: float | None = None

    @property
    def takes_work(self) -> bool:
        """Whether it may start what anybody has submitted."""
        return self.kind == "worker" and self.draining_at is None


def worker_keys() -> tuple[str, ...]:
    return keys(WorkerRecord)
