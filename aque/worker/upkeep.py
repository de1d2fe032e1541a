"""Own what a worker does for its queue when it has nothing to run: forgetting what is old.

A piece at a time, so that a task that comes meanwhile waits for one short transaction at most. When
nothing is left to forget, the room it took goes back to the file system.
"""

from __future__ import annotations

import logging
import time

from aque.brokers.base import Broker
from aque.errors import BrokerError

#: Seconds from one piece to the next, from one round to the next, and to the first.
_PIECE, _ROUND, _FIRST = 0.05, 3600.0, 1.0

log = logging.getLogger("aque.worker")


class Upkeep:
    """The upkeep of one queue. `at` is when it is due again; monotonic, seconds."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._has_room = False
        self.at = time.monotonic() + _FIRST

    def do_piece(self) -> None:
        """Do the next piece, if it is due."""
        now = time.monotonic()
        if now < self.at:
            return
        try:
            is_more = self._forget()
        except BrokerError as error:
            log.error("cannot forget old tasks: %s", error)
            is_more = False
        self.at = now + (_PIECE if is_more else _ROUND)

    def do_last(self) -> None:
        """Do one piece more, for queues whose workers are never idle for long."""
        self.at = 0.0
        self.do_piece()

    def _forget(self) -> bool:
        if self._broker.expire():
            self._has_room = True
        elif self._has_room:
            self._has_room = self._broker.shrink()
        return self._has_room
