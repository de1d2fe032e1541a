"""Own where a run keeps its tasks: the queue, or a private one where that cannot be used.

A place is more than a queue that could be opened: this process is enlisted as a worker there and
the group of the run is made, so a disk that is full or a file that cannot be written shows before
anything runs, and costs one warning.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from aque import brokers, prototypes, states, trust
from aque.brokers.base import Broker
from aque.commands.xargs import quoting, say
from aque.commands.xargs.settings import Options
from aque.errors import BrokerError, UsageError
from aque.task import Prototype, Requirements
from aque.worker import host, membership
from aque.worker.membership import Membership, Share
from aque.worker.signals import NOTED

UNLIMITED = 1 << 30
_LONGEST_NAME = 200
_MEMORY, _PREFIX = "/dev/shm", "aque-xargs-"


@dataclass(frozen=True, slots=True)
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


@contextmanager
def open_place(options: Options) -> Iterator[Place]:
    """Open the queue; where that cannot be, say so and open a private one."""
    try:
        place = _settle(options.broker, options, is_private=False)
    except (BrokerError, UsageError) as error:
        if isinstance(error, UsageError) and options.broker is not None:
            raise
        say(f"warning: {error}; nothing of this run will be kept")
    else:
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
        member = membership.join(broker, here, membership.XARGS, None, share)
        group = _group(options, member)
        (id,) = broker.create([group])
        environment = broker.fetch([id])[0].environment
    except OSError as error:
        _close(broker)
        raise BrokerError(f"cannot use the queue {broker.to_url()}: {error.strerror}") from None
    except BrokerError:
        _close(broker)
        raise
    return Place(broker, member, id, environment, group.environ or {}, is_private)


def _group(options: Options, member: Membership) -> Prototype:
    here = prototypes.surroundings()
    if here["cwd"] is not None and _text(here["cwd"]) != here["cwd"]:
        here["cwd"] = None  # no text; our commands stay in it all the same
    name = options.name or f"xargs {quoting.quote(options.command)}"
    return Prototype(
        name=_text(name)[:_LONGEST_NAME],
        status=states.CREATING,
        priority=options.priority,
        requirements=Requirements(user=trust.user_name(), cpus=0.0),
        owner=member.id,
        **here,
    )


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
