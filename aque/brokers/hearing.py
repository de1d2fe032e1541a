"""Own the bells of a broker: who rings them, and the listeners that a process keeps."""

from __future__ import annotations

import os
import threading
from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING

from aque.bell import ring
from aque.brokers.looking import Looking

if TYPE_CHECKING:
    from aque.brokers.events import Callback, Waiter
    from aque.listening import Listener


class _Heard(threading.local):
    """The listeners that a thread keeps."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.listeners: dict[tuple[str, ...], Listener] = {}


class Hearing(Looking):
    """What a broker does by the bells of its queue, and what it is asked then."""

    def __init__(self) -> None:
        super().__init__()
        self._waiter: Waiter | None = None
        self._heard = _Heard()

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
            from aque.brokers.events import Waiter

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
