"""Own the roll of whoever watches a queue: the state of each task shown, counted and in order.

A screen is to be true each second, also over a hundred thousand tasks of which hundreds end
meanwhile, and may take no more than a hundredth of a core. To count or sort all of them in the
database each second takes ten times that. So they are read once (0.2 s for 100,000), and after that
only those that changed since the event seen last, at a microsecond each. What is kept of a task is
one number. Rejected: triggers that count in the database, which every submit and end would pay for.

A million take some seconds to read. So they are read a piece at a time, what runs before all else,
and what has been read is shown meanwhile. What changes while they are read is taken in at the end.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from aque import states
from aque.brokers.base import Broker
from aque.brokers.questions import Entry, Selection
from aque.commands.watch.numbers import Numbers

#: Scopes of a listing: what nothing stands above, and all. Any other is the children of that id.
TOPS, ALL = 0, -1
#: Ends of so many seconds make the rate.
WINDOW = 60
#: The rate is of no less than so many seconds.
_SHORTEST = 2.0
#: Tasks that are read at a time, and seconds for which it is gone on with before it is shown.
_PIECE, _TURN = 5000, 0.2
#: So many that ended last are listed in that order.
_LATEST = 1000
#: To look through all again may take this part of the time; where somebody sorts or filters, which
#: few do for long, more, so that 100,000 are true each 2 s.
SHARE, RANKED_SHARE = 0.01, 0.05

_CODES = {status: code for code, status in enumerate(states.STATES)}
_COMPLETE = frozenset(_CODES[status] for status in states.COMPLETE_STATES)
_CANCELLED = _CODES[states.CANCELLED]

Order = Callable[[dict[int, None]], Iterator[int]]


class Listing:
    """The ids of a scope: what runs by its begin, what waits in line, the latest that ended."""

    def __init__(self, scope: int) -> None:
        self.scope = scope
        self._ranks: tuple[dict[int, None], ...] = ({}, {}, {})

    def __len__(self) -> int:
        return sum(map(len, self._ranks))

    def slice(self, at: int, count: int) -> list[int]:
        """Return `count` ids, or what there is, from the place `at` on."""
        found: list[int] = []
        for ids, order in self._in_order():
            found += islice(order(ids), at, at + count - len(found))
            at = max(0, at - len(ids))
        return found

    def find(self, id: int) -> int | None:
        """Return the place of an id, or None where it has none."""
        at = 0
        for ids, order in self._in_order():
            if id in ids:
                return next(at for at, other in enumerate(order(ids), at) if other == id)
            at += len(ids)
        return None

    def _in_order(self) -> Iterator[tuple[dict[int, None], Order]]:
        ended, waiting, running = self._ranks
        yield from ((running, iter), (waiting, iter), (ended, reversed))

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
        self._packed = Numbers()
        self._number = 0
        self._beneath = 0  # how many without a parent have a dependent above them
        self._is_stale = False
        self._load_at = self._loading_since = 0.0
        self._read_to: int | None = 0  # None once all are
        self._ends: deque[tuple[float, float]] = deque()
        self._began_at = 0.0  # from when on the rate counts
        self._count_ends()
        self._load()

    @property
    def is_reading(self) -> bool:
        """Whether there is more to read before it is complete."""
        return self._read_to is not None

    def listing(self, scope: int) -> Listing:
        """Return the ids of a scope, which are kept up to date until another is asked for."""
        self._listing = Listing(scope)
        for id, packed in self._packed.items():
            if _is_in(scope, packed):
                self._listing.put(id, packed >> 1 & 3)
        self._order_ends()
        return self._listing

    def update(self) -> bool:
        """Take in what has changed, or read on; whether there was anything."""
        if self._read_to is not None:
            self._read_on()
            return True
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
            if not self._ends:
                self._began_at = time.monotonic() - self._pace()[1]
            self._ends.append((time.monotonic(), ended))
        if outline.removed and self._beneath:
            self._is_stale = True
        if self._is_stale and time.monotonic() >= self._load_at:
            self._load()
            while self.is_reading:
                self._read_on()  # what stood below one that is gone may stand below none now
        return True

    def rate(self) -> float:
        """Return how many tasks end in a minute, by the last one or what there was of it."""
        now = time.monotonic()
        while self._ends and self._ends[0][0] < now - WINDOW:
            self._ends.popleft()
        span = min(max(now - self._began_at, _SHORTEST), WINDOW)
        return sum(number for _, number in self._ends) * WINDOW / span

    def _count_ends(self) -> None:
        """Begin with what ended in the minute before, as if evenly since the first of it began."""
        number, age = self._pace()
        if number:
            now, parts = time.monotonic(), max(1, int(age))
            self._began_at = now - age
            self._ends = deque((now - ago, number / parts) for ago in range(parts - 1, -1, -1))

    def _pace(self) -> tuple[int, float]:
        """Return how many ended in the last minute, and how much of it ago the first began."""
        number, began_at = self._broker.pace(time.time() - WINDOW, self._asked[1])
        return number, min(max(time.time() - (began_at or 0.0), 0.0), WINDOW)

    def _load(self) -> None:
        """Begin to look through all. The listing stays the object it is, for whoever shows it."""
        self._loading_since = time.monotonic()
        self._number = self._broker.changes().number
        self._packed = Numbers()
        self._beneath = 0
        self.counts = [0] * len(states.STATES)
        self.children: dict[int, list[int]] = {}
        self._listing.clear()
        self._is_stale = False
        self._read_to = 0
        for entry in self._broker.running_entries(*self._asked):
            self._note(entry)
        self._read_on()

    def _read_on(self) -> None:
        """Read for a while; at the end take in what has changed since the begin."""
        until = time.monotonic() + _TURN
        while self._read_to is not None:
            found = self._broker.entries(*self._asked, self._read_to, _PIECE)
            for entry in found:
                self._note(entry)
            self._read_to = found[-1].id if len(found) == _PIECE else None
            if time.monotonic() >= until:
                break
        if self._read_to is None:
            now = time.monotonic()
            self._load_at = now + (now - self._loading_since) / SHARE
            self._order_ends()
            self.update()

    def _order_ends(self) -> None:
        """Put what ended last where it is shown first."""
        for id in reversed(self._broker.last_ended(*self._asked, _LATEST)):
            packed = self._packed.get(id)
            if packed is not None and _is_in(self._listing.scope, packed):
                self._listing.drop(id)
                self._listing.put(id, packed >> 1 & 3)

    def _note(self, entry: Entry) -> bool:
        """Take in one task; whether it has ended just now by itself."""
        code, parent = _CODES[entry.status], entry.parent or 0
        before = self._packed.get(entry.id)
        if before is not None:
            self._count(before, -1)
        packed = ((parent * 8 + code) * 4 + entry.rank) * 2 + entry.is_top
        self._packed.put(entry.id, packed)
        self._count(packed, 1)
        if _is_in(self._listing.scope, packed):
            self._listing.put(entry.id, entry.rank)
        elif before is not None:
            self._listing.drop(entry.id)
        was_complete = before is not None and before >> 3 & 7 in _COMPLETE
        return code in _COMPLETE and code != _CANCELLED and not was_complete

    def _count(self, packed: int, by: int) -> None:
        code, parent = packed >> 3 & 7, packed >> 6
        self.counts[code] += by
        if parent:
            self.children.setdefault(parent, [0] * len(states.STATES))[code] += by
        elif not packed & 1:
            self._beneath += by

    def _set_beneath(self, id: int) -> None:
        packed = self._packed.get(id)
        if packed is not None and packed & 1:
            self._packed.put(id, packed - 1)
            self._beneath += 1
            if self._listing.scope == TOPS:
                self._listing.drop(id)

    def _forget(self, id: int) -> None:
        packed = self._packed.get(id)
        if packed is not None:
            self._packed.drop(id)
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

    def find(self, id: int) -> int | None:
        ids = [*self._first, *self._ids]
        return ids.index(id) if id in ids else None

    def update(self, has_changed: bool, weights: Mapping[int, float]) -> None:
        self._is_stale = self._is_stale or has_changed
        began = time.monotonic()
        if self._is_stale and began >= self._due:
            ids = self._broker.ranked(self._selection, self._order)
            self._first = [id for id in ids if id in weights]
            self._ids = [id for id in ids if id not in weights] if weights else ids
            self._is_stale = False
            now = time.monotonic()
            self._due = now + (now - began) / RANKED_SHARE
        self._first.sort(key=lambda id: -weights.get(id, 0.0))


def by_status(counts: Iterable[int]) -> dict[str, int]:
    return {status: number for status, number in zip(states.STATES, counts) if number}


def _is_in(scope: int, packed: int) -> bool:
    return scope == ALL or (bool(packed & 1) if scope == TOPS else packed >> 6 == scope)
