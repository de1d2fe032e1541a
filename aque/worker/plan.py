"""Own what a worker is told of its purpose: to run any task, or those of one aque-xargs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aque.report import End
from aque.task import Task


class Plan(Protocol):
    """What a worker is for. Each method is called by the loop, in its own thread."""

    def heed(self, number: int) -> bool:
        """Whether the plan dealt with this signal itself."""

    def advance(self) -> None:
        """Do what is to be done each turn, before the claim."""

    def check(self) -> None:
        """Look whether somebody wants something; called when a bell says so and at each poll."""

    def take(self) -> Task | None:
        """Return a task that is reserved for this worker, to start before the queue hears of it.

        It is started then, without another word to the plan.
        """

    @property
    def may_take_ahead(self) -> bool:
        """Whether tasks may be taken some time before they start, since nobody looks at that."""

    def put_back(self, tasks: Sequence[Task]) -> None:
        """Give back, in their order, tasks that were taken and not started."""

    def may_claim(self) -> bool:
        """Whether there is a use for one more task that is to be claimed."""

    @property
    def hears_each(self) -> bool:
        """Whether it is to hear of each end at once, and not of many successes at a time."""

    def note_end(self, task: Task, end: End) -> None:
        """Hear of an end, before anything else is claimed; it is yet to be recorded."""

    def note_start(self, task: Task) -> None:
        """Hear of a task that was claimed and is about to be started."""

    def is_over(self) -> bool:
        """Whether the worker is to end once it is idle."""
