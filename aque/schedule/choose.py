"""Own the choice: which ready tasks a worker is to run now.

Tasks of one kind need the same, so the best of each kind stand for all of them. The best head of
all kinds is taken while it fits; a kind whose head does not fit is out, since none of it can. So
what fits runs in strict order of priority, then expected duration (longest first), then id.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace

from aque.brokers.base import Candidate, Choose, Offer
from aque.schedule.resources import Resources
from aque.task import Requirements


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who asks: a worker's id, its user, what it has free itself, and what its host has in all.

    An `is_exclusive` worker takes only what is reserved for it.
    """

    worker: int
    user: str
    is_exclusive: bool
    free: Resources
    host: Resources


Order = tuple[int, float, int]


def order(candidate: Candidate) -> Order:
    """Return the key that sorts the best first."""
    return (-candidate.priority, -candidate.duration, candidate.id)


def may_run(need: Requirements, claimant: Claimant) -> bool:
    """Whether this worker may ever run such tasks, whatever is free now."""
    if need.worker is not None or claimant.is_exclusive:
        return need.worker == claimant.worker
    return need.user == claimant.user


def chooser(claimant: Claimant) -> Choose:
    """Return the choice of this worker, to hand to `broker.claim`."""
    return lambda offer: _choose(offer, claimant)


def _choose(offer: Offer, claimant: Claimant) -> list[int]:
    kinds = {kind: need for kind, need in offer.kinds.items() if may_run(need, claimant)}
    if not kinds or claimant.free.slots < 1:
        return []
    free = _free(offer, kinds, claimant)
    heads = [_Head(offer, kind, need, free) for kind, need in kinds.items() if free.fits(need)]
    heads = [head for head in heads if head.candidate is not None]
    return _take(heads, free)


def _free(offer: Offer, kinds: dict[int, Requirements], claimant: Claimant) -> Resources:
    if not any(need.cpus or need.memory for need in kinds.values()):
        return claimant.free
    used_cpus, used_memory = offer.used()
    return claimant.free.capped(claimant.host.cpus - used_cpus, claimant.host.memory - used_memory)


class _Head:
    """The best task of a kind that is not taken yet."""

    def __init__(self, offer: Offer, kind: int, need: Requirements, free: Resources) -> None:
        self.need = need
        self._candidates = iter(offer.heads(kind, _most(need, free)))
        self.candidate: Candidate | None = next(self._candidates, None)

    def advance(self) -> bool:
        self.candidate = next(self._candidates, None)
        return self.candidate is not None

    @property
    def order(self) -> Order:
        assert self.candidate is not None
        return order(self.candidate)


def _most(need: Requirements, free: Resources) -> int:
    """Return how many of a kind fit at most."""
    most = free.slots
    if need.cpus:
        most = min(most, int(free.cpus / need.cpus + 1e-9))
    if need.memory:
        most = min(most, free.memory // need.memory)
    return most


def _take(heads: list[_Head], free: Resources) -> list[int]:
    chosen: list[int] = []
    queue = [(head.order, index) for index, head in enumerate(heads)]
    heapify(queue)
    while queue and free.slots >= 1:
        head = heads[queue[0][1]]
        if not free.fits(head.need):
            heappop(queue)
            continue
        chosen.append(queue[0][0][2])
        free = free.without(head.need)
        if head.advance():
            heapreplace(queue, (head.order, queue[0][1]))
        else:
            heappop(queue)
    return chosen
