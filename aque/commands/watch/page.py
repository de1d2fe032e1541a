"""Own the page: which lines of a listing are seen, and which of them is selected.

Nobody knows how many lines the trees above have, so a page begins at a place of the listing and so
many lines into that tree; only what is seen is fetched and drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from aque.brokers.base import Broker
from aque.brokers.questions import Selection
from aque.commands.lines import Line
from aque.commands.tree import Art, Source, Tree
from aque.task import Task

_DEPTH = 3
#: A tree of more lines ends there; below is entered by itself.
_TALLEST = 1000


class Ids(Protocol):
    def __len__(self) -> int: ...
    def slice(self, at: int, count: int) -> list[int]: ...
    def find(self, id: int) -> int | None: ...


@dataclass
class Page:
    """A window on a listing, `height` lines high."""

    broker: Broker
    below: Source
    art: Art
    listing: Ids
    is_tree: bool = True
    folded: set[int] = field(default_factory=set)
    height: int = 20
    at: int = 0
    skip: int = 0
    cursor: int = 0
    lines: list[Line] = field(default_factory=list)
    _places: list[tuple[int, int]] = field(default_factory=list)
    _is_steered: bool = False

    def show(self, listing: Ids, is_tree: bool, is_kept: bool) -> None:
        """Begin at the top of another listing, or if it is kept with the task selected."""
        kept = self.selected if is_kept and self._is_steered else None
        self.listing, self.is_tree = listing, is_tree
        self.at = self.skip = self.cursor = 0
        self._is_steered = False
        at = listing.find(kept.id) if kept else None
        if at is not None:
            self.at, self.lines, self._is_steered = at, [Line(kept)], True
            self._back(self.height // 2)

    @property
    def line(self) -> Line:
        return self.lines[self.cursor] if self.cursor < len(self.lines) else Line(None)

    @property
    def selected(self) -> Task | None:
        return self.line.task

    @property
    def place(self) -> tuple[int, int, int]:
        return self.at, self.skip, self.cursor

    def go_to(self, place: tuple[int, int, int]) -> None:
        self.at, self.skip, self.cursor = place

    def draw(self) -> Task | None:
        """Fetch what is seen. Who has moved the cursor keeps the task, as long as it is seen.

        Returned is the task that was selected where it is seen no more; nobody has chosen the next.
        """
        kept = self.selected if self._is_steered else None
        if self.at >= len(self.listing):
            self.at, self.skip = max(0, len(self.listing) - 1), 0
        self._fill()
        if len(self.lines) < self.height and (self.at or self.skip):  # no gap below the last
            self._back(self.height - len(self.lines))
            self._fill()
        self.cursor = max(0, min(self.cursor, len(self.lines) - 1))
        ids = [line.task and line.task.id for line in self.lines]
        if kept is not None and kept.id in ids:
            self.cursor = ids.index(kept.id)
            return None
        self._is_steered = self._is_steered and kept is None
        return kept

    def move(self, by: int) -> None:
        """Move the cursor by so many lines, and the window where it has to."""
        self._is_steered = True
        to = self.cursor + by
        if to < 0:
            self._back(-to)
        elif to >= self.height and self._places:
            over = min(to - self.height + 1, len(self._places) - 1)
            self.at, self.skip = self._places[over]
        self.cursor = max(0, min(to, self.height - 1))
        self._draw_anew()

    def fold(self) -> None:
        """Fold what is below the task selected, or where nothing is go to the one above it."""
        here = self.cursor
        if here >= len(self.lines):
            return
        task, depth = self.line.task, len(self.line.lead)
        below = self.lines[here + 1 : here + 2]
        if task and task.id not in self.folded and (not below or len(below[0].lead) > depth):
            self.folded.add(task.id)
            self._draw_anew()
            return
        above = (n for n in range(here - 1, -1, -1) if len(self.lines[n].lead) < depth)
        self.move(next(above, here) - here)

    def go_home(self) -> None:
        self.at = self.skip = self.cursor = 0
        self._is_steered = False
        self._draw_anew()

    def go_to_end(self) -> None:
        self.at, self.skip = max(0, len(self.listing) - 1), 0
        self.skip = max(0, self._height_of(self.at) - 1)
        self._back(self.height - 1)
        self.cursor = self.height - 1
        self._is_steered = True
        self._draw_anew()

    def _draw_anew(self) -> None:
        """Draw the lines anew without looking for the task that was selected."""
        is_steered, self._is_steered = self._is_steered, False
        self.draw()
        self._is_steered = is_steered

    def _fill(self) -> None:
        ids = self.listing.slice(self.at, self.height)
        found = {task.id: task for task in self.broker.select(Selection(ids=ids))} if ids else {}
        if self.is_tree:
            self.below.count_dependencies(ids)  # of all at once, which it remembers
        tree = self._tree()
        self.lines, self._places = [], []
        for number, id in enumerate(ids):
            skip = self.skip if number == 0 else 0
            if id in found and len(self.lines) < self.height:
                self._take(tree, found[id], self.at + number, skip)

    def _take(self, tree: Tree, root: Task, at: int, skip: int) -> None:
        room = self.height - len(self.lines)
        drawn = list(islice(self._draw(tree, root), skip + room))
        if skip >= len(drawn):
            self.skip = skip = len(drawn) - 1
        self.lines += drawn[skip:]
        self._places += [(at, line) for line in range(skip, len(drawn))]

    def _draw(self, tree: Tree, root: Task) -> Iterator[Line]:
        return islice(tree.draw([root]), _TALLEST) if self.is_tree else iter([Line(root)])

    def _back(self, count: int) -> None:
        while count and (self.at or self.skip):
            step = min(count, self.skip)
            self.skip -= step
            count -= step
            if count and self.at:
                self.at -= 1
                self.skip = max(0, self._height_of(self.at) - 1)
                count -= 1

    def _height_of(self, at: int) -> int:
        if not self.is_tree:
            return 1
        found = self.broker.select(Selection(ids=self.listing.slice(at, 1) or [0]))
        return sum(1 for task in found for _ in self._draw(self._tree(), task))

    def _tree(self) -> Tree:
        return Tree(self.below, _DEPTH, self.art, folded=self.folded)
