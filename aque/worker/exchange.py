"""Own what a worker exchanges with its plan and its queue: it tells how tasks go, and claims more.

What it has to tell is kept until a transaction took it, so a full disk or a lock held for long
delays a worker and loses nothing.
"""

from __future__ import annotations

import logging
import time

from aque.brokers.claims import Claim
from aque.errors import BrokerError, ReplacedError
from aque.report import Report
from aque.schedule.choose import Line, chooser
from aque.worker.complaint import Complaint
from aque.worker.dues import RECORD_DELAY, Dues
from aque.worker.liveness import Observer
from aque.worker.lull import Lull
from aque.worker.plan import Plan
from aque.worker.standing import Standing

log = logging.getLogger("aque.worker")


class Exchange:
    """What passes between the queue, the plan and the crew. When, is the loop's to say."""

    def __init__(self, standing: Standing, dues: Dues, observer: Observer) -> None:
        self._standing = standing
        self._broker = standing.broker
        self._crew = standing.crew
        self._dues = dues
        self._observer = observer
        self._complaint = Complaint()
        self._line = Line()
        self._has_claimed_all = False
        self._seen = -1  # the latest event that a claim of ours knew of
        self._next_due_at = float("inf")  # Unix seconds
        self.lull = Lull()

    @property
    def is_dry(self) -> bool:
        """Whether the last claim left nothing that is ready or will be due, for us at least."""
        return self._has_claimed_all or self._standing.is_outdated

    # With the plan

    def note_ends(self, plan: Plan) -> None:
        self._crew.aside.settle()
        unheard = self._crew.news.unheard
        while unheard:
            self._dues.look_again()
            plan.note_end(*unheard.popleft())

    def begin_own(self, plan: Plan) -> None:
        """Start what nobody else may take, before the transaction that records it.

        While the queue cannot be told, nothing more is begun.
        """
        standing, crew = self._standing, self._crew
        if not standing.has_slot or standing.is_draining or self._dues.is_troubled:
            return
        now = time.monotonic()
        while len(crew.jobs) < standing.slots(now) and (task := plan.take()) is not None:
            crew.begin(task, standing.membership.id)
            if crew.news.unheard:  # it could not be started
                self.note_ends(plan)

    # With the queue

    def record_and_claim(self, plan: Plan) -> None:
        now, crew, dues, standing = time.monotonic(), self._crew, self._dues, self._standing
        wants_work = now >= dues.look_at and standing.has_room
        if wants_work and not plan.may_claim():
            wants_work = False
            dues.look_again(float("inf"))  # until the plan says so, or something has ended
        if now < dues.retry_at or not (wants_work or dues.record_at() <= now):
            return
        # What waits in the queue may be running already, of what has begun: first that is told.
        must_tell = wants_work and crew.news.has_begins
        report = crew.news.report(0.0 if must_tell else RECORD_DELAY)
        claim = None
        try:
            if wants_work and not must_tell and not standing.is_overtaken():
                choose = chooser(standing.claimant(self.lull.is_due), self._line)
                claim = self._broker.claim(standing.membership.id, choose, report)
            else:
                crew.steering.end_lost(report.begun, self._broker.record(report))
        except BrokerError as error:
            self.postpone(error)
            return
        dues.note_recorded()
        self._note_recorded(report)
        if claim is not None and claim.is_dismissed:
            dues.make_round_again()
            self._observer.beat_soon()
        elif claim is not None:
            self._start(claim, plan, dues.recorded_at - now)

    def postpone(self, error: Exception) -> None:
        """Leave the queue alone for a while, in which this error came. Raises one of no hope."""
        crew, standing = self._crew, self._standing
        may_wait = not (standing.is_awaited or standing.is_draining)  # until it is put back
        has_news = bool(crew.news) and may_wait
        if isinstance(error, ReplacedError) and not (crew.jobs or crew.flood or has_news):
            raise error  # nobody would ever submit to the file that we have open
        if self._complaint.is_due(str(error), time.monotonic()):
            log.error("%s; trying again", error)
        self._dues.postpone()

    def hear_of(self, number: int) -> None:
        """Look for work, if this event is not of those that the last claim knew of.

        Start times are compared again too: the clock may have been set, or the machine have slept.
        """
        if number != self._seen or time.time() >= self._next_due_at:
            self._dues.look_again()

    def gather(self) -> None:
        """Sleep for a moment where it pays to have news gather."""
        is_full = len(self._crew.jobs) == self._standing.share.slots
        ahead = self._crew.calls.ahead.seconds() if is_full else None
        seconds = self.lull.begin(self._dues.recorded_at, ahead, time.monotonic())
        if seconds:
            time.sleep(seconds)

    def _start(self, claim: Claim, plan: Plan, took: float) -> None:
        crew, recorded_at = self._crew, self._dues.recorded_at
        self._seen = claim.number
        self._has_claimed_all = (
            not claim.tasks and claim.next_due_at is None and self._line.is_empty
        )
        self._next_due_at = float("inf") if claim.next_due_at is None else claim.next_due_at
        self._dues.look_again(time.monotonic() + max(0.0, self._next_due_at - time.time()))
        behind = []
        for task in claim.tasks:
            log.info("task %d starts", task.id)
            plan.note_start(task)
            if task.started_at is None:
                behind.append(task)
            else:
                crew.start(task)
        crew.calls.queue(behind, recorded_at - took)
        has_room = self._standing.has_room
        self.lull.note_claim(len(claim.tasks), len(behind), has_room, took, recorded_at)
        self._broker.ring(claim.rings)

    def _note_recorded(self, report: Report) -> None:
        self._crew.news.forget(report)
        for start in report.starts:
            self._crew.guard.add(start)
        for end in report.ends if log.isEnabledFor(logging.INFO) else ():
            log.info("task %d: %s%s", end.id, end.status, f" ({end.error})" if end.error else "")
