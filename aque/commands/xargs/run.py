"""Own a run of aque-xargs from its options to its exit status: what it is set up from."""

from __future__ import annotations

import gc
import logging
import os

from aque.commands.xargs import limits, say, write
from aque.commands.xargs.audience import Audience
from aque.commands.xargs.backlog import Backlog
from aque.commands.xargs.display import Display
from aque.commands.xargs.joblog import JobLog
from aque.commands.xargs.place import Place, open_place
from aque.commands.xargs.plan import Plan
from aque.commands.xargs.settings import Options
from aque.commands.xargs.source import Source
from aque.errors import BrokerError, UsageError
from aque.schedule import hosts
from aque.worker import turns
from aque.worker.loop import Worker
from aque.worker.signals import Signals
from aque.worker.starter import Foreground

_NUMBERS = ("priority", "cpus", "memory", "timeout")
#: What --detach cannot have, by its field.
_HERE_ONLY = {
    "resume": "--resume", "halt": "--halt", "joblog": "--joblog", "bar": "--bar", "eta": "--eta",
    "tag": "--tag", "keep_order": "--keep-order", "grouped": "--group", "by_line": "--line-buffer",
    "interactive": "-p", "open_tty": "-o", "slot_var": "--process-slot-var",
}  # fmt: skip


def run(options: Options) -> int:
    """Run the commands; return the exit status, or minus the signal that ended the run."""
    if options.resume is not None:
        from aque.commands.xargs import resuming

        options = resuming.recall(options)
    _refuse(options)
    source = Source(options)
    if options.show_limits:
        _show_limits(options)
    if options.detach and not options.dry_run:
        from aque.commands.xargs import detaching

        return detaching.detach(options, source)
    is_resumed = options.resume is not None
    beyond = resuming.compare(options, source) if is_resumed else []
    if options.dry_run:
        from aque.commands.xargs import listing

        return listing.print_commands(source, resuming.rest(options, beyond) if is_resumed else ())
    log = JobLog(options.joblog, is_resumed) if options.joblog else None
    display = Display(options) if options.keeps_output else None
    with open_place(options) as place:
        source.leave_stdin()
        worker = _worker(place, options, display)
        earlier = resuming.earlier(place.broker, place.group, beyond) if is_resumed else None
        backlog = Backlog(place.broker, source, place.model(options), earlier)
        audience = Audience(options, display, log)
        plan = Plan(worker, source, options, backlog, audience, place.group)
        gc.freeze()
        gc.enable()
        try:
            worker.run(plan)
            plan.finish()
            worker.close()
        except BrokerError as error:  # we have not left, so who finds us dead does the rest
            say(f"{error}; the next worker closes task {place.group}")
            return plan.tell(is_broken_off=True)
        finally:
            audience.close()
        return plan.tell()


def _refuse(options: Options) -> None:
    """Raise UsageError for options that do not go together, or that no queue could hold."""
    numbers = {name: getattr(options, name) for name in _NUMBERS if getattr(options, name)}
    if numbers:
        from aque import fields  # few runs have any

        fields.check(numbers)
    if options.host is not None:
        hosts.check(options.host)
    if options.interactive and options.needs_room:
        raise UsageError("-p cannot ask for commands that wait for cpus, memory or a limit")
    if options.detach:
        for field, name in _HERE_ONLY.items():
            if getattr(options, field):
                raise UsageError(f"{name} needs the commands here; leave it or --detach out")


def _show_limits(options: Options) -> None:
    write(2, limits.report(os.environb, options.max_chars))
    if os.isatty(0):
        runs_empty = not options.no_run_if_empty
        write(2, limits.report_on_terminal(options.command[0], runs_empty))


def _worker(place: Place, options: Options, display: Display | None) -> Worker:
    turns.shorten()
    signals = Signals()
    ignored = signals.install(keep_ignored=True)
    logging.getLogger("aque.worker").addHandler(_Told())
    stdin_kept = options.arg_file is not None
    tee = None if display is None else display.hear
    foreground = Foreground(stdin_kept, ignored, options.slot_var, place.is_private, tee)
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
