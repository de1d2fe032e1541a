"""Own the worker: one thread, one loop, one blocking call.

Each turn notes what ended, passes on signals, records and claims in one transaction, starts what it
claimed, and waits: for an end, output, a signal, a bell, or the next deadline. What it has to tell
the queue is kept until a transaction took it, so a full disk or a lock held for long delays a
worker and loses nothing.
"""

from __future__ import annotations

import logging
import os
import signal
import time

from aque import mounts
from aque.brokers.claims import Claim
from aque.errors import BrokerError
from aque.report import Report
from aque.schedule.choose import chooser
from aque.worker import processes, recovery, relay, talk, terminal
from aque.worker.membership import Share
from aque.worker.plan import Plan
from aque.worker.renewal import Renewal
from aque.worker.standing import RECORD_DELAY, Standing

log = logging.getLogger("aque.worker")


class Worker(Standing):
    """Runs tasks of one queue, as its plan says, until that is over or a signal ends it.

    `grace` is how many seconds a first TERM lets running tasks go on; None is as long as they need.
    """

    def run(self, plan: Plan) -> None:
        """Run until the plan is over or a signal ends it; return early to reload."""
        self._recorded_at = time.monotonic()
        processes.adopt_orphans()
        while True:
            self.crew.note_ended()
            self.guard.attend()
            if self.renewal is not None:
                self.renewal.attend()
            self._note_ends(plan)
            self._heed_signals(plan)
            self._pass_requests(plan)  # first: what somebody has cancelled must not begin
            self._begin_own(plan)
            plan.advance()
            self._begin_own(plan)  # what the plan has made just now
            self._record_and_claim(plan)
            if self._is_idle():
                self.upkeep.do_piece()
            if self._is_over(plan) or self._is_ready_to_reload():
                return
            self._wait()
            self._go_on(plan)

    def _go_on(self, plan: Plan) -> None:
        """Start one's own tasks as others end, until there is something else to be done.

        A whole turn costs as much as the start of a command: this is what makes short ones fast.
        """
        crew = self.crew
        if not crew.starter.is_foreground or self._is_leaving or self.is_troubled:
            return
        slots = self._slots(time.monotonic())
        while self._has_heard_all() and self.signals.take_ends():
            if relay.pass_on(crew, plan.take, self.membership.id, slots):
                self.signals.hear_end()
            if plan.hears_each or crew.aside.has_failed or crew.news.unheard:
                self._note_ends(plan)
            plan.advance()
            if len(crew.jobs) < self.share.slots:
                self._begin_own(plan)
            now = time.monotonic()
            due = self._quiet_until()
            if due <= now:
                self._note_ends(plan)
                self._record_and_claim(plan)
                now = time.monotonic()
                due = self._quiet_until()
            if due <= now or not crew.jobs or crew.timed or self._retry_at > now:
                return
            for key, _ in self.selector.select(due - now):
                key.data()

    def renew_by(self, renewal: Renewal) -> None:
        """Take over new code, by returning from `run`, as this says."""
        self.renewal = renewal
        self.crew.hear_ends(renewal.note_ended)
        self.crew.hear_imports(renewal.note_imported)

    def stop(self) -> None:
        """Start nothing new, end what runs, and have it requeued."""
        self.is_draining = True
        self.crew.steering.stop(self.settings["grace"])

    def drain(self) -> None:
        """Start nothing new, and let what runs go on for the grace."""
        self.is_draining = True
        self.crew.calls.take_back_all()
        if self.grace is not None:
            self.drain_until = time.monotonic() + self.grace

    def close(self) -> None:
        """Leave the queue; nothing may be running."""
        if self.renewal is not None:
            self.renewal.abandon()
        self.crew.close()
        self.ears.close()
        self.membership.leave(self.broker)
        self.upkeep.do_last()

    # Its sentences

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

    def _heed_signals(self, plan: Plan) -> None:
        for number in self.signals.take():
            if not plan.heed(number):
                self._heed(number)
        if self.drain_until is not None and time.monotonic() >= self.drain_until:
            self.drain_until = None
            self.stop()

    def _heed(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._heed_hangup()
        elif number in (signal.SIGTERM, signal.SIGINT) and not self.is_draining:
            talk.say_drain(self.crew.jobs.values())
            self.drain()
        elif number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            talk.say_stop(self.crew.jobs.values())
            self.stop()
        elif number in (signal.SIGUSR1, signal.SIGUSR2):
            step = 1 if number == signal.SIGUSR1 else -1
            self.change_slots(self.share.slots + step)
        elif number == signal.SIGTSTP:
            os.kill(os.getpid(), signal.SIGSTOP)

    def _heed_hangup(self) -> None:
        """Take over new code; but where the terminal has gone, there will be nobody to say TERM."""
        if self.on_terminal and not terminal.is_there():
            if not self.is_draining:
                log.warning("the terminal has gone; %d tasks are running", len(self.crew.jobs))
                self.drain()
        elif self.renewal is not None:
            self.renewal.ask()

    def change_slots(self, slots: int) -> None:
        """Run at most so many tasks at a time, and at least one."""
        self.share = Share(self.share.cpus, self.share.memory, max(1, slots))
        self._look_at = 0.0
        log.info("%d slots", self.share.slots)

    def _pass_requests(self, plan: Plan) -> None:
        now = time.monotonic()
        self.crew.calls.take_back_late(now)
        self.crew.steering.enforce_limits(self.settings["grace"])
        self.crew.steering.kill_overdue()
        is_poll = now >= self._poll_at
        try:
            if not is_poll and self._has_heard_all():
                return
            self._check_at = float("inf")
            self._seen_elsewhere = self.broker.writes_elsewhere()
            if is_poll:
                self._poll_at = now + self.ears.open(self.broker)
                if now >= self._round_at:
                    self._make_round(now)
                self._poll()
            if self.crew.jobs:
                self.crew.steering.handle(self.broker.requests(self.membership.id))
            plan.check()
        except (BrokerError, OSError) as error:  # even to look, the system may lack something
            self._postpone(error)

    def _make_round(self, now: float) -> None:
        """See to what is still ours, then to what the dead have left."""
        self._round_at = now + self._round_interval
        self._mounted = mounts.visible(mounts.table())
        if self.renewal is not None:
            self.renewal.look()
        self._is_overtaken()
        self.membership = self.membership.renewed(self.broker)
        if self.crew.jobs:
            running = self.broker.running(self.membership.id)
            for id in self.crew.steering.keep_only({(task.id, task.attempt) for task in running}):
                log.warning("task %d is not ours any more; what ran of it here is killed", id)
        recovery.recover(self.observer)

    def _poll(self) -> None:
        """Look for work where a ring may have been lost, but write nothing while all is quiet.

        Start times are compared again too: the clock may have been set, or the machine have slept.
        """
        number = self.broker.changes().number
        if number != self._polled:
            self._polled = number
            self._poll_at = min(self._poll_at, time.monotonic() + self.ears.heard_something())
        if number != self._seen or time.time() >= self._next_due_at:
            self._look_at = 0.0

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

    def _wait(self) -> None:
        is_full = len(self.crew.jobs) == self.share.slots
        ahead = self.crew.calls.ahead.seconds() if is_full else None
        lull = self.lull.begin(self._recorded_at, ahead, time.monotonic())
        if lull:
            time.sleep(lull)
        timeout = max(0.0, self._next_deadline() - time.monotonic())
        for key, _ in self.selector.select(timeout):
            key.data()

    # What they rest on

    def _note_recorded(self, report: Report, plan: Plan) -> None:
        self.crew.news.forget(report)
        self._output_since = None
        for start in report.starts:
            self.guard.add(start)
        for end in report.ends if log.isEnabledFor(logging.INFO) else ():
            log.info("task %d: %s%s", end.id, end.status, f" ({end.error})" if end.error else "")

    def _is_over(self, plan: Plan) -> bool:
        return self._is_idle() and (self.is_draining or plan.is_over())

    def _is_ready_to_reload(self) -> bool:
        if self.is_renewing:
            self.crew.calls.take_back_all()
        return self.is_renewing and not self.crew.news and not self.crew.is_draining
