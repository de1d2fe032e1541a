"""Own the worker: one thread, one loop, one blocking call.

Each turn notes what ended, passes on signals, records and claims in one transaction, starts what it
claimed, and waits: for an end, output, a signal, a bell, or the next deadline.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aque.brokers.base import Broker
from aque.worker import leftovers, processes, talk, terminal
from aque.worker.crew import Crew
from aque.worker.dues import SHORT, Dues
from aque.worker.exchange import Exchange
from aque.worker.flood.relay import Relay
from aque.worker.guarding import Guard
from aque.worker.liveness import Observer
from aque.worker.lookout import Lookout
from aque.worker.membership import Membership
from aque.worker.plan import Plan
from aque.worker.signals import Signals
from aque.worker.standing import Standing
from aque.worker.starter import Foreground, Starter
from aque.worker.upkeep import Upkeep

if TYPE_CHECKING:
    from aque.worker.renewal import Renewal

log = logging.getLogger("aque.worker")


class Worker:
    """Runs tasks of one queue, as its plan says, until that is over or a signal ends it.

    `grace` is how many seconds a first TERM lets running tasks go on; None is as long as they need.
    """

    def __init__(
        self,
        broker: Broker,
        membership: Membership,
        signals: Signals,
        grace: float | None = None,
        foreground: Foreground | None = None,
    ) -> None:
        self.broker = broker
        self.signals = signals
        self.selector = selectors.DefaultSelector()
        self._grace = grace
        self._drain_until: float | None = None
        #: Whether it was started on a terminal: when that closes, a HUP tells so.
        self.on_terminal = False
        settings = broker.settings()
        self._kill_grace = settings["grace"]
        marks = {"AQUE_BROKER": broker.to_url(), leftovers.MARK: membership.token}
        starter = Starter(broker, marks, int(membership.share.cpus) or 1, foreground)
        # A short run of aque-xargs would pay more for these than for its commands.
        later = 0.0 if foreground is None else time.monotonic() + SHORT
        self.crew = Crew(starter, self.selector, _guard(membership.token, foreground, later))
        self.standing = Standing(broker, membership, self.crew)
        self.dues = Dues(self.crew.news, self.crew.aside, later, _round(broker, settings))
        observer = Observer(broker, membership.here, membership.id)
        ours = (self.standing, self.dues)
        self.exchange = Exchange(*ours, observer)
        self._lookout = Lookout(*ours, self.exchange, observer, self.selector)
        self._relay = Relay(*ours, self.exchange, self._lookout, signals, self.selector)
        self._upkeep = Upkeep(broker)
        self.selector.register(signals.fileno(), selectors.EVENT_READ, lambda: None)
        broker.register_worker(self)

    def run(self, plan: Plan) -> None:
        """Run until the plan is over or a signal ends it; return early to reload."""
        crew, exchange = self.crew, self.exchange
        self.dues.begin()
        processes.adopt_orphans()
        while True:
            crew.note_ended()
            crew.guard.attend(bool(crew.jobs))
            if self.standing.renewal is not None:
                self.standing.renewal.attend()
            exchange.note_ends(plan)
            self._heed_signals(plan)
            self._see_to_limits()
            self._lookout.check(plan)  # first: what somebody has cancelled must not begin
            exchange.begin_own(plan)
            plan.advance()
            exchange.begin_own(plan)  # what the plan has made just now
            exchange.record_and_claim(plan)
            if crew.is_idle:
                self._upkeep.do_piece()
            if self._is_over(plan) or self._is_ready_to_reload():
                return
            self._wait()
            self._relay.go_on(plan)

    def wake_for_work(self) -> None:
        """Look for work at once; from any thread of this process."""
        self.dues.look_again()
        self.signals.wake()

    @property
    def is_draining(self) -> bool:
        """Whether it starts nothing new, and ends once what runs has."""
        return self.standing.is_draining

    def change_slots(self, slots: int) -> None:
        """Run at most so many tasks at a time, and at least one."""
        self.standing.change_slots(slots)
        self.dues.check_by()  # the queue is told, too
        self.dues.look_again()
        log.info("%d slots", self.standing.share.slots)

    def renew_by(self, renewal: Renewal) -> None:
        """Take over new code, by returning from `run`, as this says."""
        self.standing.renewal = renewal
        self.crew.hear_ends(renewal.note_ended)
        self.crew.records.hear_imports(renewal.note_imported)

    def stop(self) -> None:
        """Start nothing new, end what runs, and have it requeued."""
        self._begin_drain()
        self.crew.steering.stop(self._kill_grace)

    def drain(self) -> None:
        """Start nothing new, and let what runs go on for the grace."""
        self._begin_drain()
        self.crew.calls.take_back_all()
        if self._grace is not None:
            self._drain_until = time.monotonic() + self._grace

    def _begin_drain(self) -> None:
        self.standing.is_draining = True
        self.dues.check_by()  # the queue is told in the same turn

    def close(self) -> None:
        """Leave the queue; nothing may be running."""
        if self.standing.renewal is not None:
            self.standing.renewal.abandon()
        self.crew.close()
        self._lookout.close()
        self.standing.membership.leave(self.broker)
        self._upkeep.do_last()

    # Over a reload

    def state(self) -> dict[str, Any]:
        """Return what the program after a reload must know of how it is to end."""
        return {
            "is_draining": self.standing.is_draining,
            "drain_until": self._drain_until,
            "on_terminal": self.on_terminal,
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on as the worker of the program before."""
        self.standing.is_draining = state["is_draining"]
        self._drain_until = state["drain_until"]
        self.on_terminal = state["on_terminal"]

    # Its sentences

    def _heed_signals(self, plan: Plan) -> None:
        for number in self.signals.take():
            if not plan.heed(number):
                self._heed(number)
        if self._drain_until is not None and time.monotonic() >= self._drain_until:
            self._drain_until = None
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
            self.change_slots(self.standing.share.slots + step)
        elif number == signal.SIGTSTP:
            os.kill(os.getpid(), signal.SIGSTOP)

    def _heed_hangup(self) -> None:
        """Take over new code; but where the terminal has gone, there will be nobody to say TERM."""
        if self.on_terminal and not terminal.is_there():
            if not self.is_draining:
                log.warning("the terminal has gone; %d tasks are running", len(self.crew.jobs))
                self.drain()
        elif self.standing.renewal is not None:
            self.standing.renewal.ask()

    def _see_to_limits(self) -> None:
        self.crew.calls.take_back_late(time.monotonic())
        self.crew.steering.enforce_limits(self._kill_grace)
        self.crew.steering.kill_overdue()

    def _wait(self) -> None:
        self.exchange.gather()
        until = max(min(self._deadlines()), self.dues.retry_at)
        for key, _ in self.selector.select(max(0.0, until - time.monotonic())):
            key.data()

    # What they rest on

    def _deadlines(self) -> Iterator[float]:
        crew, standing = self.crew, self.standing
        yield self.dues.quiet_until()
        yield crew.guard.next_deadline(bool(crew.jobs))
        if standing.has_room:
            yield self.dues.look_at
        elif not standing.is_leaving and standing.has_slot:
            yield crew.room.look_at
        if crew.is_idle:
            yield self._upkeep.at
        renewal = None if standing.renewal is None else standing.renewal.next_deadline()
        for deadline in (crew.next_deadline(), self._drain_until, renewal):
            if deadline is not None:
                yield deadline

    def _is_over(self, plan: Plan) -> bool:
        return self.crew.is_idle and (self.is_draining or plan.is_over())

    def _is_ready_to_reload(self) -> bool:
        if not self.standing.is_renewing:
            return False
        self.crew.calls.take_back_all()
        return not self.crew.news and not self.crew.is_draining


def _round(broker: Broker, settings: Mapping[str, float]) -> float:
    """Return the seconds from one round to the next."""
    return min(settings["poll"], settings["heartbeat"]) if broker.is_shared else settings["poll"]


def _guard(token: str, foreground: Foreground | None, later: float) -> Guard:
    """Return a guard. Where Ctrl-Z may stop a command too soon, it is there before that."""
    if foreground is None or not terminal.is_there():
        return Guard(token, later, foreground is not None)
    guard = Guard(token, is_shared=True)
    guard.attend(has_jobs=True)
    return guard
