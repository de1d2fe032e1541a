"""Own the Executor: concurrent.futures over a queue, whose tasks outlive the program.

A call that was submitted is in the queue within milliseconds (outbox.py), and surely when its id is
known, so a kill -9 of the program loses no task; other workers, or tomorrow's, run it, and
`Queue.future` finds it by its id. Against a ProcessPoolExecutor that changes three things on
purpose. What cannot be encoded is refused by `submit` itself, which
names the value's place, rather than by the future. A worker process that dies takes nothing along:
its tasks are requeued, and it is started again; only when that keeps failing is the executor
broken. And without workers of its own an executor does not wait when the program ends.

Tasks take over directory, environment and umask as they were when the executor was made, as the
processes of a pool would.
"""

from __future__ import annotations

import atexit
import itertools
import os
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from concurrent.futures import BrokenExecutor
from typing import Any, TypeVar

from aque import brokers, prototypes, scripts, surroundings
from aque.attendant import Attendant
from aque.awaited import Waiting
from aque.brokers.base import Broker
from aque.errors import UsageError
from aque.garbage import Uncollected
from aque.pending import Pending
from aque.prototype import Prototype
from aque.queue import Queue
from aque.unattended import Unattended

T = TypeVar("T")


class Executor(futures.Executor):
    """Runs calls as tasks of a queue: of a broker, or of the URL or path of one.

    With `workers`, that many at a time are run by a worker of the executor's own, a process that
    ends with it; with 0 the work is left to workers that run anyway. `defaults` are fields of every
    task, as `Queue.submit_ex` has them.

    A stored task survives a crash of any process. One that is submitted alone is stored when
    `submit` returns, one of a flood some milliseconds later, or when its `id` is asked for. With
    `durable` each is stored, and survives a power cut too, when `submit` returns.
    """

    def __init__(
        self,
        broker: Broker | str | None = None,
        workers: int = 0,
        *,
        durable: bool = False,
        **defaults: Any,
    ) -> None:
        if not _is_count(workers, 0):
            raise UsageError(f"workers must be 0 or more, not {workers!r}")
        self._has_opened = not isinstance(broker, Broker)
        if not isinstance(broker, Broker):
            broker = brokers.from_url(broker, durable=durable)
        self.queue = Queue(broker)
        around = {**surroundings.take(), "import_path": surroundings.import_path()}
        self._defaults = {**around, **_share(workers), **defaults}
        self._form = prototypes.Form(self._defaults)
        self._core = _Core(self.queue, workers, durable)
        weakref.finalize(self, self._core.drop).atexit = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Pending[T]:
        """Submit a call. Raises CodecError for what has no text form, RuntimeError after shutdown.

        Futures among the arguments, which types cannot tell from their results, are waited for.

        BrokenExecutor is raised when the executor's own worker cannot be kept running. What keeps
        the queue from storing the call (BrokerError, DependencyResolutionError) is its future's.
        """
        made = self._form.call(fn, args, kwargs)
        future: Pending[T] = self._core.submit(made.prototype, made.futures)
        return future

    def map(
        self,
        fn: Callable[..., T],
        /,
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
    ) -> Iterator[T]:
        """Call `fn` with each set of arguments; yield the results in order.

        All is submitted at once, in one transaction, `chunksize` calls to a task. Iterating raises
        what a call raised, or TimeoutError `timeout` seconds after the call of map.
        """
        if not _is_count(chunksize, 1):
            raise ValueError(f"chunksize must be 1 or more, not {chunksize!r}")
        deadline = None if timeout is None else time.monotonic() + timeout
        calls = list(_chunks(zip(*iterables), chunksize))
        with Uncollected():
            made = [self._form.chunk(fn, chunk) for chunk in calls]
            found = [future for each in made for future in each.futures]
            pending = self._core.submit_many([each.prototype for each in made], found)
        return _results(pending, deadline)

    def submit_many(self, submitted: Iterable[Mapping[str, Any]]) -> list[Pending[Any]]:
        """Submit all prototypes or none, in one transaction, as `Queue.submit_many` does."""
        prepared = list(submitted)
        with Uncollected():
            flat = prototypes.flatten(prepared, self._defaults)
            made = self._core.submit_many(flat.prototypes, flat.futures)
        return [made[index] for index in flat.indices]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; with `wait` return when all have ended, and the own worker too.

        With `cancel_futures` those that have not started are cancelled. In a fork of the process
        that made the executor this does nothing: calls and worker are that one's.
        """
        if self._core.is_inherited:
            return
        self._core.shut()
        if cancel_futures:
            self._core.waiting.cancel(self._core.waiting.all())
        if wait:
            self._core.finish()
            if self._has_opened:
                self.queue.broker.close()  # who needs it yet opens it again, by using it


class _Core:
    """What an executor shares with the waiter, and what outlives it until the last end."""

    def __init__(self, queue: Queue, workers: int, is_durable: bool) -> None:
        self.waiting = Waiting(queue)
        self._queue = queue
        self._is_shut = False
        self._is_dropped = False
        self._is_durable = is_durable
        self._broken: BrokenExecutor | None = None
        self._attendant = Attendant(queue.broker, workers) if workers else None
        self._unattended = Unattended(queue.broker, self.waiting.oldest, bool(workers))
        self.waiting.on_look = self._look
        self.waiting.waiter.hear(self.waiting)
        if workers:
            atexit.register(self.finish)

    @property
    def is_inherited(self) -> bool:
        """Whether this is a fork's copy, of whose futures and worker no thread here hears."""
        return self.waiting.is_inherited

    def submit(self, ready: Prototype, found: Sequence[Any]) -> Pending[Any]:
        if self._is_durable:
            return self.submit_many([ready], found)[0]
        self._refuse(found)
        return self.waiting.submit(ready)

    def submit_many(self, ready: Sequence[Prototype], found: Sequence[Any]) -> list[Pending[Any]]:
        self._refuse(found)
        return self.waiting.submit_many(ready)

    def _refuse(self, found: Sequence[Any]) -> None:
        """Raise what keeps us from taking calls, among whose arguments these futures are."""
        if self.is_inherited:
            raise UsageError(
                "this executor is of the process that this one is a fork of; make another here"
            )
        if self._broken is not None:
            raise BrokenExecutor(str(self._broken))
        if self._is_shut:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if scripts.is_loading_script():
            raise UsageError(
                "a script that is loaded for its functions must not submit: "
                'put what it does under if __name__ == "__main__":'
            )
        self._queue.refuse_others(found)

    def drop(self) -> None:
        """Have this shut down soon: its executor was collected, maybe in a transaction."""
        self._is_dropped = True

    def shut(self) -> None:
        """Take no more; end when nothing is left to wait for."""
        if self.is_inherited:
            return
        self._is_shut = True
        self.waiting.outbox.close()
        self.waiting.on_empty = self._release
        self.waiting.end_if_empty()

    def finish(self) -> None:
        """Wait for all that was submitted, then for the own worker's end."""
        if self.is_inherited:
            return
        self.shut()
        futures.wait(self.waiting.all())
        self.waiting.over.wait()
        if self._attendant is not None:
            self._attendant.wait()

    def _release(self) -> None:
        self.waiting.waiter.leave(self.waiting)
        if self._attendant is not None:
            self._attendant.end()
            atexit.unregister(self.finish)

    def _look(self) -> None:
        if self._is_dropped and not self._is_shut:
            self.shut()
        if self._attendant is not None and self._broken is None:
            self._attend(self._attendant)
        self._unattended.look()

    def _attend(self, attendant: Attendant) -> None:
        try:
            reason = attendant.look()
        except (
            OSError
        ):  # no process to be had, say: it is tried again, and counts as one more death
            return
        if reason is not None:
            self._broken = BrokenExecutor(f"{reason}; its tasks stay in the queue")
            attendant.end()
            self.waiting.fail(self._broken)


def _is_count(number: object, least: int) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= least


def _share(workers: int) -> dict[str, float]:
    """Return what of a cpu a task takes, so that as many as wanted fit on this machine."""
    cpus = surroundings.count_cpus()
    return {"cpus": cpus / workers} if workers > cpus else {}


def _chunks(items: Iterator[Any], size: int) -> Iterator[tuple[Any, ...]]:
    while chunk := tuple(itertools.islice(items, size)):
        yield chunk


def _results(pending: list[Pending[Any]], deadline: float | None) -> Iterator[Any]:
    pending.reverse()
    maker = os.getpid()

    def results() -> Iterator[Any]:
        try:
            while pending:  # given up before it is yielded, so that no result is kept for long
                left = None if deadline is None else deadline - time.monotonic()
                yield from pending.pop().result(left)
        finally:
            for future in pending if os.getpid() == maker else ():
                future.cancel()

    return results()
