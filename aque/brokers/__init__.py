"""Own which broker a URL means: SQLite's, or one of a plug-in.

A plug-in provides its broker by an entry point of the group `aque.brokers`, named by the scheme of
its URLs: a function of (url, durable, create) that returns a Broker.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from aque import location
from aque.brokers.base import Broker
from aque.brokers.questions import Finding
from aque.errors import UsageError


def from_url(url: str | None = None, *, durable: bool = True, create: bool = True) -> Broker:
    """Open the queue at `url`, a URL or a path; by default $AQUE_BROKER, else the user's own.

    With `durable`, what a method returned survives a power cut; without, a crash of any process.
    Raises BrokerError where it cannot be reached, TrustError where it is not ours to use, and
    UsageError for a scheme that nobody provides.
    """
    text = url or os.environ.get("AQUE_BROKER") or ""
    scheme, colon, _ = text.partition("://")
    if colon and scheme != "sqlite":
        return _from_plugin(scheme, text, durable, create)
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


def refuse_lockless(url: str | None) -> None:
    """Raise BrokerError where a queue is to be made on a shared disk on which locks do not hold."""
    try:
        where = location.find(url)
    except UsageError:  # a plug-in's, or one that is refused as it is opened
        return
    if where.is_shared and not os.path.exists(where.path):
        from aque.brokers.sqlite import diagnosis

        diagnosis.refuse_lockless(os.path.dirname(where.path))


def copy_whole(url: str | None, source: str, part: str) -> None:
    """Copy a queue to the name `part`, to take the place of another.

    Raises UsageError where it is not whole, or is that other.
    """
    from aque.brokers.sqlite import restoring

    restoring.copy_whole(location.find(url), source, part)


def restore(url: str | None, part: str) -> str | None:
    """Give what `copy_whole` made the name of a queue; return that of the old one, if any.

    Raises StateError while the old one is in use.
    """
    from aque.brokers.sqlite import restoring

    return restoring.restore(location.find(url), part)


def path_of(url: str | None = None) -> str:
    """Return the file of a queue, whether it is there or not."""
    return location.find(url).path


def is_own_to_come(url: str | None = None) -> bool:
    """Whether it is the user's own queue that is meant, and not made yet."""
    where = location.find(url)
    return location.is_default(where) and not os.path.exists(where.path)


def diagnose(url: str | None = None) -> Iterable[Finding]:
    """Look at all around a queue, without opening it."""
    from aque.brokers.sqlite import diagnosis

    return diagnosis.examine(location.find(url))


def repair(url: str | None = None) -> None:
    """Put right what can be around a queue that is not open here."""
    from aque.brokers.sqlite import diagnosis

    diagnosis.repair(location.find(url))


def _from_plugin(scheme: str, url: str, durable: bool, create: bool) -> Broker:
    from importlib.metadata import entry_points

    for point in entry_points(group="aque.brokers"):
        if point.name == scheme:
            made: Broker = point.load()(url, durable=durable, create=create)
            return made
    raise UsageError(f"no broker for {scheme}://; use sqlite:///path or a path")
