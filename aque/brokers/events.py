"""Own events in process: the one thread that hears a queue's bells for all who wait here.

A thousand futures that each polled would ask a thousand questions. So one thread a process and
queue sleeps on the bells, asks once what changed since the event it saw last, and tells everybody.
It lives while somebody is bound or hears, and is a daemon: a program's end never waits for it.

Events are levels, not edges: two changes between two looks are one event, of the later state. A
callback runs in this thread, so it must be quick and must not wait for a future of this process;
what it raises (SystemExit too) is logged, and the others are told all the same.

Nobody else looks for those who wait here, so no error ends the thread: it says what is wrong, and
looks again a second later.
"""

from __future__ import annotations

import os
import select
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from aque import bell, listening
from aque.errors import AqueError, BrokerError, UsageError
from aque.listening import Listener
from aque.states import STATES

if TYPE_CHECKING:
    from aque.brokers.hearing import Hearing
    from aque.brokers.questions import Changes

#: Seconds from a look that failed to the next.
_RETRY_DELAY = 1.0
#: Of an id that a queue can hold, and be asked for.
_MOST_DIGITS = 18


class Event(NamedTuple):
    """Something that became so: the name it was bound by, the task, and what is new of it.

    `value` is the status, of `output.<id>` the number of the latest chunk, of `signal.<id>` the
    signal that is wanted.
    """

    name: str
    id: int
    value: str | int


Callback = Callable[[Event], object]


class Hearer(Protocol):
    """Somebody who is told of all changes at once. Each method is called in the thread."""

    def note_changes(self, changes: Changes) -> None:
        """Hear what changed; called at each poll too, with nothing."""

    def note_error(self, error: Exception) -> None:
        """Hear that the queue could not be looked at; that is tried again."""


class Waiter:
    """The thread of one process and queue, and whom it tells."""

    def __init__(self, broker: Hearing) -> None:
        self.pid = os.getpid()
        self._broker: Hearing = weakref.proxy(
            broker
        )  # which has us, and is to go with its last user
        self._lock = threading.RLock()  # what is collected in here may unbind itself
        self._bound: dict[str, list[Callback]] = {}
        self._hearers: list[Hearer] = []
        self._thread: threading.Thread | None = None
        self._number = 0
        self._seen: dict[str, dict[int, int]] = {"output": {}, "signal": {}}
        self._readable, self._writable = -1, -1

    def bind(self, name: str, callback: Callback) -> None:
        check(name)
        with self._lock:
            self._start()
            self._bound[name] = [*self._bound.get(name, ()), callback]
            self._wake()

    def unbind(self, name: str, callback: Callback) -> None:
        with self._lock:
            kept = [each for each in self._bound.pop(name, []) if each != callback]
            if kept:
                self._bound[name] = kept
            self._wake()

    def hear(self, hearer: Hearer) -> None:
        with self._lock:
            self._start()
            self._hearers = [*self._hearers, hearer]
            self._wake()

    def leave(self, hearer: Hearer) -> None:
        with self._lock:
            self._hearers = [each for each in self._hearers if each is not hearer]
            self._wake()

    def wake(self) -> None:
        """Have everybody told at once how it is now."""
        with self._lock:
            self._wake()

    def _start(self) -> None:
        """See that the thread runs; it knows of every event from now on.

        It waits for our lock before it sees that there is nobody to tell yet.
        """
        if self._thread is None:
            self._number = self._broker.changes().number
            self._readable, self._writable = os.pipe()
            keeper = self._broker.close  # of the broker, which the thread needs till its end
            thread = threading.Thread(
                target=self._run, args=(keeper,), name="aque-waiter", daemon=True
            )
            thread.start()
            self._thread = thread

    def _wake(self) -> None:
        if self._thread is not None:
            os.write(self._writable, b"\0")

    # The thread

    def _run(self, close: Callable[[], object]) -> None:
        names: frozenset[str] = frozenset()
        listener: Listener | None = None
        pace = listening.Pace()
        while True:
            wanted = self._wanted()
            if wanted != names and listener is not None:
                listener.close()
                listener = None
            if listener is None and self._is_over():
                break
            try:
                if listener is None:
                    listener, names = self._broker.listen(*sorted(wanted)), wanted
                self._look()
                self._sleep(listener, listener.interval)
                listener.drain()
            except Exception as error:  # the border: of all who wait here
                self._complain(error)
                self._sleep(None, _RETRY_DELAY)
            pace.keep()
        close()

    def _is_over(self) -> bool:
        with self._lock:
            if self._bound or self._hearers:
                return False
            self._thread = None
            os.close(self._readable)
            os.close(self._writable)
            return True

    def _wanted(self) -> frozenset[str]:
        """Return the bells there is somebody for."""
        with self._lock:
            kinds = [name.partition(".")[0] for name in self._bound]
            is_done_wanted = bool(self._hearers)
        named = {"output": bell.OUTPUT, "signal": bell.SIGNAL}
        names = {named.get(kind, bell.DONE) for kind in kinds}
        return frozenset(names | {bell.DONE} if is_done_wanted else names)

    def _sleep(self, listener: Listener | None, seconds: float) -> None:
        poller = select.poll()
        poller.register(self._readable, select.POLLIN)
        if listener is not None and listener.fileno() >= 0:
            poller.register(listener.fileno(), select.POLLIN)
        if any(descriptor == self._readable for descriptor, _ in poller.poll(seconds * 1000)):
            os.read(self._readable, 4096)

    def _complain(self, error: Exception) -> None:
        is_defect = not isinstance(error, AqueError)
        self._broker.log.error("%s; trying again", error, exc_info=is_defect)
        for hearer in self._hearers:
            self._call(hearer.note_error, error, "futures")

    # Looking and telling

    def _look(self) -> None:
        changes = self._broker.changes(self._number)
        others = self._other_values()
        for hearer in self._hearers:
            self._call(hearer.note_changes, changes, "futures", BrokerError)
        self._number = changes.number  # not before: where they could not look, they are told again
        for event in [*self._status_events(changes), *self._other_events(others)]:
            for callback in self._bound.get(event.name, ()):
                self._call(callback, event, event.name)

    def _status_events(self, changes: Changes) -> Iterator[Event]:
        if not self._bound:
            return
        for id, status in sorted(changes.statuses.items()):
            for name in ("task_status", f"task_status.{status}", f"task_status.{id}"):
                if name in self._bound:
                    yield Event(name, id, status)

    def _other_values(self) -> dict[str, dict[int, int]]:
        """Return the latest output and signal of each task that somebody is bound to."""
        found = {}
        for kind, look in (("output", self._broker.last_output), ("signal", self._broker.signals)):
            ids = [int(n.partition(".")[2]) for n in list(self._bound) if n.startswith(kind + ".")]
            found[kind] = look(ids) if ids else {}
        return found

    def _other_events(self, found: dict[str, dict[int, int]]) -> Iterator[Event]:
        for kind, values in found.items():
            seen, self._seen[kind] = self._seen[kind], values
            for id, value in values.items():
                if seen.get(id) != value:
                    yield Event(f"{kind}.{id}", id, value)

    def _call(
        self, told: Callable[[Any], object], what: object, name: str, *passed: type[Exception]
    ) -> None:
        try:
            told(what)
        except passed:
            raise
        except BaseException:  # the border: a program's own code
            self._broker.log.exception("what is bound to %s failed", name)


def check(name: str) -> None:
    """Raise UsageError for a name by which nothing is told."""
    kind, dot, what = name.partition(".")
    is_id = what.isascii() and what.isdigit() and len(what) <= _MOST_DIGITS
    if kind == "task_status" and (not dot or what in STATES or is_id):
        return
    if kind in ("output", "signal") and is_id:
        return
    raise UsageError(
        f"no event {name!r}; there are task_status, task_status.success and the other states, "
        "task_status.7, output.7 and signal.7"
    )
