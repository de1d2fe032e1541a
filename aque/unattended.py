"""Own the word that nobody runs what a program waits for; it would else wait in silence."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from aque.brokers.base import Broker
from aque.errors import BrokerError

#: Seconds that a program waits without a worker until it is told.
PATIENCE = 3.0

log = logging.getLogger("aque.executor")


class Unattended:
    """Looks, while something `is_awaited`, whether a worker is there; says once that none is."""

    def __init__(self, broker: Broker, is_awaited: Callable[[], bool]) -> None:
        self._broker = broker
        self._is_awaited = is_awaited
        self._look_at = float("inf")
        self._is_said = False

    def look(self) -> None:
        """Look, if it is time; called at each change of the queue, and each second."""
        now = time.monotonic()
        if self._is_said or not self._is_awaited():
            self._look_at = float("inf")
        elif self._look_at > now:
            self._look_at = min(self._look_at, now + PATIENCE)
        elif self._is_alone():
            self._is_said = True
            url = self._broker.to_url()
            log.warning("no worker runs for this queue; aque-worker --broker %s starts one", url)
        else:
            self._look_at = now + PATIENCE

    def _is_alone(self) -> bool:
        try:
            return not any(worker.kind == "worker" for worker in self._broker.workers())
        except BrokerError:
            return False  # that is another trouble, and not for us to tell
