"""Own how a worker hears the bells: of new work, and of signals for what it runs.

A run of aque-xargs that is over in a moment needs no ears, nor does one whose commands follow each
other fast and which is alone in its queue: it looks whether somebody else has written, and that is
cheap. To have them costs 10 to 30 ms (inotify is reached through ctypes, and slow to close), so
they are opened at the first poll, which is put off there.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable

from aque import bell
from aque.brokers.base import Broker
from aque.listening import Listener


class Ears:
    """Calls `hear` from the selector when a bell rings, once they are open."""

    def __init__(self, selector: selectors.BaseSelector, hear: Callable[[set[str]], None]) -> None:
        self._selector = selector
        self._hear = hear
        self._listener: Listener | None = None

    @property
    def are_open(self) -> bool:
        """Whether a bell that rings is heard; until then who must know has to ask."""
        return self._listener is not None

    def open(self, broker: Broker) -> float:
        """Open them, if they are not or were deaf; return the seconds to the next poll."""
        if self._listener is None:
            self._listener = broker.listen(bell.READY, bell.SIGNAL)
        elif self._listener.fileno() < 0:
            self._listener.drain()
        descriptor = self._listener.fileno()
        if descriptor >= 0 and descriptor not in self._selector.get_map():
            self._selector.register(descriptor, selectors.EVENT_READ, self._drain)
        return self._listener.interval

    def heard_something(self) -> float:
        """Note that a poll found something; return the seconds to the next, which may be sooner."""
        assert self._listener is not None
        self._listener.heard_something()
        return self._listener.interval

    def close(self) -> None:
        if self._listener is not None:
            self._listener.close()

    def _drain(self) -> None:
        assert self._listener is not None
        self._hear(self._listener.drain())
