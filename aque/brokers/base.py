"""Own the contract of a broker: what any store of tasks does for the layers above.

Each method is one transaction. Acts are guarded by the state they leave; losing a race is a
return value. The policy of what to run is handed in (`claim(choose)`), never known here. The
suite in tests/brokers runs against every broker.
"""

from __future__ import annotations

import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from aque.bell import Listener, ring
from aque.brokers.events import Callback, Waiter
from aque.task import (
    NOTHING,
    Chunk,
    End,
    Progress,
    Prototype,
    Report,
    Requirements,
    Task,
    WorkerRecord,
)

if TYPE_CHECKING:
    from logging import Logger


class Candidate(NamedTuple):
    """A task that could be claimed, as far as its place in the order needs it."""

    id: int
    priority: int
    duration: float


class Ahead(NamedTuple):
    """The number of ready tasks before one in the line, and their expected cpu seconds.

    `work` is None where the duration of one of them is not known.
    """

    number: int
    work: float | None


class Limit(NamedTuple):
    """A named limit: the tokens there are, and those that running tasks of all hosts hold."""

    capacity: int
    used: int


class Offer(Protocol):
    """What a claim may choose from, read inside its transaction.

    `kinds` are the requirements that ready tasks have, by their ids; `now` is seconds of a clock
    that is never set back.
    """

    now: float
    kinds: Mapping[int, Requirements]

    def heads(self, kind: int, count: int) -> Sequence[Candidate]:
        """Return the best `count` tasks of a kind, best first."""

    def used(self) -> tuple[float, int]:
        """Return the cpus and bytes of memory that all running tasks of this host hold."""

    def limits(self) -> Mapping[str, Limit]:
        """Return the named limits."""

    def leave_behind(self, id: int) -> None:
        """Say that a chosen task is to wait behind a running one of its kind, not to begin now.

        Until it does it holds nothing, and has no `started_at`.
        """

    def running_mounts(self) -> Sequence[tuple[str, int]]:
        """Return the texts of the mounts of this host's running tasks, and how many have each."""


#: Chooses the ids to claim, best first.
Choose = Callable[[Offer], Sequence[int]]


@dataclass(frozen=True)
class Claim:
    """What a claim brought: tasks that are now running, and when the next one falls due.

    `number` is that of the latest event the claim knew of: until there is another, and nothing
    falls due, a claim would bring nothing more. `rings` are the bells for `Broker.ring`, once the
    tasks have been started, which matters more than that others hear of it. With `is_dismissed` it
    brought nothing since the worker was taken for dead; a beat makes it one again.
    """

    tasks: Sequence[Task]
    next_due_at: float | None
    number: int
    rings: frozenset[str] = frozenset()
    is_dismissed: bool = False


@dataclass(frozen=True)
class Condition:
    """One term of a search. `operator` is one of = != ~ (glob) < >."""

    key: str
    operator: str
    value: Any


@dataclass(frozen=True)
class Selection:
    """The tasks that meet all that is said here; what is not said asks nothing.

    `statuses` are those wanted. With `ended_since`, Unix seconds, a task must not have ended, or
    have then or later. With `ids` it must be one of these.
    """

    conditions: Sequence[Condition] = ()
    statuses: Sequence[str] = ()
    ended_since: float | None = None
    ids: Sequence[int] | None = None


@dataclass(frozen=True)
class Edge:
    """`task` waits for `dependency`, in the way of `kind`."""

    task: int
    dependency: int
    kind: str


@dataclass(frozen=True)
class Changes:
    """What changed since an event: the number of the latest, statuses by id, ids removed."""

    number: int
    statuses: Mapping[int, str]
    removed: Sequence[int]


@dataclass(frozen=True)
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


class Wakeable(Protocol):
    """A worker of this process, told at once of new work."""

    def wake_for_work(self) -> None: ...


class _Heard(threading.local):
    """The listeners that a thread keeps."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.listeners: dict[tuple[str, ...], Listener] = {}


class Broker(ABC):
    """A store of tasks. Threads may share one; a fork opens anew what it needs."""

    def __init__(self) -> None:
        self._workers: weakref.WeakValueDictionary[int, Wakeable] = weakref.WeakValueDictionary()
        self._waiter: Waiter | None = None
        self._heard = _Heard()

    @property
    def log(self) -> Logger:
        """The logger `aque.broker`."""
        import logging  # slow, and most programs never ask

        return logging.getLogger("aque.broker")

    # Where it is

    @abstractmethod
    def to_url(self) -> str:
        """Return the URL from which `brokers.from_url` opens the same queue."""

    @property
    @abstractmethod
    def directory(self) -> str:
        """Where what lives beside the queue is kept while processes run."""

    @property
    @abstractmethod
    def is_shared(self) -> bool:
        """Whether hosts of several machines may use it: bells are polled, and workers beat."""

    @abstractmethod
    def listen(self, *names: str) -> Listener:
        """Begin to hear the bells of these names."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what this thread has open."""

    @abstractmethod
    def is_outdated(self) -> bool:
        """Whether a newer aque has upgraded the queue since this process opened it."""

    # Events

    def ring(self, names: Iterable[str]) -> None:
        """Ring bells."""
        for name in names:
            ring(self.directory, name)

    def listen_again(self, *names: str) -> Listener:
        """Return this thread's own listener for these bells, which is kept: do not close it.

        To close one takes the kernel 5 ms and more, much longer than most have to wait.
        """
        heard = self._heard
        if heard.pid != os.getpid():  # a fork's: the parent hears by them
            heard.listeners, heard.pid = {}, os.getpid()
        if names not in heard.listeners:
            heard.listeners[names] = self.listen(*names)
        listener = heard.listeners[names]
        listener.drain()
        listener.heard_something()  # where bells are polled: at the pace of a new one
        return listener

    @property
    def waiter(self) -> Waiter:
        """The thread of this process that hears this queue's bells; it runs while it has to."""
        if self._waiter is None or self._waiter.pid != os.getpid():
            self._waiter = Waiter(self)
        return self._waiter

    def bind(self, name: str, callback: Callback) -> None:
        """Have `callback(event)` called, in a thread, whenever this becomes so from now on.

        `name` is one of `task_status`, `task_status.<status>`, `task_status.<id>`, `output.<id>`
        and `signal.<id>`. Two changes between two looks are one event.
        """
        self.waiter.bind(name, callback)

    def unbind(self, name: str, callback: Callback) -> None:
        """Undo `bind`."""
        self.waiter.unbind(name, callback)

    # Settings

    @abstractmethod
    def settings(self) -> dict[str, float]:
        """Return the queue's settings, with the defaults of those never set."""

    @abstractmethod
    def set_settings(self, values: Mapping[str, float]) -> None:
        """Change settings. Raises UsageError for a key that does not exist."""

    @abstractmethod
    def backup(self, path: str) -> None:
        """Copy the queue into a new file, as it is at one moment, while it is in use.

        Raises UsageError where that file is there already, or cannot be made.
        """

    @abstractmethod
    def examine(self) -> list[Finding]:
        """Look through the whole queue for what does not agree with itself."""

    @abstractmethod
    def repair(self) -> None:
        """Put right what `examine` finds, as far as it can be."""

    @abstractmethod
    def reset(self) -> None:
        """Forget all tasks and workers; the settings stay, and no id is used again."""

    @abstractmethod
    def limits(self) -> dict[str, Limit]:
        """Return the named limits."""

    @abstractmethod
    def set_limits(self, capacities: Mapping[str, int], task: int | None = None) -> None:
        """Set the tokens of limits, making those that are new; with `task` they go when it goes."""

    # Putting in

    @abstractmethod
    def create(self, prototypes: Sequence[Prototype]) -> list[int]:
        """Store all of them or none, and return their ids, in order, each greater than any before.

        A dependency or parent may be an id or an Earlier of the same call. Raises
        DependencyResolutionError for one that does not exist, StateError for a parent that
        waits no longer.
        """

    @abstractmethod
    def create_like(self, prototype: Prototype, arguments: Sequence[str]) -> list[int]:
        """Store as many tasks as there are `arguments`, alike but for these; return their ids."""

    @abstractmethod
    def commit(self, ids: Sequence[int]) -> None:
        """Say that these creating tasks are complete: from now on they may run or end."""

    # Looking

    @abstractmethod
    def fetch(self, ids: Sequence[int]) -> list[Task]:
        """Return these tasks, in this order. Raises TaskNotFoundError for the first missing."""

    @abstractmethod
    def search(
        self,
        conditions: Sequence[Condition] = (),
        *,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> list[Task]:
        """Return the tasks that meet all conditions, by id."""

    @abstractmethod
    def select(self, selection: Selection, limit: int | None = None) -> list[Task]:
        """Return the selected tasks by id; with `limit` as many, what runs and the newest first."""

    @abstractmethod
    def count(self, selection: Selection) -> int:
        """Return how many tasks are selected."""

    @abstractmethod
    def existing(self, first: int, last: int) -> list[int]:
        """Return the ids in use from `first` to `last`."""

    @abstractmethod
    def last_id(self) -> int | None:
        """Return the greatest id of a task that is nobody's child."""

    @abstractmethod
    def statuses(self, ids: Sequence[int]) -> dict[int, str]:
        """Return the status of each of these ids that exists."""

    @abstractmethod
    def results(self, ids: Sequence[int]) -> dict[int, str | None]:
        """Return the text of the result of each of these that is a success."""

    @abstractmethod
    def signals(self, ids: Sequence[int]) -> dict[int, int]:
        """Return the signal that is wanted of each of these that runs, a cancel's included."""

    @abstractmethod
    def changes(self, since: int | None = None) -> Changes:
        """Return what changed after event `since`; without it, only the number of the latest."""

    @abstractmethod
    def edges(self, ids: Sequence[int]) -> list[Edge]:
        """Return what these tasks wait for or waited for."""

    @abstractmethod
    def dependents(self, ids: Sequence[int]) -> list[Edge]:
        """Return what waits for or waited for these tasks."""

    @abstractmethod
    def count_children(self, ids: Sequence[int]) -> dict[int, dict[str, int]]:
        """Return for each of these parents its children's number by status."""

    @abstractmethod
    def children(self, parent: int, limit: int, statuses: Sequence[str] = ()) -> list[Task]:
        """Return the first `limit` children of a task, only those of these statuses if given."""

    @abstractmethod
    def count_dependencies(self, ids: Sequence[int]) -> dict[int, dict[str, int]]:
        """Return for each of these tasks the number by status of what it waits for.

        Children are not counted here.
        """

    @abstractmethod
    def dependencies(self, id: int, limit: int, statuses: Sequence[str] = ()) -> list[Task]:
        """Return the first `limit` tasks that a task waits for, only of these statuses if given.

        Children are left out here.
        """

    @abstractmethod
    def roots(
        self, ended_since: float, limit: int | None, user: str | None
    ) -> tuple[list[Task], int]:
        """Return the tasks that none of them stands above, and how many there are in all.

        Above a task are its parent and its dependents. Looked at are those that have not ended, or
        have at `ended_since` or later; with `user` only that user's. First comes what runs (groups
        run while they wait), then what waits, then what has ended, each the newest first.
        """

    @abstractmethod
    def ahead(self, task: Task) -> Ahead:
        """Return how much goes before this ready task."""

    @abstractmethod
    def heads(self) -> list[tuple[Candidate, Requirements]]:
        """Return the best ready task of each kind, and what those of the kind need."""

    @abstractmethod
    def environ(self, environment: int) -> dict[str, str]:
        """Return the environment of this id."""

    @abstractmethod
    def stdin_value(self, id: int) -> bytes | None:
        """Return the standard input that was stored with a task."""

    # Running

    @abstractmethod
    def claim(self, worker: int, choose: Choose, report: Report = NOTHING) -> Claim:
        """Record the report, let `choose` choose, and mark what it chose as running.

        Every task is given to one worker only, and only while it is pending and waits for
        nothing; each claim is the task's next attempt.
        """

    @abstractmethod
    def finish(self, ends: Sequence[End]) -> list[bool]:
        """Record ends. False where the attempt is not the running one: it changed nothing."""

    @abstractmethod
    def record(self, report: Report) -> list[bool]:
        """Record the report of a worker; the answers are for each begun, then for each end.

        False for one begun says that it was cancelled before: its process is to be ended. One that
        was paused is stopped.
        """

    @abstractmethod
    def report_progress(self, progress: Progress) -> None:
        """Note how far a running attempt says it is."""

    @abstractmethod
    def requeue(
        self, attempts: Sequence[tuple[int, int]], reason: str, is_crash: bool = False
    ) -> list[bool]:
        """Make these running (id, attempt) pending again; False where that is not running.

        With `is_crash` each took its worker down: one that has done so as often as the setting
        `crashes` says ends as an error.
        """

    @abstractmethod
    def running(self, worker: int) -> list[Task]:
        """Return what this worker runs."""

    # Steering

    @abstractmethod
    def cancel(self, ids: Sequence[int], signal: int, grace: float) -> None:
        """Cancel these and their children: at once what waits, by its worker what runs.

        A running task stays running until its worker has seen it end.
        """

    @abstractmethod
    def cancel_waiting(self, ids: Sequence[int]) -> None:
        """Cancel those of these that have not started, nor have children that have not ended."""

    @abstractmethod
    def pause(self, ids: Sequence[int]) -> list[int]:
        """Hold what is pending and stop what is running; return the ids this changed.

        A stopped task stays running and keeps what it holds; `stopped_at` says since when.
        """

    @abstractmethod
    def resume(self, ids: Sequence[int]) -> list[int]:
        """Undo `pause`; return the ids this changed."""

    @abstractmethod
    def signal(self, ids: Sequence[int], signal: int) -> list[int]:
        """Ask the workers of these tasks to signal them; return the ids of those that run."""

    @abstractmethod
    def requests(self, worker: int) -> list[Request]:
        """Take what is wanted of this worker's running tasks; a cancel comes again each time."""

    @abstractmethod
    def retry(self, ids: Sequence[int]) -> None:
        """Make ended tasks and their failed children pending again.

        What failed only because of them waits again with them. Raises StateError for one that has
        not ended, or whose dependencies have failed.
        """

    @abstractmethod
    def reopen(self, group: int, worker: int) -> None:
        """Put a group together again: it is creating, and `worker` its owner.

        Its children that did not succeed are pending, and reserved for `worker`. Raises StateError
        where it is no group, is being put together, or has children that run.
        """

    @abstractmethod
    def remove(self, ids: Sequence[int]) -> None:
        """Forget these tasks and their children.

        Raises StateError for one that is running, or that an unfinished task waits for.
        """

    @abstractmethod
    def expire(self) -> bool:
        """Forget a chunk of what ended longer ago than the settings keep it; whether there was any.

        Families go as a whole, by their topmost task, and never one that is needed still.
        """

    @abstractmethod
    def shrink(self) -> bool:
        """Give some of the room that removed tasks took back; whether there is more."""

    # Output

    @abstractmethod
    def output(self, id: int, attempt: int, after: int = 0) -> list[Chunk]:
        """Return the chunks of an attempt's output that follow chunk number `after`."""

    @abstractmethod
    def append_log(self, id: int, attempt: int, line: bytes) -> None:
        """Add a line to the log of an attempt."""

    @abstractmethod
    def last_output(self, ids: Sequence[int]) -> dict[int, int]:
        """Return the number of the latest chunk of each of these tasks that has written."""

    @abstractmethod
    def open_output(self, id: int, attempt: int, stream: str) -> int:
        """Open the file of a stream that is too large for the queue, for appending."""

    @abstractmethod
    def output_path(self, id: int, attempt: int, stream: str) -> str:
        """Return the file in which a stream goes on that is too large for the queue."""

    # Workers

    @abstractmethod
    def make_life(self, token: str) -> int:
        """Make the file that a worker locks for as long as it lives; return its descriptor.

        Raises BrokerError where it cannot be made.
        """

    @abstractmethod
    def life_path(self, token: str) -> str:
        """Return the file that the worker of this token locks."""

    @abstractmethod
    def enlist(self, record: WorkerRecord) -> int:
        """Store a worker and return its id, which replaces that of the record.

        Raises TrustError where others could have this worker run what they like.
        """

    @abstractmethod
    def beat(self, worker: int) -> bool:
        """Count up a worker's heartbeat; False where it was taken for dead, which this undoes.

        Raises BrokerError for one that the queue has forgotten.
        """

    @abstractmethod
    def dismiss(self, worker: int) -> bool:
        """Say that a worker has ended; False, and nothing is changed, while a task runs by it."""

    @abstractmethod
    def workers(self, ids: Iterable[int] | None = None) -> list[WorkerRecord]:
        """Return these workers; without ids those not known to have ended."""

    @abstractmethod
    def owned(self, worker: int) -> list[int]:
        """Return the groups that this worker was still putting together."""

    def register_worker(self, worker: Wakeable) -> None:
        """Have `worker.wake_for_work()` called on new work of this process; held weakly."""
        self._workers[id(worker)] = worker

    def wake_workers(self) -> None:
        for worker in list(self._workers.values()):
            worker.wake_for_work()
