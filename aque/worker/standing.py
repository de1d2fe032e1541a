"""Own how a worker stands in its queue: who it is, what it may use, and whether it is leaving."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from aque import mounts
from aque.brokers.base import Broker
from aque.record import replace
from aque.schedule.eligible import Claimant
from aque.schedule.resources import Resources
from aque.worker import host
from aque.worker.crew import Crew
from aque.worker.membership import XARGS, Membership, Share

if TYPE_CHECKING:
    from aque.worker.renewal import Renewal

log = logging.getLogger("aque.worker")


class Standing:
    """What the worker of this membership may start beside what its crew runs."""

    def __init__(self, broker: Broker, membership: Membership, crew: Crew) -> None:
        self.broker = broker
        self.crew = crew
        self.membership = membership
        self.share = membership.share
        #: Whether somebody waits for its end. Such a worker waits for no queue that has gone.
        self.is_awaited = crew.starter.is_foreground
        self.is_draining = False
        self.renewal: Renewal | None = None
        #: Whether a newer aque has been seen to have upgraded the queue.
        self.is_outdated = False
        self._mounted: frozenset[mounts.Mount] = frozenset()

    def renew(self) -> bool:
        """Look which file systems are there, and have a lock and a record that others can find.

        The record of a worker that was taken for dead is forgotten in the end. It is stored again,
        by the same id, which nobody else is given; whether it had to be.
        """
        self._mounted = mounts.visible(mounts.table())
        self.membership = self.membership.renewed(self.broker)
        if self.broker.workers([self.membership.id]):
            return False
        self.broker.enlist(replace(self.membership, share=self.share).to_record())
        return True

    def change_slots(self, slots: int) -> None:
        """Run at most so many tasks at a time, and at least one."""
        self.share = Share(self.share.cpus, self.share.memory, max(1, slots))

    @property
    def is_renewing(self) -> bool:
        """Whether it is about to take over new code."""
        return self.renewal is not None and self.renewal.is_ready

    @property
    def is_leaving(self) -> bool:
        """Whether it starts nothing more, for now at least."""
        is_ending = self.is_draining or self.is_renewing
        return is_ending or self.is_outdated or self.crew.steering.has_lost

    def is_overtaken(self) -> bool:
        """Whether a newer aque has upgraded the queue: then its rules are no longer ours.

        aque-xargs, which runs only its own tasks, goes on: upgrades only add.
        """
        if self.membership.kind == XARGS or not self.broker.is_outdated():
            return False
        if not self.is_outdated:
            log.error(
                "a newer aque has upgraded the queue: nothing more is started here until a HUP "
                "has this worker take over the new code"
            )
        self.is_outdated = True
        return True

    def slots(self, now: float) -> int:
        """Return how many tasks may run at a time as things are; `now` is monotonic."""
        return min(self.share.slots, self.crew.room.most(now))

    @property
    def has_slot(self) -> bool:
        """Whether it runs fewer tasks than its share has slots."""
        return len(self.crew.jobs) < self.share.slots

    @property
    def has_room(self) -> bool:
        """Whether it may start one more."""
        if self.is_leaving:
            return False
        is_free = len(self.crew.jobs) < self.slots(time.monotonic())
        return is_free or self.crew.calls.ahead.room() > 0  # a turn behind a running call

    def claimant(self, is_pressed: bool) -> Claimant:
        """Return what it may claim. Where it `is_pressed` calls may wait for idle runners too."""
        free = Resources(self.share.cpus, self.share.memory, self.slots(time.monotonic()))
        for job in self.crew.jobs.values():
            free = Resources(
                free.cpus - job.task.cpus, free.memory - job.task.memory, free.slots - 1
            )
        member, here, ahead = self.membership, self.membership.here, self.crew.calls.ahead
        whole = Resources(here.cpus, here.memory, 1)
        is_exclusive = member.kind == XARGS
        return Claimant(
            member.id, member.user, is_exclusive, free, whole,
            frozenset() if is_exclusive else host.names(), here.platform,
            Resources(self.share.cpus, self.share.memory, self.share.slots),
            ahead.room(), ahead.kinds(), ahead.rooms() if is_pressed else {}, self._mounted,
        )  # fmt: skip
