"""Own how a worker learns what others want of it: new work, signals, and the tasks of the dead."""

from __future__ import annotations

import logging
import selectors
import time

from aque import bell
from aque.errors import BrokerError
from aque.worker import recovery
from aque.worker.dues import Dues
from aque.worker.ears import Ears
from aque.worker.exchange import Exchange
from aque.worker.liveness import Observer
from aque.worker.membership import XARGS
from aque.worker.plan import Plan
from aque.worker.standing import Standing

log = logging.getLogger("aque.worker")


class Lookout:
    """What a worker hears and sees of its queue. It writes what it has become, and no more."""

    def __init__(
        self,
        standing: Standing,
        dues: Dues,
        exchange: Exchange,
        observer: Observer,
        selector: selectors.BaseSelector,
    ) -> None:
        self._standing = standing
        self._broker = standing.broker
        self._crew = standing.crew
        self._dues = dues
        self._exchange = exchange
        self._observer = observer
        self._ears = Ears(selector, self._hear_bells)
        self._is_drain_told = False
        self._slots_told = standing.share.slots
        self._seen_elsewhere = -1  # what `writes_elsewhere` was when we looked
        self._polled = -1  # the latest event that a poll of ours knew of

    def has_heard_all(self) -> bool:
        """Whether nobody can have asked for anything since we looked: it would have been heard.

        Who has no ears yet looks whether somebody else has written at all.
        """
        if self._dues.check_at <= time.monotonic():
            return False
        if self._ears.are_open:
            return True
        try:
            return self._broker.writes_elsewhere() == self._seen_elsewhere
        except (BrokerError, OSError):  # a whole turn asks again, and deals with it
            return False

    def check(self, plan: Plan) -> None:
        """Look what others have asked for, if that is due or somebody may have."""
        now = time.monotonic()
        is_poll = now >= self._dues.poll_at
        try:
            if not is_poll and self.has_heard_all():
                return
            self._dues.note_check()
            self._seen_elsewhere = self._broker.writes_elsewhere()
            is_first = not self._ears.are_open
            if is_poll or (is_first and now >= self._dues.deaf_until):
                self._dues.note_poll(now, self._ears.open(self._broker))
                if is_first or now >= self._dues.round_at:
                    self._make_round(now)
                self._poll()
            self._tell_of_slots()
            self._tell_of_drain()
            if self._crew.jobs:
                requests = self._broker.requests(self._standing.membership.id)
                self._crew.steering.handle(requests)
            plan.check()
        except (BrokerError, OSError) as error:  # even to look, the system may lack something
            self._exchange.postpone(error)

    def close(self) -> None:
        self._ears.close()

    def _hear_bells(self, rung: set[str]) -> None:
        if bell.READY in rung:
            self._dues.look_again()
            is_ours = not self._crew.starter.is_foreground  # else what is new is not for us
            self._exchange.lull.hear(is_ours and not self._crew.is_idle, time.monotonic())
        if bell.SIGNAL in rung:
            self._dues.check_by()

    def _make_round(self, now: float) -> None:
        """See to what is still ours, then to what the dead have left."""
        self._dues.note_round(now)
        standing = self._standing
        if standing.renewal is not None:
            standing.renewal.look()
        standing.is_overtaken()
        if standing.renew():
            self._is_drain_told = False
        if self._crew.jobs:
            running = self._broker.running(standing.membership.id)
            for id in self._crew.steering.keep_only({(task.id, task.attempt) for task in running}):
                log.warning("task %d is not ours any more; what ran of it here is killed", id)
        recovery.recover(self._observer)

    def _poll(self) -> None:
        """Look for work where a ring may have been lost, but write nothing while all is quiet."""
        number = self._broker.changes().number
        if number != self._polled:
            self._polled = number
            self._dues.poll_by(time.monotonic() + self._ears.heard_something())
        self._exchange.hear_of(number)

    def _tell_of_slots(self) -> None:
        standing = self._standing
        slots = standing.share.slots
        if slots != self._slots_told and standing.membership.kind != XARGS:
            self._broker.change_slots(standing.membership.id, slots)
            self._slots_told = slots

    def _tell_of_drain(self) -> None:
        """Have the queue know that we drain; who runs nothing is about to leave it anyway."""
        standing = self._standing
        is_told = self._is_drain_told or standing.membership.kind == XARGS
        if standing.is_draining and self._crew.jobs and not is_told:
            self._broker.drain(standing.membership.id)
            self._is_drain_told = True
