"""Own the future: a task by its id, anywhere, anytime; and waiting for several."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from aque import outcome, reading, states
from aque.task import Task

if TYPE_CHECKING:
    from aque.queue import Queue

T = TypeVar("T")


class Progress(NamedTuple):
    """How far a task is: `done` of `total`, and where it is, as the task itself has said."""

    done: float | None
    total: float | None
    message: str | None


class Future(Generic[T]):
    """A submitted task. Any process that can open its queue can make one from its id."""

    def __init__(self, queue: Queue, id: int) -> None:
        self.queue = queue
        self.id = id

    def __repr__(self) -> str:
        return f"<aque.Future of task {self.id}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Future):
            return NotImplemented
        return self.id == other.id and self.queue.broker is other.queue.broker

    def __hash__(self) -> int:
        return hash(self.id)

    def task(self) -> Task:
        """Return the task's record as it is now."""
        return self.queue.broker.fetch([self.id])[0]

    def done(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.task().is_complete

    def running(self) -> bool:
        return self.task().status == states.RUNNING

    def cancelled(self) -> bool:
        return self.task().status == states.CANCELLED

    def cancel(self) -> bool:
        """Cancel the task if it has not started; whether it is cancelled now.

        As in concurrent.futures a running task is left alone; `Queue.kill` ends that too.
        """
        return self.queue.cancel_waiting(self.id)

    def wait(self, timeout: float | None = None) -> Task:
        """Wait until it has ended. Raises TimeoutError when that takes more than `timeout` s."""
        from aque import waiting  # who only submits needs no ears

        statuses = waiting.wait_complete(self.queue.broker, [self.id], timeout)
        if statuses[self.id] not in states.COMPLETE_STATES:
            raise TimeoutError(f"task {self.id} is {statuses[self.id]} after {timeout} s")
        return self.task()

    def result(self, timeout: float | None = None) -> T:
        """Wait for the end and return the task's value.

        Raises what the task raised; TaskFailedError for a command that failed,
        DependencyFailedError where it never ran because of another, CancelledError, or
        TimeoutError. The result of a command is its exit status, 0, that of a group None.
        """
        task = self.wait(timeout)
        error = outcome.exception(task, self.queue.broker)
        if error is not None:
            raise error
        value: T = outcome.result(task)
        return value

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end and return what `result` would raise of the task; None on success.

        Raises CancelledError for a cancelled task, as concurrent.futures does, or TimeoutError.
        """
        task = self.wait(timeout)
        error = outcome.exception(task, self.queue.broker)
        if error is not None and task.status == states.CANCELLED:
            raise error
        return error

    def output(self, stream: str = reading.STDOUT) -> bytes:
        """Return what the latest attempt has written so far; `stream` may be stderr, or log."""
        task = self.task()
        pieces: list[bytes] = []
        reader = reading.Reader(self.queue.broker, task.id, task.attempt, [stream])
        reader.read(lambda _, data: pieces.append(data))
        return b"".join(pieces)

    def progress(self) -> Progress | None:
        """Return how far the task says it is; None where it has not said so."""
        task = self.task()
        if task.progress_done is None and task.progress_message is None:
            return None
        return Progress(task.progress_done, task.progress_total, task.progress_message)

    def retry(self, recursive: bool = False) -> None:
        """Have the ended task run again; with `recursive` also what failed of all it depends on.

        Raises StateError where it has not ended, or needs what has failed.
        """
        self.queue.retry([self.id], recursive)

    def signal(self, number: int) -> bool:
        """Signal the processes of the task; whether it runs."""
        return bool(self.queue.signal([self.id], number))

    def iter(self) -> Iterator[Future[Any]]:
        """Yield the futures of all it depends on, children too, and its own: dependencies first."""
        for id in self.queue.in_order([self.id]):
            yield self if id == self.id else Future(self.queue, id)


class OfTask(Protocol):
    """A future of either kind: it names its task."""

    @property
    def id(self) -> int: ...

    @property
    def queue(self) -> Queue: ...


F = TypeVar("F", bound=OfTask)


class Waited(NamedTuple, Generic[F]):
    """What `wait` returns, as in concurrent.futures."""

    done: set[F]
    not_done: set[F]


def wait(futures: Iterable[F], timeout: float | None = None, any_one: bool = False) -> Waited[F]:
    """Wait until all futures of one queue are done, or with `any_one` one, or for `timeout` s.

    Those of an Executor may be among them. Raises UsageError for those of several queues.
    """
    from aque import waiting

    wanted = dict.fromkeys(futures)
    if not wanted:
        return Waited(set(), set())
    queue = next(iter(wanted)).queue
    queue.refuse_others(wanted, "wait for each queue's apart")
    ids = list({future.id for future in wanted})
    statuses = waiting.wait_complete(queue.broker, ids, timeout, any_one)
    ended = {id for id, status in statuses.items() if status in states.COMPLETE_STATES}
    done = {future for future in wanted if future.id in ended}
    return Waited(done, wanted.keys() - done)


def as_completed(futures: Iterable[F], timeout: float | None = None) -> Iterator[F]:
    """Yield futures of one queue as they end. Raises TimeoutError after `timeout` seconds."""
    deadline = None if timeout is None else time.monotonic() + timeout
    left = set(futures)
    while left:
        remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
        done, left = wait(left, remaining, any_one=True)
        if not done:
            raise TimeoutError(f"{len(left)} tasks have not ended after {timeout} s")
        yield from sorted(done, key=lambda future: future.id)
