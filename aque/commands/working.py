"""Own how aque-worker works: its plans, its log, its reload."""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

from aque import brokers, proctitle, states
from aque.brokers.base import Broker
from aque.brokers.questions import Condition
from aque.commands import terminal as screens
from aque.commands.options import note_new
from aque.errors import BrokerError
from aque.record import record
from aque.report import End
from aque.task import Task
from aque.worker import host, membership, program, reload, talk, terminal
from aque.worker.loop import Worker
from aque.worker.membership import WORKER, Membership, Share
from aque.worker.renewal import Renewal
from aque.worker.signals import Signals
from aque.worker.watching import Watch

#: Tasks at a time for each cpu, where --slots does not say: bounds those that take no cpu.
SLOTS_PER_CPU = 16
#: Seconds until the queue is opened again that could not be after a reload.
_RETRY_DELAY = 1.0
#: Tasks looked at to say how many are left.
_LEFT_MOST = 1000

log = logging.getLogger("aque.worker")


@record(frozen=True)
class Options:
    broker: str | None
    cpus: float | None
    memory: int | None
    slots: int | None
    name: str | None
    grace: float | None
    reload: bool
    verbose: bool
    quiet: bool
    log_format: str
    parent: int | None = None


class Plan:
    """What aque-worker is for: any task, until none is left where `mode` says so.

    One that is `attending` ends when its standard input does, or the process `parent`, its own.
    """

    hears_each = True
    may_take_ahead = False

    def __init__(self, mode: str, parent: int | None = None) -> None:
        self._mode = mode
        self._parent = parent
        self._worker: Worker | None = None
        self.ends = 0

    def attach(self, worker: Worker) -> None:
        self._worker = worker
        if self._mode == "attending":
            worker.selector.register(0, selectors.EVENT_READ, self._note_end_of_input)

    def _note_end_of_input(self) -> None:
        """Finish what runs, and end: whoever started us has ended, or wants no more."""
        assert self._worker is not None
        if not os.read(0, 4096):
            self._worker.selector.unregister(0)
            self._worker.drain()

    def heed(self, number: int) -> bool:
        return False

    def advance(self) -> None:
        """See that the parent is there: a fork of it would keep our standard input open."""
        assert self._worker is not None
        if self._parent not in (None, os.getppid()) and not self._worker.is_draining:
            self._worker.drain()

    def check(self) -> None:
        pass

    def take(self) -> Task | None:
        return None

    def put_back(self, tasks: Sequence[Task]) -> None:
        pass

    def may_claim(self) -> bool:
        assert self._worker is not None
        return self._mode != "one" or not (self.ends or self._worker.crew.jobs)

    def note_start(self, task: Task) -> None:
        pass

    def note_end(self, task: Task, end: End) -> None:
        if end.is_final or end.is_retry:  # else it counts for nothing
            self.ends += 1

    def is_over(self) -> bool:
        assert self._worker is not None
        if self._mode == "one":
            return self.ends > 0 or self._worker.exchange.is_dry
        return self._mode == "to-end" and self._worker.exchange.is_dry


def work(signals: Signals, mode: str, options: Options) -> None:
    """Run as a worker until the plan is over; a reload execs and comes back here anew."""
    this = program.this_program()
    proctitle.set_title("aque-worker")
    _log_to_stderr(options)
    if program.is_check():
        broker = brokers.from_url(options.broker, durable=False, create=False)
        broker.search(limit=1)  # that the tasks can be read, too
        broker.close()
        signals.block()  # Python lets go of the handlers at its end
        return
    state = reload.take_state()
    broker = _open(options, has_jobs=state is not None)
    worker = _worker(broker, signals, options, state)
    worker.standing.is_awaited = mode != "forever"
    if mode == "one":
        worker.change_slots(1)
    watched = None if state is None else state["watched"]
    renewal = Renewal(this, Watch(watched) if options.reload else None)
    worker.renew_by(renewal)
    plan = Plan(mode, options.parent)
    plan.attach(worker)
    while True:
        worker.run(plan)
        if not renewal.is_ready or (worker.is_draining and not worker.crew.jobs):
            break
        _reload(worker, renewal)
    if mode == "to-end" and not worker.is_draining:
        _say_what_is_left(broker)
    worker.close()
    broker.close()


def _open(options: Options, has_jobs: bool) -> Broker:
    """Open the queue; after a reload jobs are running, so then one that fails is waited for.

    An executor's is never made anew: its tasks would not be in it.
    """
    is_there = has_jobs or options.parent is not None
    while True:
        try:
            broker = brokers.from_url(options.broker, durable=False, create=not is_there)
            note_new(broker, "aque-worker")
            return broker
        except BrokerError as error:
            if not has_jobs:
                raise
            log.error("%s; trying again", error)
            time.sleep(_RETRY_DELAY)


def _say_what_is_left(broker: Broker) -> None:
    left = [
        task
        for task in broker.search([Condition("status", "=", states.PENDING)], limit=_LEFT_MOST)
        if task.waiting == 0
    ]
    if left:
        some = f"{len(left)} or more" if len(left) == _LEFT_MOST else len(left)
        log.warning("left what cannot run here: %s (aque-status --why %d)", some, left[0].id)


def _worker(
    broker: Broker, signals: Signals, options: Options, state: dict[str, Any] | None
) -> Worker:
    here = host.this_host()
    if state is not None:
        share = Share(**state["share"])
        member = Membership(**state["membership"], here=here, share=share)
        worker = Worker(broker, member, signals, options.grace)
        reload.resume(worker, state)
        log.info("reloaded, with %d tasks running", len(worker.crew.jobs))
        return worker
    cpus = here.cpus if options.cpus is None else options.cpus
    memory = here.memory if options.memory is None else options.memory
    slots = options.slots or max(1, int(here.cpus * SLOTS_PER_CPU))
    share = Share(cpus, memory, slots)
    member = membership.join(broker, here, WORKER, options.name, share)
    log.info("worker %d on %s: %g cpus", member.id, broker.to_url(), cpus)
    at = screens.place(broker.to_url())
    talk.say_begin(os.getpid(), slots, at)
    worker = Worker(broker, member, signals, options.grace)
    worker.on_terminal = not signals.were_ignored(signal.SIGHUP) and terminal.is_there()
    return worker


def _reload(worker: Worker, renewal: Renewal) -> None:
    try:
        reload.execute(worker, renewal)
    except (OSError, BrokerError) as error:
        renewal.refuse(str(error))


def _log_to_stderr(options: Options) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if options.log_format == "json" else _Text())
    ours = logging.getLogger("aque")  # of the worker, and of its jobs
    ours.addHandler(handler)
    ours.propagate = False
    ours.setLevel(
        logging.ERROR if options.quiet else logging.INFO if options.verbose else logging.WARNING
    )
    if sys.stderr.isatty() and not options.quiet:
        talk.told.setLevel(logging.INFO)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        if record.name == talk.told.name and sys.stderr.isatty():
            return f"\raque-worker: {record.getMessage()}"  # over the ^C that stands there
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        name = "" if record.name in (log.name, talk.told.name) else f"{record.name}: "
        return f"{at} aque-worker: {name}{record.getMessage()}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        level, text = record.levelname.lower(), record.getMessage()
        return json.dumps({"at": at, "level": level, "logger": record.name, "message": text})
