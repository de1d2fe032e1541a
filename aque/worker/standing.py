"""Own how a worker stands: what it has, what it may do now, and when something is due."""

from __future__ import annotations

import logging
import selectors
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from aque import bell, mounts, trust
from aque.brokers.base import Broker
from aque.errors import BrokerError, ReplacedError
from aque.schedule.choose import Line
from aque.schedule.eligible import Claimant
from aque.schedule.resources import Resources
from aque.worker import host, leftovers, terminal
from aque.worker.complaint import Complaint
from aque.worker.crew import Crew
from aque.worker.ears import Ears
from aque.worker.flood.gauge import Gauge
from aque.worker.guarding import Guard
from aque.worker.liveness import Observer
from aque.worker.lull import Lull
from aque.worker.membership import XARGS, Membership
from aque.worker.renewal import Renewal
from aque.worker.signals import Signals
from aque.worker.starter import Foreground, Starter
from aque.worker.upkeep import Upkeep

if TYPE_CHECKING:
    from aque.worker.flood.flood import Flood

#: Seconds until output and the start of a process are recorded when nothing else is.
RECORD_DELAY = 0.1
#: Seconds from one transaction to the next where that is only to record begins and ends, and
#: seconds without a new one after which it does not wait for more: many short tasks share one
#: transaction, and of longer ones each end is recorded at once.
_PACE, _QUIET = 0.01, 0.003
#: Seconds after which a run of aque-xargs is long enough to be guarded, and to hear bells.
_SHORT = 0.2
#: Seconds from a transaction that failed to the next.
_RETRY_DELAY = 1.0

log = logging.getLogger("aque.worker")


class Standing:
    """What a worker knows of itself. Nothing here starts a task or writes to the queue."""

    def __init__(
        self,
        broker: Broker,
        membership: Membership,
        signals: Signals,
        grace: float | None = None,
        foreground: Foreground | None = None,
    ) -> None:
        self.log = log
        self.broker = broker
        self.here = membership.here
        self.membership = membership
        self.share = membership.share
        self.signals = signals
        self.grace = grace
        self.selector = selectors.DefaultSelector()
        self.settings: Mapping[str, float] = broker.settings()
        marks = {"AQUE_BROKER": broker.to_url(), leftovers.MARK: membership.token}
        starter = Starter(broker, marks, int(self.share.cpus) or 1, foreground)
        # A short run of aque-xargs would pay more for these than for its commands.
        later = 0.0 if foreground is None else time.monotonic() + _SHORT
        self.guard = _guard(membership.token, foreground, later)
        self.crew = Crew(starter, self.selector, self.guard)
        self.gauge = Gauge()
        #: While there is one. Then what a plan has given may not have begun.
        self.flood: Flood | None = None
        self.upkeep = Upkeep(broker)
        self.ears = Ears(self.selector, self._hear_bells)
        self.observer = Observer(broker, self.here, membership.id)
        self.selector.register(signals.fileno(), selectors.EVENT_READ, lambda: None)
        self.is_draining = self._is_drain_told = False
        self.renewal: Renewal | None = None
        #: Whether it was started on a terminal: when that closes, a HUP tells so.
        self.on_terminal = False
        self._is_outdated = False
        #: After a claim: whether it left nothing that is ready or will be due.
        self.is_dry = False
        self.drain_until: float | None = None
        self._set_clock(later)
        broker.register_worker(self)

    def _set_clock(self, later: float) -> None:
        """Have all be due at once, but for what a short run can do without until `later`."""
        self._look_at = 0.0
        self._check_at = 0.0
        self._deaf_until = self._poll_at = later
        self._round_interval = self.settings["poll"]
        if self.broker.is_shared:
            self._round_interval = min(self._round_interval, self.settings["heartbeat"])
        self._round_at = time.monotonic() + self._round_interval  # and with the first poll
        self._retry_at = 0.0
        self._complaint = Complaint()
        self._output_since: float | None = None
        self._recorded_at = 0.0
        self.lull = Lull()
        self._line = Line()
        self._mounted: frozenset[mounts.Mount] = frozenset()
        self._seen_elsewhere = -1  # what `writes_elsewhere` was when we looked
        self._polled = -1  # the latest event that a poll of ours knew of
        self._seen = -1  # the latest event that a claim of ours knew of
        self._next_due_at = float("inf")  # Unix seconds

    def wake_for_work(self) -> None:
        """Look for work at once; from any thread of this process."""
        self._look_at = 0.0
        self.signals.wake()

    def look_again(self) -> None:
        """Look for work in this turn: the plan has made some."""
        self._look_at = 0.0

    def check_by(self, at: float) -> None:
        """Ask the plan to check at this time, monotonic, if nothing has it do so before."""
        self._check_at = min(self._check_at, at)

    def _has_heard_all(self) -> bool:
        """Whether nobody can have asked for anything since we looked: it would have been heard.

        Who has no ears yet looks whether somebody else has written at all.
        """
        if self._check_at <= time.monotonic():
            return False
        if self.ears.are_open:
            return True
        try:
            return self.broker.writes_elsewhere() == self._seen_elsewhere
        except (BrokerError, OSError):  # a whole turn asks again, and deals with it
            return False

    def _stay_deaf(self) -> None:
        """Need no ears yet, as commands that follow each other fast leave no time to wait."""
        self._poll_at = min(self._recorded_at + _SHORT, self._round_at)

    @property
    def is_renewing(self) -> bool:
        """Whether it is about to take over new code."""
        return self.renewal is not None and self.renewal.is_ready

    @property
    def is_troubled(self) -> bool:
        """Whether the queue could not be told, and is not to be told again yet."""
        return self._retry_at > 0.0 and time.monotonic() < self._retry_at

    def _postpone(self, error: Exception) -> None:
        if isinstance(error, ReplacedError) and not (self.crew.jobs or self.flood):
            raise error  # nobody would ever submit to the file that we have open
        if self._complaint.is_due(str(error)):
            log.error("%s; trying again", error)
        self._retry_at = time.monotonic() + _RETRY_DELAY
        self._check_at = self._retry_at

    def _wants_work(self, now: float) -> bool:
        return now >= self._look_at and self._has_room

    @property
    def _has_room(self) -> bool:
        """Whether it may start one more."""
        if self._is_leaving:
            return False
        has_slot = len(self.crew.jobs) < self._slots(time.monotonic())
        return has_slot or self.crew.calls.ahead.room() > 0  # a turn behind a running call

    @property
    def _is_leaving(self) -> bool:
        """Whether it starts nothing more, for now at least."""
        is_ending = self.is_draining or self.is_renewing
        return is_ending or self._is_outdated or self.crew.steering.has_lost

    def _is_overtaken(self) -> bool:
        """Whether a newer aque has upgraded the queue: then its rules are no longer ours.

        aque-xargs, which runs only its own tasks, goes on: upgrades only add.
        """
        if self.membership.kind == XARGS or not self.broker.is_outdated():
            return False
        if not self._is_outdated:
            log.error(
                "a newer aque has upgraded the queue: nothing more is started here until a HUP "
                "has this worker take over the new code"
            )
        self._is_outdated = self.is_dry = True
        return True

    def _slots(self, now: float) -> int:
        """Return how many tasks may run at a time as things are."""
        return min(self.share.slots, self.crew.room.most(now))

    def _claimant(self) -> Claimant:
        slots = self._slots(time.monotonic())
        free = Resources(self.share.cpus, self.share.memory, slots)
        for job in self.crew.jobs.values():
            free = Resources(
                free.cpus - job.task.cpus, free.memory - job.task.memory, free.slots - 1
            )
        member, here, ahead = self.membership, self.here, self.crew.calls.ahead
        whole = Resources(here.cpus, here.memory, 1)
        is_exclusive = member.kind == XARGS
        return Claimant(
            member.id, member.user, is_exclusive, free, whole,
            frozenset() if is_exclusive else host.names(), here.platform, trust.group_names(),
            Resources(self.share.cpus, self.share.memory, self.share.slots),
            ahead.room(), ahead.kinds(), ahead.rooms() if self.lull.is_due else {}, self._mounted,
        )  # fmt: skip

    @property
    def _needs_guard(self) -> bool:
        """Whether there is something to guard; where all may be over in no time, while it runs."""
        return bool(self.crew.jobs) or not self.crew.starter.is_foreground

    def _guard_at(self) -> float:
        at = self.guard.next_deadline() if self._needs_guard else None
        return float("inf") if at is None else at

    def _record_at(self) -> float:
        """Return when there is something to be recorded, if nothing else comes before."""
        news = self.crew.news
        if news.ends or self.crew.aside:  # all else is told with them
            return min(self._recorded_at + _PACE, news.ended_at + _QUIET)
        at = float("inf")
        if news.output or news.progress:
            self._output_since = self._output_since or time.monotonic()
            at = min(at, self._output_since + RECORD_DELAY)
        started = news.first_start()
        return at if started is None else min(at, started + RECORD_DELAY)

    def _quiet_until(self) -> float:
        """Return when something is due that is not about the start of one's own tasks."""
        return min(self._guard_at(), self._flood_until())

    def _flood_until(self) -> float:
        """Return the same for a flood, whose commands end before a guard could have started."""
        return min(self._poll_at, self._check_at, self._record_at())

    def _next_deadline(self) -> float:
        times = [self._quiet_until()]
        if self._has_room:
            times.append(self._look_at)
        elif not self._is_leaving and len(self.crew.jobs) < self.share.slots:
            times.append(self.crew.room.look_at)
        if self._is_idle():
            times.append(self.upkeep.at)
        waits = [self.crew.next_deadline(), self.drain_until]
        if self.renewal is not None:
            waits.append(self.renewal.next_deadline())
        for deadline in waits:
            if deadline is not None:
                times.append(deadline)
        return max(min(times), self._retry_at)

    def _is_idle(self) -> bool:
        return not self.crew.jobs and not self.crew.news

    def _hear_bells(self, rung: set[str]) -> None:
        if bell.READY in rung:
            self._look_at = 0.0
            is_ours = not self.crew.starter.is_foreground  # else what is new is not for us
            self.lull.hear(is_ours and not self._is_idle(), time.monotonic())
        if bell.SIGNAL in rung:
            self._check_at = 0.0


def _guard(token: str, foreground: Foreground | None, later: float) -> Guard:
    """Return a guard. Where Ctrl-Z may stop a command too soon, it is there before that."""
    if foreground is None or not terminal.is_there():
        return Guard(token, later, foreground is not None)
    guard = Guard(token, is_shared=True)
    guard.attend()
    return guard
