"""Own the future of a call that an executor was given: a real one of concurrent.futures.

No thread of a fork resolves what it inherited. So there a future asks the queue instead, as one of
`aque.Queue` does, and takes no lock of the executor's: another thread may have held it at the fork.
"""

from __future__ import annotations

from concurrent import futures
from concurrent.futures import BrokenExecutor
from typing import TYPE_CHECKING, TypeVar

from aque import states
from aque.futures import Future

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
        if asked := self._in_fork():
            return asked.cancel()
        if not self.done():
            self._waiting.cancel([self])
        return self.cancelled()

    def running(self) -> bool:
        if asked := self._in_fork():
            return asked.running()
        return not self.done() and self._waiting.status(self._id) == states.RUNNING

    def done(self) -> bool:
        return asked.done() if (asked := self._in_fork()) else super().done()

    def cancelled(self) -> bool:
        return asked.cancelled() if (asked := self._in_fork()) else super().cancelled()

    def result(self, timeout: float | None = None) -> T:
        return asked.result(timeout) if (asked := self._in_fork()) else super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        asked = self._in_fork()
        return asked.exception(timeout) if asked else super().exception(timeout)

    def become_cancelled(self) -> None:
        super().cancel()
        self.set_running_or_notify_cancel()

    def _in_fork(self) -> Future[T] | None:
        """Return whom a fork asks of what had not ended yet; None in the process that made us."""
        if not self._waiting.is_inherited or super().done():
            return None
        return Future(self.queue, self.id)
