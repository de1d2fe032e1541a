"""Own what a worker does with tasks: it begins them, tells the queue how they go, and claims more.

What it has to tell is kept until a transaction took it, so a full disk or a lock held for long
delays a worker and loses nothing.
"""

from __future__ import annotations

import logging
import time

from aque.brokers.claims import Claim
from aque.errors import BrokerError
from aque.report import Report
from aque.schedule.choose import chooser
from aque.worker.plan import Plan
from aque.worker.standing import RECORD_DELAY, Standing

log = logging.getLogger("aque.worker")


class Exchange(Standing):
    """What a worker exchanges with its plan and its queue. When, is the loop's to say."""

    def _note_ends(self, plan: Plan) -> None:
        self.crew.aside.settle()
        unheard = self.crew.news.unheard
        while unheard:
            self._look_at = 0.0
            plan.note_end(*unheard.popleft())

    def _begin_own(self, plan: Plan) -> None:
        """Start what nobody else may take, before the transaction that records it.

        While the queue cannot be told, nothing more is begun.
        """
        if len(self.crew.jobs) >= self.share.slots or self.is_draining or self.is_troubled:
            return
        now = time.monotonic()
        while len(self.crew.jobs) < self._slots(now) and (task := plan.take()) is not None:
            self.crew.begin(task, self.membership.id)
            if self.crew.news.unheard:  # it could not be started
                self._note_ends(plan)

    def _record_and_claim(self, plan: Plan) -> None:
        now, crew = time.monotonic(), self.crew
        wants_work = self._wants_work(now)
        if wants_work and not plan.may_claim():
            wants_work = False
            self._look_at = float("inf")  # until the plan says so, or something has ended
        if now < self._retry_at or not (wants_work or self._record_at() <= now):
            return
        # What waits in the queue may be running already, of what has begun: first that is told.
        must_tell = wants_work and crew.news.has_begins
        report = crew.news.report(0.0 if must_tell else RECORD_DELAY)
        claim = None
        try:
            if wants_work and not must_tell and not self._is_overtaken():
                choose = chooser(self._claimant(), self._line)
                claim = self.broker.claim(self.membership.id, choose, report)
            else:
                crew.steering.end_lost(report.begun, self.broker.record(report))
        except BrokerError as error:
            self._postpone(error)
            return
        self._recorded_at = time.monotonic()
        self._note_recorded(report, plan)
        if claim is not None and claim.is_dismissed:
            self._poll_at = self._round_at = 0.0
            self.observer.beat_soon()
        elif claim is not None:
            self._start(claim, plan, self._recorded_at - now)

    def _start(self, claim: Claim, plan: Plan, took: float) -> None:
        self._seen = claim.number
        self.is_dry = not claim.tasks and claim.next_due_at is None and self._line.is_empty
        self._next_due_at = float("inf") if claim.next_due_at is None else claim.next_due_at
        self._look_at = time.monotonic() + max(0.0, self._next_due_at - time.time())
        behind = []
        for task in claim.tasks:
            log.info("task %d starts", task.id)
            plan.note_start(task)
            if task.started_at is None:
                behind.append(task)
            else:
                self.crew.start(task)
        self.crew.calls.queue(behind, self._recorded_at - took)
        count = len(claim.tasks)
        self.lull.note_claim(count, len(behind), self._has_room, took, self._recorded_at)
        self.broker.ring(claim.rings)

    def _note_recorded(self, report: Report, plan: Plan) -> None:
        if not self.ears.are_open:
            self._stay_deaf()
        self.crew.news.forget(report)
        self._output_since = None
        for start in report.starts:
            self.guard.add(start)
        for end in report.ends if log.isEnabledFor(logging.INFO) else ():
            log.info("task %d: %s%s", end.id, end.status, f" ({end.error})" if end.error else "")
