"""Own the worker: one thread, one loop, one blocking call.

Each turn notes what ended, passes on signals, records and claims in one transaction, starts what it
claimed, and waits: for an end, output, a signal, a bell, or the next deadline.
"""

from __future__ import annotations

import logging
import os
import signal
import time

from aque import mounts
from aque.errors import BrokerError
from aque.worker import processes, recovery, talk, terminal
from aque.worker.exchange import Exchange
from aque.worker.flood import relay
from aque.worker.membership import XARGS, Share
from aque.worker.plan import Plan
from aque.worker.renewal import Renewal

log = logging.getLogger("aque.worker")


class Worker(Exchange):
    """Runs tasks of one queue, as its plan says, until that is over or a signal ends it.

    `grace` is how many seconds a first TERM lets running tasks go on; None is as long as they need.
    """

    def run(self, plan: Plan) -> None:
        """Run until the plan is over or a signal ends it; return early to reload."""
        self._recorded_at = time.monotonic()
        processes.adopt_orphans()
        while True:
            self.crew.note_ended()
            if self._needs_guard:
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
            if self.gauge.is_flood(slots) and plan.may_take_ahead and not plan.may_claim():
                self._run_flood(plan, slots)
                return
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
                self.gauge.note(len(crew.aside), now)
                self._note_ends(plan)
                self._record_and_claim(plan)
                now = time.monotonic()
                due = self._quiet_until()
            if due <= now or not crew.jobs or crew.timed or self._retry_at > now:
                return
            for key, _ in self.selector.select(due - now):
                key.data()

    def _run_flood(self, plan: Plan, slots: int) -> None:
        """Have supervisors start one's own tasks, as long as it is a flood and nothing else."""
        crew, lasted, is_over = self.crew, 0.0, True
        try:
            from aque.worker.flood.flood import Flood  # a short run has none

            worker, selector = self.membership.id, self.selector
            self.flood = flood = Flood(crew, self.signals, selector, worker, slots)
            while self._has_heard_all() and self.signals.take_ends(are_due=False):
                if not flood.note_ended() or crew.timed or crew.aside.has_failed:
                    return
                plan.advance()
                if not plan.may_take_ahead or not flood.pass_on(plan.take):
                    return
                if self._record_at() <= time.monotonic():
                    self._note_ends(plan)
                    self._record_and_claim(plan)
                if self.is_troubled:
                    return
                if self._flood_until() <= time.monotonic():
                    break
                for key, _ in self.selector.select(flood.pause):
                    key.data()
            is_over = False  # there is something else to be done in between
        except OSError as error:  # of the system: a flood needs more of it than its commands
            log.info("no supervisors: %s", error.strerror)
        finally:
            if self.flood is not None:
                lasted = self.flood.lasted
                plan.put_back(self.flood.end())
                self.flood = None
            if is_over:
                self.gauge.note_flood(lasted)

    def renew_by(self, renewal: Renewal) -> None:
        """Take over new code, by returning from `run`, as this says."""
        self.renewal = renewal
        self.crew.hear_ends(renewal.note_ended)
        self.crew.records.hear_imports(renewal.note_imported)

    def stop(self) -> None:
        """Start nothing new, end what runs, and have it requeued."""
        self._begin_drain()
        self.crew.steering.stop(self.settings["grace"])

    def drain(self) -> None:
        """Start nothing new, and let what runs go on for the grace."""
        self._begin_drain()
        self.crew.calls.take_back_all()
        if self.grace is not None:
            self.drain_until = time.monotonic() + self.grace

    def _begin_drain(self) -> None:
        self.is_draining = True
        self._check_at = 0.0  # the queue is told in the same turn

    def close(self) -> None:
        """Leave the queue; nothing may be running."""
        if self.renewal is not None:
            self.renewal.abandon()
        self.crew.close()
        self.ears.close()
        self.membership.leave(self.broker)
        self.upkeep.do_last()

    # Its sentences

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
            is_first = not self.ears.are_open
            if is_poll or (is_first and now >= self._deaf_until):
                self._poll_at = now + self.ears.open(self.broker)
                if is_first or now >= self._round_at:
                    self._make_round(now)
                self._poll()
            self._tell_of_drain()
            if self.crew.jobs:
                self.crew.steering.handle(self.broker.requests(self.membership.id))
            plan.check()
        except (BrokerError, OSError) as error:  # even to look, the system may lack something
            self._postpone(error)

    def _tell_of_drain(self) -> None:
        """Have the queue know that we drain; who runs nothing is about to leave it anyway."""
        is_told = self._is_drain_told or self.membership.kind == XARGS
        if self.is_draining and self.crew.jobs and not is_told:
            self.broker.drain(self.membership.id)
            self._is_drain_told = True

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

    def _is_over(self, plan: Plan) -> bool:
        return self._is_idle() and (self.is_draining or plan.is_over())

    def _is_ready_to_reload(self) -> bool:
        if self.is_renewing:
            self.crew.calls.take_back_all()
        return self.is_renewing and not self.crew.news and not self.crew.is_draining
