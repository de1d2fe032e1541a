"""Own the contract of a broker: what any store of tasks does for the layers above.

Each method is one transaction. Acts are guarded by the state they leave; losing a race is a
return value. The policy of what to run is handed in (`claim(choose)`), never known here. The
suite in tests/brokers runs against every broker.
"""

from __future__ import annotations

import weakref
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from aque.brokers.claims import Choose, Claim, Limit
from aque.brokers.hearing import Hearing
from aque.brokers.questions import Finding, Request
from aque.prototype import Prototype
from aque.report import NOTHING, End, Progress, Report, WorkerRecord
from aque.task import Task


class Wakeable(Protocol):
    """A worker of this process, told at once of new work."""

    def wake_for_work(self) -> None: ...


class Broker(Hearing):
    """A store of tasks. Threads may share one; a fork opens anew what it needs."""

    def __init__(self) -> None:
        super().__init__()
        self._workers: weakref.WeakValueDictionary[int, Wakeable] = weakref.WeakValueDictionary()

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
    def prioritize(self, ids: Sequence[int], priority: int) -> list[int]:
        """Give those of these that have not ended this priority; return their ids."""

    @abstractmethod
    def signal(self, ids: Sequence[int], signal: int) -> list[int]:
        """Ask the workers of these tasks to signal them; return the ids of those that run."""

    @abstractmethod
    def writes_elsewhere(self) -> int:
        """Return a number that changes when anybody but this thread has written to the queue."""

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
    def reopen(self, group: int, model: Prototype) -> None:
        """Put a group together again: it is creating, and its owner the worker of `model`.

        Its children that did not succeed are pending, and have the requirements, the timeout and
        the retries of `model`. Raises StateError where it is no group, is being put together, or
        has children that run.
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
    def append_log(self, id: int, attempt: int, line: bytes) -> None:
        """Add a line to the log of an attempt."""

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
        """Store a worker and return its id: that of the record, or a new one where that is 0.

        Raises TrustError where others could have this worker run what they like.
        """

    @abstractmethod
    def beat(self, worker: int | None) -> bool:
        """Count up a worker's heartbeat; False where it was taken for dead, which this undoes.

        Who is no worker only has something written, to see that it can be. Raises BrokerError for
        a worker that the queue has forgotten.
        """

    @abstractmethod
    def drain(self, worker: int) -> None:
        """Say that a worker starts nothing more, and ends once what it runs has."""

    @abstractmethod
    def change_slots(self, worker: int, slots: int) -> None:
        """Say that a worker runs at most so many tasks at a time from now on."""

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
