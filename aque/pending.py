"""Own the future of a call that an executor was given: a real one of concurrent.futures."""

from __future__ import annotations

from concurrent import futures
from concurrent.futures import BrokenExecutor
from typing import TYPE_CHECKING, TypeVar

from aque import states

if TYPE_CHECKING:
    from aque.awaited import Waiting
    from aque.queue import Queue

T = TypeVar("T")


class Pending(futures.Future[T]):
    """The future of a task, as concurrent.futures has them. `id` is the task's.

    `aque.Queue.future(id)` is that task's future too, in this process or in any other.
    """

    def __init__(self, waiting: Waiting) -> None:
        super().__init__()
        self._waiting = waiting
        self._id = 0
        self._refusal: BaseException | None = None

    @property
    def queue(self) -> Queue:
        return self._waiting.queue

    @property
    def id(self) -> int:
        """The id of the task, once that is stored. Raises why, where it could not be."""
        if not self._id:
            self._waiting.outbox.flush()
        if not self._id:
            raise self._refusal or BrokenExecutor("another process was to store this task")
        return self._id

    @property
    def is_stored(self) -> bool:
        return bool(self._id)

    def note_stored(self, id: int) -> None:
        self._id = id

    def note_refused(self, error: BaseException) -> None:
        self._refusal = error

    def cancel(self) -> bool:
        """Cancel the task if it has not started; whether it is cancelled now."""
        if not self.done():
            self._waiting.cancel([self])
        return self.cancelled()

    def running(self) -> bool:
        return not self.done() and self._waiting.status(self._id) == states.RUNNING

    def become_cancelled(self) -> None:
        super().cancel()
        self.set_running_or_notify_cancel()
