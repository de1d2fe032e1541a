"""Own the futures of this process that wait for their tasks: real ones of concurrent.futures.

A task may end before its submitter has learnt its id, since the id comes with the commit. So while
anybody submits, ends of ids that nobody knows yet are kept, and asked for when the id is there.
A future stays pending inside, as concurrent.futures sees it, until its task has ended: a running
task may wait again (its worker was stopped), which that state machine does not know.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent import futures
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from aque import codec, outcome, states
from aque.brokers.base import Broker
from aque.brokers.questions import Changes
from aque.errors import AqueError, BrokerError, ReplacedError, TaskNotFoundError
from aque.outbox import Outbox
from aque.prototype import Prototype
from aque.queue import Queue

T = TypeVar("T")
#: Ids that stand for all that wait.
_OLDEST = 100
#: A submitted call: its future, and what is to be stored.
Given = tuple["Pending[Any]", Prototype]


class Pending(futures.Future[T]):
    """The future of a task, as concurrent.futures has them. `id` is the task's.

    `aque.Queue.future(id)` is that task's future too, in this process or in any other.
    """

    def __init__(self, waiting: Waiting) -> None:
        super().__init__()
        self._waiting = waiting
        self._id = 0

    @property
    def queue(self) -> Queue:
        return self._waiting.queue

    @property
    def id(self) -> int:
        """The id of the task, once that is stored. Raises why, where it could not be."""
        if not self._id:
            self._waiting.outbox.flush()
        if not self._id:
            raise self.exception(0) or BrokenExecutor("another process was to store this task")
        return self._id

    def note_stored(self, id: int) -> None:
        self._id = id

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


class Waiting:
    """The pending futures of one executor. `on_empty` is called when the last has ended."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.on_look: Callable[[], object] | None = None
        self.on_empty: Callable[[], object] | None = None
        self.outbox: Outbox[Given] = Outbox(self._store_given)
        self._lock = threading.Lock()
        self._futures: dict[int, Pending[Any]] = {}
        self._running: set[int] = set()
        self._submitting = 0
        self._early: dict[int, str] = {}

    def submit(self, prototype: Prototype) -> Pending[Any]:
        """Return the future of a task that is being stored; what hinders that is its error."""
        made: Pending[Any] = Pending(self)
        self.outbox.put((made, prototype))
        return made

    def submit_many(self, prototypes: Sequence[Prototype]) -> list[Pending[Any]]:
        """Store all or none, and return their futures."""
        self.outbox.flush()  # what came before has the smaller ids
        made: list[Pending[Any]] = [Pending(self) for _ in prototypes]
        self._note(self._store(made, prototypes))
        return made

    def _store_given(self, given: Sequence[Given]) -> Callable[[], object]:
        """Store what was submitted; return what is then to be done, with no lock held."""
        early: list[tuple[int, str]] = []
        failed: list[tuple[Pending[Any], AqueError]] = []
        try:
            early = self._store([made for made, _ in given], [prototype for _, prototype in given])
        except BrokerError as error:
            failed = [(made, error) for made, _ in given]
        except AqueError as error:  # one of them is at fault, and is to spoil no other
            if len(given) == 1:
                failed = [(given[0][0], error)]
            else:
                return _one_after_another([self._store_given([one]) for one in given])
        return partial(self._tell, early, failed)

    def _store(
        self, made: Sequence[Pending[Any]], prototypes: Sequence[Prototype]
    ) -> list[tuple[int, str]]:
        """Store prototypes, whose futures these are; return those that have ended already."""
        with self._lock:
            self._submitting += 1
        ids: Sequence[int] = ()
        try:
            ids = self.queue.broker.create(prototypes)
        finally:
            with self._lock:
                self._submitting -= 1
                for id, future in zip(ids, made):
                    future.note_stored(id)
                    self._futures[id] = future
                early = [(id, self._early[id]) for id in ids if id in self._early]
                if not self._submitting:
                    self._early.clear()
        return early

    def _tell(
        self, early: Sequence[tuple[int, str]], failed: Sequence[tuple[Pending[Any], AqueError]]
    ) -> None:
        acts = [partial(future.set_exception, error) for future, error in failed]
        _one_after_another([partial(self._note, early), *acts])()

    def cancel(self, wanted: Iterable[Pending[Any]]) -> None:
        """Cancel those of these that have not started."""
        self.outbox.flush()
        ids = [future.id for future in wanted if not future.done()]
        self.queue.broker.cancel_waiting(ids)
        found = self.queue.broker.statuses(ids)
        self._note([(id, found.get(id, "")) for id in ids if found.get(id) != states.RUNNING])

    def status(self, id: int) -> str:
        return states.RUNNING if id in self._running else states.PENDING

    def oldest(self) -> list[int]:
        """Return the ids of some that wait, those that do so longest."""
        with self._lock:
            return list(islice(self._futures, _OLDEST))

    def all(self) -> list[Pending[Any]]:
        self.outbox.flush()
        with self._lock:
            return list(self._futures.values())

    def fail(self, error: BaseException) -> None:
        """Give all that wait this error; their tasks stay as they are."""
        self.outbox.flush()
        failed = self._take(list(self._futures))
        _one_after_another([partial(future.set_exception, error) for future in failed])()

    # What the waiter tells

    def note_changes(self, changes: Changes) -> None:
        if self.on_look is not None:
            self.on_look()
        self._note(list(changes.statuses.items()))
        for future in self._take(changes.removed):
            future.set_exception(TaskNotFoundError(f"task {future.id} was removed"))

    def note_error(self, error: Exception) -> None:
        if isinstance(error, ReplacedError):  # nobody will tell of an end in the file we have open
            self.fail(error)
        if self.on_look is not None:
            self.on_look()

    def _note(self, statuses: Sequence[tuple[int, str]]) -> None:
        ended: list[tuple[int, str]] = []
        with self._lock:
            for id, status in statuses:
                if status in states.COMPLETE_STATES:
                    if id in self._futures:
                        ended.append((id, status))
                    elif self._submitting:
                        self._early[id] = status
                elif status == states.RUNNING:
                    self._running.add(id)
                else:
                    self._running.discard(id)
        if ended:
            self._resolve(ended)

    def _resolve(self, ended: Sequence[tuple[int, str]]) -> None:
        broker = self.queue.broker
        results = broker.results([id for id, status in ended if status == states.SUCCESS])
        acts: list[Callable[[], object]] = []
        for future in self._take([id for id, status in ended if status == states.CANCELLED]):
            acts.append(future.become_cancelled)
        for future in self._take(results):
            acts.append(partial(_give_result, future, results))
        for future in self._take([id for id, status in ended if status == states.ERROR]):
            acts.append(partial(_give_error, future, broker))
        _one_after_another(acts)()

    def _take(self, ids: Iterable[int]) -> list[Pending[Any]]:
        """Take these futures out, so that each is resolved once."""
        with self._lock:
            found = [self._futures.pop(id) for id in ids if id in self._futures]
            self._running.difference_update(future.id for future in found)
            is_empty = bool(found) and not self._futures
        if is_empty and self.on_empty is not None:
            self.on_empty()
        return found


def _one_after_another(acts: Sequence[Callable[[], object]]) -> Callable[[], object]:
    """Return an act that does all of these, and raises only then what one of them has raised.

    A future calls the program's own code, and what that does must not keep others from theirs.
    """

    def act() -> None:
        with ExitStack() as stack:
            for each in reversed(acts):
                stack.callback(each)

    return act


def _give_result(future: Pending[Any], results: Mapping[int, str | None]) -> None:
    text = results[future.id]
    try:
        value = None if text is None else codec.decode(text)
    except AqueError as error:
        future.set_exception(error)
    else:
        future.set_result(value)


def _give_error(future: Pending[Any], broker: Broker) -> None:
    try:
        error = outcome.exception(broker.fetch([future.id])[0], broker)
    except AqueError as problem:
        error = problem
    future.set_exception(error or BrokenExecutor(f"task {future.id} is being run again"))
