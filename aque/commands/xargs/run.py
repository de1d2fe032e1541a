"""Own a run of aque-xargs from its options to its exit status: what it is set up from."""

from __future__ import annotations

import gc
import logging
import os

from aque.commands.xargs import limits, say, write
from aque.commands.xargs.place import Place, open_place
from aque.commands.xargs.plan import Plan
from aque.commands.xargs.settings import Options
from aque.commands.xargs.source import Source
from aque.errors import BrokerError, UsageError
from aque.worker.loop import Worker
from aque.worker.signals import Signals
from aque.worker.starter import Foreground


def run(options: Options) -> int:
    """Run the commands; return the exit status, or minus the signal that ended the run."""
    if options.interactive:
        raise UsageError("-p, --interactive is not there yet; use xargs for it")
    source = Source(options)
    if options.show_limits:
        _show_limits(options)
    with open_place(options) as place:
        worker = _worker(place, options)
        plan = Plan(worker, source, options, place.group)
        gc.freeze()
        gc.enable()
        try:
            worker.run(plan)
            plan.finish()
            worker.close()
        except BrokerError as error:  # we have not left, so who finds us dead does the rest
            say(f"{error}; the next worker closes task {place.group}")
        return plan.tell()


def _show_limits(options: Options) -> None:
    write(2, limits.report(os.environb, options.max_chars))
    if os.isatty(0):
        runs_empty = not options.no_run_if_empty
        write(2, limits.report_on_terminal(options.command[0], runs_empty))


def _worker(place: Place, options: Options) -> Worker:
    signals = Signals()
    ignored = signals.install(keep_ignored=True)
    logging.getLogger("aque.worker").addHandler(_Told())
    stdin_kept = options.arg_file is not None
    foreground = Foreground(stdin_kept, ignored, options.slot_var, place.is_private)
    worker = Worker(place.broker, place.member, signals, foreground=foreground)
    worker.crew.starter.know_environ(place.environment, place.environ)
    return worker


class _Told(logging.Handler):
    """Tells what the worker complains of, once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._last = ""

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message != self._last:
            say(message)
        self._last = message
