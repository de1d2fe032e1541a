"""Own where a run keeps its tasks: the queue, or a private one where that cannot be used.

A place is more than a queue that could be opened: this process is enlisted as a worker there and
the group of the run is made, so a disk that is full or a file that cannot be written shows before
anything runs, and costs one warning.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress

from aque import brokers, runs, states, surroundings, trust
from aque.brokers.base import Broker
from aque.commands.xargs import quoting, say
from aque.commands.xargs.settings import Options
from aque.errors import AqueError, BrokerError, StateError, TaskNotFoundError, UsageError
from aque.prototype import Prototype
from aque.record import record
from aque.report import Progress
from aque.requirements import Requirements, limits_text, missing_limit
from aque.schedule import hosts
from aque.schedule.resources import Resources
from aque.task import Task
from aque.worker import host, membership
from aque.worker.host import Host
from aque.worker.membership import Membership, Share
from aque.worker.signals import NOTED

UNLIMITED = 1 << 30
_LONGEST_NAME = 200
_MEMORY, _PREFIX = "/dev/shm", "aque-xargs-"


@record(frozen=True)
class Place:
    """A queue, this process as a worker of it, and the group of this run; `is_private` goes.

    `environ` is the group's, which the queue knows as `environment`.
    """

    broker: Broker
    member: Membership
    group: int
    environment: int | None
    environ: Mapping[str, str]
    is_private: bool

    def model(self, options: Options) -> Prototype:
        """Return what the task of each command is like, but for its arguments."""
        return make_model(options, self.group, needs(options, self.member.id, self.is_private))


@contextmanager
def open_place(options: Options) -> Iterator[Place]:
    """Open the queue; where that cannot be, say so and open a private one.

    Raises AqueError where a run is to be resumed that cannot be.
    """
    if options.resume is not None:
        place = _settle(options.broker, options, is_private=False)
        yield place
        _close(place.broker)
        return
    try:
        place = _settle(options.broker, options, is_private=False)
    except (BrokerError, UsageError) as error:
        if isinstance(error, UsageError) and options.broker is not None:
            raise
        what = str(error).partition("; ")[0]  # the remedy can wait: it does its work all the same
        say(f"warning: {what}; nothing of this run will be kept")
    else:
        is_named = options.broker or os.environ.get("AQUE_BROKER")
        if place.broker.is_new and is_named and os.isatty(2):  # it may be mistyped
            say(f"made a new queue, {place.broker.to_url()}")
        yield place
        _close(place.broker)
        return
    with ExitStack() as stack:
        place = _settle_privately(options, stack)
        yield place
        _close(place.broker)


def _settle(url: str | None, options: Options, is_private: bool) -> Place:
    broker = brokers.from_url(url, durable=False)
    here = host.this_host()
    share = Share(here.cpus, here.memory, options.max_procs or UNLIMITED)
    try:
        _refuse_what_cannot_be(options, broker, here, is_private)
        member = membership.join(broker, here, membership.XARGS, None, share)
        group = None if options.resume is None else _reopen(broker, options, member)
        if group is None:
            (id,) = broker.create([make_group(options, member)])
            (group,) = broker.fetch([id])
        environ = {} if group.environment is None else broker.environ(group.environment)
    except OSError as error:
        _close(broker)
        raise BrokerError(f"cannot use the queue {broker.to_url()}: {error.strerror}") from None
    except AqueError:
        _close(broker)
        raise
    return Place(broker, member, group.id, group.environment, environ, is_private)


def _refuse_what_cannot_be(options: Options, broker: Broker, here: Host, is_private: bool) -> None:
    """Raise StateError for a limit without tokens enough, or another or larger host than this."""
    if not is_private:
        refuse_missing_limits(options, broker)
    if options.host is not None and not hosts.matches(options.host, host.names()):
        raise StateError(f"this host is none of {options.host}; --detach leaves it to workers")
    if options.needs_room:
        _refuse_what_never_fits(needs(options, None, is_private), broker, here)


def _refuse_what_never_fits(need: Requirements, broker: Broker, here: Host) -> None:
    limits = broker.limits()
    tokens = {name: limit.capacity for name, limit in limits.items()}
    whole = Resources(here.cpus, here.memory, 1, tokens)
    if whole.lacks(need):
        from aque.schedule import why

        reasons = [
            f"{reason}; --detach leaves it to workers"
            for reason in why.too_large(need, whole, "this host")
        ]
        raise StateError((reasons or why.lacking_tokens(need, limits))[0])


def needs(options: Options, worker: int | None, is_private: bool) -> Requirements:
    """Return what each command needs; a private queue has no limits."""
    return Requirements(
        user=trust.user_name(),
        cpus=options.cpus or 0.0,
        memory=options.memory or 0,
        limits=None if is_private else limits_text(dict(options.limits)),
        reserved=worker,
    )


def refuse_missing_limits(options: Options, broker: Broker) -> None:
    """Raise StateError for a limit that nobody has set."""
    for name, _ in options.limits:
        if name not in broker.limits():
            raise StateError(missing_limit(name))


def _reopen(broker: Broker, options: Options, member: Membership) -> Task:
    """Take up a run again, in its directory."""
    assert options.resume is not None
    try:
        (group,) = broker.fetch([options.resume])
        if group.cwd is not None:
            _enter(group.cwd)
        need = needs(options, member.id, is_private=False)
        broker.reopen(group.id, make_model(options, group.id, need))
    except AqueError:
        member.leave(broker)
        raise
    return broker.fetch([group.id])[0]


def _enter(directory: str) -> None:
    try:
        os.chdir(directory)
    except OSError as error:
        raise StateError(f"the run was in {directory}: {error.strerror}") from None


def make_model(options: Options, group: int, need: Requirements) -> Prototype:
    """Return what the task of each command is like, here and detached, but for its arguments."""
    stdin = "/dev/tty" if options.open_tty else None
    return Prototype(
        pattern="shell", parent=group, requirements=need, stdin=stdin,
        timeout=options.timeout, retries=options.retries,
    )  # fmt: skip


def make_group(options: Options, member: Membership) -> Prototype:
    """Return the group of a run, with what it takes to resume it."""
    here = dict(surroundings.take())
    if here["cwd"] is not None and _text(here["cwd"]) != here["cwd"]:
        here["cwd"] = None  # no text; our commands stay in it all the same
    name = options.name or f"xargs {quoting.quote(options.command)}"
    return Prototype(
        name=_text(name)[:_LONGEST_NAME],
        status=states.CREATING,
        priority=options.priority,
        requirements=Requirements(user=trust.user_name(), cpus=0.0),
        owner=member.id,
        extra=runs.recorded(options.words, options.command),
        **here,
    )


def note_total(broker: Broker, group: int, total: int) -> None:
    """Have the queue know that the input of a run has ended: with how many commands."""
    with suppress(TaskNotFoundError):  # somebody has removed it
        (task,) = broker.fetch([group])
        broker.report_progress(Progress(group, task.attempt, None, float(total), None))


def _text(name: str) -> str:
    """Return it without the bytes that are no text."""
    return name.encode("utf-8", "backslashreplace").decode()


def _close(broker: Broker) -> None:
    with suppress(BrokerError):  # a disk that is full: what it holds is whole all the same
        broker.close()


def _settle_privately(options: Options, stack: ExitStack) -> Place:
    """Open a queue that goes with the stack: in memory, or if that is full where TMPDIR says."""
    import tempfile

    # From here on a signal must not end us without a trace; `Signals.install` lets them through.
    signal.pthread_sigmask(signal.SIG_BLOCK, NOTED)
    with suppress(OSError, BrokerError):
        made = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=_MEMORY)
        return _settle(f"{stack.enter_context(made)}/queue.db", options, is_private=True)
    try:
        made = tempfile.TemporaryDirectory(prefix=_PREFIX)
    except OSError as error:
        raise BrokerError(f"no room for a private queue: {error.strerror}; set TMPDIR") from None
    return _settle(f"{stack.enter_context(made)}/queue.db", options, is_private=True)


def is_killed(broker: Broker, group: int) -> bool:
    """Whether somebody has killed a group, or removed it."""
    try:
        return broker.fetch([group])[0].cancel_at is not None
    except TaskNotFoundError:
        return True
