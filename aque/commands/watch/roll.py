"""Own the roll of whoever watches a queue: the state of each task shown, counted and in order.

A screen is to be true each second, also over a hundred thousand tasks of which hundreds end
meanwhile, and may take no more than a hundredth of a core. To count or sort all of them in the
database each second takes ten times that. So they are read once (0.2 s for 100,000), and after that
only those that changed since the event seen last, at a microsecond each. What is kept of a task is
one number. Rejected: triggers that count in the database, which every submit and end would pay for.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice

from aque import states
from aque.brokers.base import Broker
from aque.brokers.questions import Condition, Entry, Selection

#: Scopes of a listing: what nothing stands above, and all. Any other is the children of that id.
TOPS, ALL = 0, -1
#: Ends of so many seconds make the rate.
WINDOW = 60
#: To look through all again may take this part of the time.
SHARE = 0.01

_CODES = {status: code for code, status in enumerate(states.STATES)}
_COMPLETE = frozenset(_CODES[status] for status in states.COMPLETE_STATES)


class Listing:
    """The ids of a scope: what runs by its begin, what waits in line, the latest that ended."""

    def __init__(self, scope: int) -> None:
        self.scope = scope
        self._ranks: tuple[dict[int, None], ...] = ({}, {}, {})

    def __len__(self) -> int:
        return sum(map(len, self._ranks))

    def slice(self, at: int, count: int) -> list[int]:
        """Return `count` ids, or what there is, from the place `at` on."""
        ended, waiting, running = self._ranks
        found: list[int] = []
        for ids, order in ((running, iter), (waiting, iter), (ended, reversed)):
            found += islice(order(ids), at, at + count - len(found))
            at = max(0, at - len(ids))
        return found

    def put(self, id: int, rank: int) -> None:
        """Put an id last of its rank, unless it is there already."""
        if id not in self._ranks[rank]:
            self.drop(id)
            self._ranks[rank][id] = None

    def clear(self) -> None:
        for ids in self._ranks:
            ids.clear()

    def drop(self, id: int) -> None:
        for ids in self._ranks:
            ids.pop(id, None)


class Roll:
    """All tasks that have not ended, or have at `ended_since` or later; with `user` only his.

    `counts` and the values of `children` are numbers by state, in the order of states.STATES.
    """

    def __init__(self, broker: Broker, ended_since: float, user: str | None) -> None:
        self._broker = broker
        self._asked = (ended_since, user)
        self._listing = Listing(TOPS)
        self._packed: dict[int, int] = {}
        self._number = 0
        self._beneath = 0  # how many without a parent have a dependent above them
        self._is_stale = False
        self._load_at = 0.0
        self._load()
        now, each = time.monotonic(), self._ended_lately(user) / WINDOW
        self._ends = deque((now - ago, each) for ago in range(WINDOW - 1, -1, -1))

    def __contains__(self, id: int) -> bool:
        return id in self._packed

    def listing(self, scope: int) -> Listing:
        """Return the ids of a scope, which are kept up to date until another is asked for."""
        self._listing = Listing(scope)
        for id, packed in self._packed.items():
            if _is_in(scope, packed):
                self._listing.put(id, packed >> 1 & 3)
        return self._listing

    def update(self) -> bool:
        """Take in what has changed; whether there was anything."""
        outline = self._broker.outline(*self._asked, since=self._number)
        if outline.number == self._number:
            return False
        self._number = outline.number
        ended = sum(1 for entry in outline.entries if self._note(entry))
        for id in outline.beneath:
            self._set_beneath(id)
        for id in outline.removed:
            self._forget(id)
        if ended:
            self._ends.append((time.monotonic(), ended))
        if outline.removed and self._beneath:
            self._is_stale = True
        if self._is_stale and time.monotonic() >= self._load_at:
            self._load()  # what stood below one that is gone may stand below none now
        return True

    def rate(self) -> float:
        """Return how many tasks ended in the last minute."""
        since = time.monotonic() - WINDOW
        while self._ends and self._ends[0][0] < since:
            self._ends.popleft()
        return sum(number for _, number in self._ends)

    def _ended_lately(self, user: str | None) -> int:
        conditions = [Condition("ended_at", ">", time.time() - WINDOW)]
        if user is not None:
            conditions.append(Condition("user", "=", user))
        return self._broker.count(Selection(conditions))

    def _load(self) -> None:
        """Look through all. The listing stays the object it is, for whoever shows it."""
        began = time.monotonic()
        outline = self._broker.outline(*self._asked)
        self._number = outline.number
        self._packed = {}
        self._beneath = 0
        self.counts = [0] * len(states.STATES)
        self.children: dict[int, list[int]] = {}
        self._listing.clear()
        for entry in outline.entries:
            self._note(entry)
        now = time.monotonic()
        self._is_stale = False
        self._load_at = now + (now - began) / SHARE

    def _note(self, entry: Entry) -> bool:
        """Take in one task; whether it has ended just now."""
        code, parent = _CODES[entry.status], entry.parent or 0
        before = self._packed.get(entry.id)
        if before is not None:
            self._count(before, -1)
        packed = ((parent * 8 + code) * 4 + entry.rank) * 2 + entry.is_top
        self._packed[entry.id] = packed
        self._count(packed, 1)
        if _is_in(self._listing.scope, packed):
            self._listing.put(entry.id, entry.rank)
        elif before is not None:
            self._listing.drop(entry.id)
        was_complete = before is not None and before >> 3 & 7 in _COMPLETE
        return code in _COMPLETE and not was_complete

    def _count(self, packed: int, by: int) -> None:
        code, parent = packed >> 3 & 7, packed >> 6
        self.counts[code] += by
        if parent:
            self.children.setdefault(parent, [0] * len(states.STATES))[code] += by
        elif not packed & 1:
            self._beneath += by

    def _set_beneath(self, id: int) -> None:
        packed = self._packed.get(id, 0)
        if packed & 1:
            self._packed[id] = packed - 1
            self._beneath += 1
            if self._listing.scope == TOPS:
                self._listing.drop(id)

    def _forget(self, id: int) -> None:
        packed = self._packed.pop(id, None)
        if packed is not None:
            self._count(packed, -1)
            self._listing.drop(id)


class Ranked:
    """The ids that a selection has in an order: asked again when something changed, at a pace.

    Those that are weighed, as by what they use just now, come first, and heaviest first.
    """

    def __init__(self, broker: Broker, selection: Selection, order: str) -> None:
        self._broker = broker
        self._selection = selection
        self._order = order
        self._first: list[int] = []
        self._ids: list[int] = []
        self._is_stale = True
        self._due = 0.0

    def __len__(self) -> int:
        return len(self._first) + len(self._ids)

    def slice(self, at: int, count: int) -> list[int]:
        after = max(0, at - len(self._first))
        first = self._first[at : at + count]
        return first + self._ids[after : after + count - len(first)]

    def update(self, has_changed: bool, weights: Mapping[int, float]) -> None:
        self._is_stale = self._is_stale or has_changed
        began = time.monotonic()
        if self._is_stale and began >= self._due:
            ids = self._broker.ranked(self._selection, self._order)
            self._first = [id for id in ids if id in weights]
            self._ids = [id for id in ids if id not in weights] if weights else ids
            self._is_stale = False
            now = time.monotonic()
            self._due = now + (now - began) / SHARE
        self._first.sort(key=lambda id: -weights.get(id, 0.0))


def by_status(counts: Iterable[int]) -> dict[str, int]:
    return {status: number for status, number in zip(states.STATES, counts) if number}


def _is_in(scope: int, packed: int) -> bool:
    return scope == ALL or (bool(packed & 1) if scope == TOPS else packed >> 6 == scope)
