"""Own the numbers of the places that jobs have while they run: from 1, the lowest that is free."""

from __future__ import annotations

from heapq import heapify, heappop, heappush


class Slots:
    """As many as were ever taken at a time."""

    def __init__(self) -> None:
        self._free: list[int] = []
        self._most = 0

    def take(self) -> int:
        if self._free:
            return heappop(self._free)
        self._most += 1
        return self._most

    def give(self, slot: int) -> None:
        """Say that a slot is free."""
        heappush(self._free, slot)

    def hold(self, slot: int) -> None:
        """Say that a slot is taken, as it was before a reload."""
        if slot > self._most:
            self._free += range(self._most + 1, slot + 1)
            self._most = slot
            self._free.remove(slot)
            heapify(self._free)
        elif slot in self._free:
            self._free.remove(slot)
            heapify(self._free)
