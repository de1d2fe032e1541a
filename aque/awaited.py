"""Own the futures of this process that wait for their tasks: real ones of concurrent.futures.

A task may end before its submitter has learnt its id, since the id comes with the commit. So while
anybody submits, ends of ids that nobody knows yet are kept, and told by the waiter's thread when
the id is there.

A future stays pending inside, as concurrent.futures sees it, until its task has ended: a running
task may wait again (its worker was stopped), which that state machine does not know.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack
from functools import partial
from itertools import islice
from typing import Any

from aque import codec, outcome, states
from aque.brokers.base import Broker
from aque.brokers.questions import Changes
from aque.errors import AqueError, BrokerError, ReplacedError, TaskNotFoundError
from aque.outbox import After, Outbox
from aque.pending import Pending
from aque.prototype import Prototype
from aque.queue import Queue

#: Ids that stand for all that wait.
_OLDEST = 100
#: A submitted call: its future, and what is to be stored.
Given = tuple[Pending[Any], Prototype]


class Waiting:
    """The pending futures of one executor. `on_empty` is called when the last has ended."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.waiter = queue.broker.waiter
        self.on_look: Callable[[], object] | None = None
        self.on_empty: Callable[[], object] | None = None
        self.outbox: Outbox[Given] = Outbox(self._store_given)
        self._lock = threading.RLock()  # what is collected in here, or a signal, may cancel
        self._futures: dict[int, Pending[Any]] = {}
        self._running: set[int] = set()
        self._telling: dict[Pending[Any], int] = {}  # by which thread
        self._submitting = 0
        self._ended: dict[int, str] = {}  # and not told to their futures yet
        self._is_over = False
        self.over = threading.Event()

    @property
    def is_inherited(self) -> bool:
        """Whether this is a fork's copy, of whose futures no thread here hears."""
        return self.waiter.pid != os.getpid()

    def submit(self, prototype: Prototype) -> Pending[Any]:
        """Return the future of a task that is being stored; what hinders that is its error."""
        made: Pending[Any] = Pending(self)
        self.outbox.put((made, prototype))
        return made

    def submit_many(self, prototypes: Sequence[Prototype]) -> list[Pending[Any]]:
        """Store all or none, and return their futures."""
        self.outbox.flush()  # what came before has the smaller ids
        made: list[Pending[Any]] = [Pending(self) for _ in prototypes]
        self._store(made, prototypes)
        return made

    def _store_given(self, given: Sequence[Given]) -> After:
        """Store what was submitted; return what is then to be done, with no lock held."""
        try:
            self._store([made for made, _ in given], [prototype for _, prototype in given])
        except BrokerError as error:
            return _refuse(given, error)
        except AqueError as error:  # one of them is at fault, and is to spoil no other
            if len(given) == 1:
                return _refuse(given, error)
            return _one_after_another([self._store_given([one]) for one in given])
        except BaseException as error:  # Ctrl-C, too late a call, a defect
            raised, left = error, [each for each in given if not each[0].is_stored]
            tell = _refuse(left, BrokenExecutor(f"{error!r} came while this was to be stored"))

            def tell_and_raise() -> None:
                tell()
                raise raised

            return tell_and_raise
        return _one_after_another([])

    def _store(self, made: Sequence[Pending[Any]], prototypes: Sequence[Prototype]) -> None:
        """Store prototypes, whose futures these are."""
        with self._lock:
            if self._is_over:
                raise RuntimeError("cannot schedule new futures after shutdown")
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
                is_early = not self._ended.keys().isdisjoint(ids)
            if is_early:
                self.waiter.wake()
            self.end_if_empty()

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
            return [*self._others(), *self._futures.values()]

    def fail(self, error: BaseException) -> None:
        """Give all that wait this error; their tasks stay as they are."""
        self.outbox.flush()
        failed = self._take(list(self._futures))
        self._tell([partial(future.set_exception, error) for future in failed])

    def end_if_empty(self) -> None:
        """Where there is `on_empty`, and nobody waits or submits: call it, and take no more."""
        with self._lock:
            if self.on_empty is None or self._futures or self._submitting:
                return
            self._is_over = True
        self.on_empty()
        self.over.set()

    # What the waiter tells

    def note_changes(self, changes: Changes) -> None:
        statuses = list(changes.statuses.items())
        acts = [partial(self._forget, changes.removed), partial(self._note, statuses)]
        _one_after_another([*filter(None, [self.on_look]), *acts])()

    def _forget(self, removed: Iterable[int]) -> None:
        self._tell([partial(_give_removed, future) for future in self._take(removed)])

    def note_error(self, error: Exception) -> None:
        if isinstance(error, ReplacedError):  # nobody will tell of an end in the file we have open
            self.fail(error)
        if self.on_look is not None:
            self.on_look()

    def _note(self, statuses: Sequence[tuple[int, str]]) -> None:
        with self._lock:
            for id, status in statuses:
                self._ended.pop(id, None)
                if status in states.COMPLETE_STATES:
                    self._ended[id] = status
                elif status == states.RUNNING:
                    self._running.add(id)
                else:
                    self._running.discard(id)
            ended = [(id, status) for id, status in self._ended.items() if id in self._futures]
            if not self._submitting:
                self._ended = dict(ended)
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
        with self._lock:
            for id, _ in ended:
                self._ended.pop(id, None)
        self._tell(acts)

    def _take(self, ids: Iterable[int]) -> list[Pending[Any]]:
        """Take these futures out, so that each is resolved once."""
        with self._lock:
            found = [self._futures.pop(id) for id in ids if id in self._futures]
            self._running.difference_update(future.id for future in found)
            self._telling.update(dict.fromkeys(found, threading.get_ident()))
        return found

    def _others(self) -> dict[Pending[Any], int]:
        """Return the futures that other threads have taken out and are about to resolve."""
        us = threading.get_ident()
        return {future: thread for future, thread in self._telling.items() if thread != us}

    def _note_told(self) -> None:
        with self._lock:
            self._telling = self._others()

    def _tell(self, acts: Sequence[Callable[[], object]]) -> None:
        """Do what resolves futures that were taken out, the last of which may end all."""
        if acts:
            _one_after_another([*acts, self._note_told, self.end_if_empty])()


def _refuse(given: Sequence[Given], error: BaseException) -> After:
    """Note what hinders the storing of these; return an act that tells their futures."""
    refused = [made for made, _ in given]
    for made in refused:
        made.note_refused(error)
    return _one_after_another([partial(made.set_exception, error) for made in refused])


def _one_after_another(acts: Sequence[Callable[[], object]]) -> After:
    """Return an act that does all of these, and raises only then what one of them has raised.

    A future calls the program's own code, and what that does must not keep others from theirs.
    """

    def act() -> None:
        with ExitStack() as stack:
            for each in reversed(acts):
                stack.callback(each)

    return act


def _give_removed(future: Pending[Any]) -> None:
    future.set_exception(TaskNotFoundError(f"task {future.id} was removed"))


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
