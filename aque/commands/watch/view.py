"""Own which part of the queue is seen: a scope, narrowed and in an order, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from aque.brokers.base import Broker
from aque.brokers.questions import Condition, Selection
from aque.commands import terminal
from aque.commands.tree import CHILDREN
from aque.commands.watch import narrowing
from aque.commands.watch.page import Page
from aque.commands.watch.roll import ALL, TOPS, Ranked, Roll
from aque.prototype import CHILD
from aque.record import replace

BY_STATE = "state"


class _Part(NamedTuple):
    """A scope, of what is below a task with whether that is its children, and a filter."""

    scope: int = TOPS
    noun: str = CHILDREN
    filter: str = ""


class View:
    """What the page shows of the tasks `within`; `weigh` gives weights by id for an order."""

    def __init__(
        self, broker: Broker, roll: Roll, page: Page, within: Selection,
        weigh: Callable[[str], Mapping[int, float]],
    ) -> None:  # fmt: skip
        self._broker = broker
        self._roll = roll
        self._page = page
        self._within = within
        self._weigh = weigh
        self._part = _Part()
        self._came_from: list[tuple[_Part, tuple[int, int, int]]] = []
        self.order = BY_STATE
        self._open()

    @property
    def filter(self) -> str:
        return self._part.filter

    @property
    def is_some(self) -> bool:
        """Whether the command line asked for some tasks only, which are a list."""
        within = self._within
        is_some = any(condition.key != "user" for condition in within.conditions)
        return bool(is_some or within.statuses or within.ids is not None)

    @property
    def is_part(self) -> bool:
        return bool(self.filter or self._part.scope > 0 or self.is_some)

    def update(self, has_changed: bool) -> None:
        """Put it in order anew where that is due."""
        if isinstance(self._page.listing, Ranked):
            self._page.listing.update(has_changed, self._weigh(self.order))

    def enter(self, id: int, noun: str) -> None:
        """List what is below a task: its children, or its dependencies."""
        self._go(_Part(id, noun))

    def narrow(self, text: str) -> None:
        """Show only what a text means. Raises UsageError for a bad one, and stays as it was."""
        if not text:
            if self.filter:
                self.leave()
            return
        narrowing.narrow(self._within, text)
        part = self._part._replace(filter=text)
        if self.filter:
            self._part = part
            self._open(is_kept=True)
        else:
            self._go(part, is_kept=True)

    def leave(self) -> None:
        """Go back to where the last list or filter was asked for."""
        if self._came_from:
            self._part, place = self._came_from.pop()
            self._open()
            self._page.go_to(place)

    def sort(self, order: str) -> None:
        self.order = order
        self._open(is_kept=True)

    def toggle(self) -> None:
        """Show the whole tree, or where that is seen a list of all."""
        self._part = _Part(ALL if self._page.is_tree else TOPS)
        self.order = BY_STATE
        self._came_from = []
        self._open(is_kept=True)

    def said(self) -> Iterator[str]:
        """Say what is seen, where it is not all."""
        if self._part.scope > 0:
            below = "" if self._part.noun == CHILDREN else f"{self._part.noun} of "
            yield f"{below or 'in '}task {self._part.scope}"
        if self.filter:
            yield f"only {terminal.safe(self.filter)}"
        if self.order != BY_STATE:
            yield f"by {self.order}"

    def _go(self, part: _Part, is_kept: bool = False) -> None:
        self._came_from.append((self._part, self._page.place))
        self._part = part
        self._open(is_kept)

    def _open(self, is_kept: bool = False) -> None:
        scope, noun, filter = self._part
        is_plain = not filter and self.order == BY_STATE
        if is_plain and noun == CHILDREN and not (self.is_some and scope <= 0):
            self._page.show(self._roll.listing(scope), scope != ALL, is_kept)
            return
        within = self._within
        if scope > 0 and noun == CHILDREN:
            within = replace(within, conditions=[Condition("parent", "=", scope)])
        elif scope > 0:
            edges = self._broker.edges([scope])
            ids = [edge.dependency for edge in edges if edge.kind != CHILD]
            within = Selection(ids=ids)
        ranked = Ranked(self._broker, narrowing.narrow(within, filter), self.order)
        ranked.update(True, self._weigh(self.order))
        self._page.show(ranked, is_plain and noun != CHILDREN, is_kept)
