"""Own which broker a URL means."""

from __future__ import annotations

from collections.abc import Iterable

from aque import location
from aque.brokers.base import Broker, Finding


def from_url(url: str | None = None, *, durable: bool = True, create: bool = True) -> Broker:
    """Open the queue at `url`, a URL or a path; by default $AQUE_BROKER, else the user's own.

    With `durable`, what a method returned survives a power cut; without, a crash of any process.
    Raises BrokerError where it cannot be reached, TrustError where it is not ours to use.
    """
    from aque.brokers.sqlite.broker import SQLiteBroker

    return SQLiteBroker(location.find(url), durable=durable, create=create)


def share(url: str | None, group: str) -> str | None:
    """Share a queue with a group, making it where there is none.

    Its members can run commands as each other then. Return the directory on the way to it that they
    cannot enter, if there is one. Raises UsageError, BrokerError or TrustError.
    """
    from aque.brokers.sqlite import sharing

    path = location.find(url).path
    sharing.share(path, group)
    return sharing.unreachable(path)


def path_of(url: str | None = None) -> str:
    """Return the file of a queue, whether it is there or not."""
    return location.find(url).path


def diagnose(url: str | None = None) -> Iterable[Finding]:
    """Look at all around a queue, without opening it."""
    from aque.brokers.sqlite import diagnosis

    return diagnosis.examine(location.find(url))
