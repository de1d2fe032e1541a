"""Own how one short command follows another: where one has ended the next starts, before all else.

Between two commands all is cold that a processor caches, since a command has just thrown it out:
the same work takes twice as long there as it does in one go. So here is done what cannot wait, as
directly as can be; how they ended is told of many at a time. Once that is not fast enough either it
is a flood.
"""

from __future__ import annotations

import logging
import os
import selectors
import time
from collections.abc import Callable

from aque.task import Task
from aque.worker.crew import Crew
from aque.worker.dues import Dues
from aque.worker.exchange import Exchange
from aque.worker.flood.gauge import Gauge
from aque.worker.lookout import Lookout
from aque.worker.plan import Plan
from aque.worker.signals import Signals
from aque.worker.standing import Standing

#: Ends heard in one go: between two the loop looks what else is due.
_MOST = 8

log = logging.getLogger("aque.worker")


class Relay:
    """What has a worker start its own tasks between two turns of its loop."""

    def __init__(
        self,
        standing: Standing,
        dues: Dues,
        exchange: Exchange,
        lookout: Lookout,
        signals: Signals,
        selector: selectors.BaseSelector,
    ) -> None:
        self._standing = standing
        self._crew = standing.crew
        self._dues = dues
        self._exchange = exchange
        self._lookout = lookout
        self._signals = signals
        self._selector = selector
        self._gauge = Gauge()

    def go_on(self, plan: Plan) -> None:
        """Start one's own tasks as others end, until there is something else to be done.

        A whole turn costs as much as the start of a command: this is what makes short ones fast.
        """
        crew, dues, exchange, standing = self._crew, self._dues, self._exchange, self._standing
        if not crew.starter.is_foreground or standing.is_leaving or dues.is_troubled:
            return
        slots, worker = standing.slots(time.monotonic()), standing.membership.id
        while self._lookout.has_heard_all() and self._signals.take_ends():
            if self._gauge.is_flood(slots) and plan.may_take_ahead and not plan.may_claim():
                self._run_flood(plan, slots)
                return
            if pass_on(crew, plan.take, worker, slots):
                self._signals.hear_end()
            if plan.hears_each or crew.aside.has_failed or crew.news.unheard:
                exchange.note_ends(plan)
            plan.advance()
            if standing.has_slot:
                exchange.begin_own(plan)
            now = time.monotonic()
            due = self._quiet_until()
            if due <= now:
                self._gauge.note(len(crew.aside), now)
                exchange.note_ends(plan)
                exchange.record_and_claim(plan)
                now = time.monotonic()
                due = self._quiet_until()
            if due <= now or not crew.jobs or crew.timed or dues.retry_at > now:
                return
            for key, _ in self._selector.select(due - now):
                key.data()

    def _quiet_until(self) -> float:
        at = self._crew.guard.next_deadline(bool(self._crew.jobs))
        return min(at, self._dues.quiet_until())

    def _run_flood(self, plan: Plan, slots: int) -> None:
        """Have supervisors start one's own tasks, as long as it is a flood and nothing else.

        No guard is started meanwhile: commands end before one would be there.
        """
        crew, lasted, is_over = self._crew, 0.0, True
        try:
            from aque.worker.flood.flood import Flood  # a short run has none

            worker, selector = self._standing.membership.id, self._selector
            crew.flood = flood = Flood(crew, self._signals, selector, worker, slots)
            while self._lookout.has_heard_all() and self._signals.take_ends(are_due=False):
                if not flood.note_ended() or crew.timed or crew.aside.has_failed:
                    return
                plan.advance()
                if not plan.may_take_ahead or not flood.pass_on(plan.take):
                    return
                if self._dues.record_at() <= time.monotonic():
                    self._exchange.note_ends(plan)
                    self._exchange.record_and_claim(plan)
                if self._dues.is_troubled:
                    return
                if self._dues.quiet_until() <= time.monotonic():
                    break
                for key, _ in self._selector.select(flood.pause):
                    key.data()
            is_over = False  # there is something else to be done in between
        except OSError as error:  # of the system: a flood needs more of it than its commands
            log.info("no supervisors: %s", error.strerror)
        finally:
            if crew.flood is not None:
                lasted = crew.flood.lasted
                plan.put_back(crew.flood.end())
                crew.flood = None
            if is_over:
                self._gauge.note_flood(lasted)


def pass_on(crew: Crew, take: Callable[[], Task | None], worker: int, slots: int) -> bool:
    """Hear what has ended; start in its slot what `take` gives, where a command has succeeded.

    No more than `slots` run. From the first end of another kind on it only hears: of that the plan
    is to be told before anything else begins. Returns whether more may have ended.
    """
    jobs, news, put = crew.jobs, crew.news, crew.aside.put
    news.ended_at = time.monotonic()
    for _ in range(_MOST):
        try:
            pid, wait_status, rusage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if not pid:
            return False
        job = jobs.get(pid)
        if job is None or wait_status or job.streams or pid in crew.timed or job.is_ending:
            crew.note_end(pid, wait_status, rusage)
            crew.note_ended()
            return False
        now = time.time()
        put(job, wait_status, rusage, now)
        crew.guard.drop(pid)
        del jobs[pid]
        news.started.pop(pid, None)
        if len(jobs) >= slots or (task := take()) is None:
            crew.slots.give(job.slot)
            continue
        news.begun[task.id] = task.attempt, worker, now
        if not crew.start_in(task, job.slot):
            crew.note_ended()
            return False
    return True
