"""Own what is known of the tasks below others: their numbers from the roll, which has them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import inf

from aque.brokers.base import Broker
from aque.commands.tree import Counts
from aque.commands.watch.roll import SHARE, Roll, by_status
from aque.task import Task


class Below:
    """Answers a Tree: for children by the roll, for dependencies by the queue, at a pace."""

    def __init__(self, broker: Broker, roll: Roll) -> None:
        self._broker = broker
        self._roll = roll
        self._known: dict[int, tuple[float, Counts]] = {}  # until when, what

    def children(self, parent: int, limit: int, statuses: Sequence[str] = ()) -> list[Task]:
        return self._broker.children(parent, limit, statuses)

    def dependencies(self, id: int, limit: int, statuses: Sequence[str] = ()) -> list[Task]:
        return self._broker.dependencies(id, limit, statuses)

    def count_children(self, ids: Sequence[int]) -> dict[int, Counts]:
        known = self._roll.children
        return {id: by_status(known[id]) for id in ids if id in known}

    def count_dependencies(self, ids: Sequence[int]) -> dict[int, Counts]:
        began = time.monotonic()
        asked = [id for id in ids if self._known.get(id, (0.0,))[0] <= began]
        if asked:
            counted = self._broker.count_dependencies(asked)
            now = time.monotonic()
            until = now + (now - began) / SHARE
            for id in asked:  # who has none gets none later
                counts = counted.get(id, {})
                self._known[id] = (until if counts else inf, counts)
        return {id: self._known[id][1] for id in ids}
