"""Own the choice: which ready tasks a worker is to run now.

Tasks of one kind need the same, so the best of each kind stand for all of them. The best head of
all kinds is taken while it fits; a kind whose head does not fit is out, since none of it can. So
what fits runs in strict order of priority, then io scale (mounts.py), then expected duration
(longest first), then id.

Small tasks would pass a big one for ever, each fitting into what the last one left. So the first
in line that fits the worker, but not what is free of it, is remembered, and when it has stood there
for 60 s what is free is kept for it until it fits. Rejected: keeping from the first moment (a
machine would idle behind each big task), and backfilling by expected durations as Slurm does (most
tasks here have none).
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heapify, heappop, heapreplace
from itertools import islice

from aque.brokers.claims import Candidate, Choose, Limit, Offer
from aque.mounts import Mount
from aque.record import replace
from aque.requirements import Requirements
from aque.schedule import mounts
from aque.schedule.eligible import Claimant, may_run
from aque.schedule.resources import Resources

#: Seconds at the head of the line after which free resources are kept for a task.
PATIENCE = 60.0

Order = tuple[int, int, float, int]


def order(candidate: Candidate, io_scale: int = 0) -> Order:
    """Return the key that sorts the best first."""
    return (-candidate.priority, io_scale, -candidate.duration, candidate.id)


class Line:
    """A worker's memory of who stands first in line without fitting, and since when."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._since = 0.0

    def note_first(self, id: int, now: float) -> bool:
        """Note who stands first; say whether its patience is over."""
        if id != self._first:
            self._first, self._since = id, now
        return now - self._since >= PATIENCE

    def note_none(self) -> None:
        self._first = None

    @property
    def is_empty(self) -> bool:
        """Whether, at the last choice, nobody waited for room."""
        return self._first is None


def chooser(claimant: Claimant, line: Line | None = None) -> Choose:
    """Return the choice of this worker, to hand to `broker.claim`."""
    return lambda offer: _choose(offer, claimant, line or Line())


def _choose(offer: Offer, claimant: Claimant, line: Line) -> list[int]:
    kinds = {kind: need for kind, need in offer.kinds.items() if may_run(need, claimant)}
    if not kinds or (claimant.free.slots < 1 and not claimant.behind):
        line.note_none()
        return []
    limits = offer.limits() if any(need.limits for need in kinds.values()) else {}
    free = _free(offer, kinds, claimant, limits)
    capacities = {name: limit.capacity for name, limit in limits.items()}
    whole = replace(claimant.whole, tokens=capacities) if capacities else claimant.whole
    blocked = _Blocked(line, whole, offer.now)
    has_mounts = any(need.mounts for need in kinds.values())
    busy = mounts.count_busy(offer.running_mounts()) if has_mounts else {}
    behind = _Behind(offer, claimant)
    heads = [
        _Head(offer, kind, need, behind.most(need, _most(need, free)), busy)
        for kind, need in kinds.items()
    ]
    heads = [head for head in heads if head.candidate is not None]
    return _take(heads, free, blocked, behind)


def _free(
    offer: Offer,
    kinds: Mapping[int, Requirements],
    claimant: Claimant,
    limits: Mapping[str, Limit],
) -> Resources:
    left = {name: limit.capacity - limit.used for name, limit in limits.items()}
    free = replace(claimant.free, tokens=left) if left else claimant.free
    if any(need.cpus or need.memory for need in kinds.values()):
        used_cpus, used_memory = offer.used()
        free = free.capped(claimant.host.cpus - used_cpus, claimant.host.memory - used_memory)
    return free


class _Head:
    """The best task of a kind that is not taken yet."""

    def __init__(
        self,
        offer: Offer,
        kind: int,
        need: Requirements,
        most: int,
        busy: Mapping[Mount, int],
    ) -> None:
        self.need = need
        self._io_scale = mounts.scale(need.mounts, busy)
        self._candidates = iter(offer.heads(kind, most))
        self.candidate: Candidate | None = next(self._candidates, None)

    def advance(self) -> bool:
        self.candidate = next(self._candidates, None)
        return self.candidate is not None

    def take(self, most: int) -> list[int]:
        """Take up to so many of what follows the candidate."""
        return [candidate.id for candidate in islice(self._candidates, most)]

    @property
    def order(self) -> Order:
        assert self.candidate is not None
        return order(self.candidate, self._io_scale)


def _most(need: Requirements, free: Resources) -> int:
    """Return one more than fit of a kind at most: the next may stand first in line."""
    most: float = free.slots
    if need.cpus:
        most = min(most, free.cpus / need.cpus + 1e-9)
    if need.memory:
        most = min(most, free.memory // need.memory)
    return max(1, int(most) + 1)


class _Blocked:
    """Finds the first in line that does not fit now, but would if all were idle."""

    def __init__(self, line: Line, whole: Resources, now: float) -> None:
        self._line = line
        self._whole = whole
        self._now = now
        self._is_found = False

    def note(self, id: int, need: Requirements, free: Resources) -> Resources:
        """Return what others may take of what is free."""
        if self._is_found or self._whole.lacks(need):
            return free
        self._is_found = True
        return free.keeping(need) if self._line.note_first(id, self._now) else free

    def close(self) -> None:
        if not self._is_found:
            self._line.note_none()


class _Behind:
    """Those that are taken to wait behind running ones of their kind, and to hold what they do.

    They are taken in order like all others: when somebody else stands first, nobody passes.
    """

    def __init__(self, offer: Offer, claimant: Claimant) -> None:
        self._offer = offer
        self._kinds = set(claimant.behind_kinds)
        self._new = claimant.behind_new
        self.left = claimant.behind

    def most(self, need: Requirements, begun: int) -> int:
        """Return how many may be taken at most, if so many may begin."""
        left = self.left if need in self._kinds else 0
        return begun + left + begun * self._new.get(need, 0)

    def note_begun(self, need: Requirements) -> None:
        """Note that one is taken to begin now, behind which others may wait."""
        if need in self._new:
            self.left += self._new[need]
            self._kinds.add(need)

    def take(self, id: int, need: Requirements) -> bool:
        """Take this one if it can wait behind another."""
        if self.left < 1 or need not in self._kinds:
            self.left = 0
            return False
        self.left -= 1
        self._offer.leave_behind(id)
        return True

    def take_more(self, head: _Head) -> list[int]:
        """Take what follows of this kind, when no other is left."""
        taken = head.take(self.left) if self.left > 0 and head.need in self._kinds else []
        self.left -= len(taken)
        for id in taken:
            self._offer.leave_behind(id)
        return taken


def _take(heads: list[_Head], free: Resources, blocked: _Blocked, behind: _Behind) -> list[int]:
    chosen: list[int] = []
    queue = [(head.order, index) for index, head in enumerate(heads)]
    heapify(queue)
    while queue and (free.slots >= 1 or behind.left):
        head, id = heads[queue[0][1]], queue[0][0][-1]
        if free.fits(head.need):
            free = free.without(head.need)
            behind.note_begun(head.need)
        elif not behind.take(id, head.need):
            if free.slots >= 1:
                free = blocked.note(id, head.need, free)
            heappop(queue)
            continue
        chosen.append(id)
        if len(queue) == 1 and free.slots < 1:
            chosen += behind.take_more(head)  # by the hundred, and nobody else stands there
            break
        if head.advance():
            heapreplace(queue, (head.order, queue[0][1]))
        else:
            heappop(queue)
    blocked.close()
    return chosen
