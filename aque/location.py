"""Own where a queue is: which broker was meant, and what kind of file system it lies on.

SQLite's write-ahead log needs the shared memory of one kernel, so what matters before a file is
opened for the first time is whether its file system is one that a single kernel serves
(sqlite.org/wal.html). Only the types known as such count as local; all others are shared.
"""

from __future__ import annotations

import os

from aque import mounts
from aque.errors import BrokerError, UsageError
from aque.mounts import LOCAL_TYPES as LOCAL_TYPES
from aque.record import record

JOURNALS = ("wal", "delete")


@record(frozen=True)
class Location:
    """A queue's absolute path, and the SQLite journal it is to be made with."""

    path: str
    journal: str
    is_shared: bool

    @property
    def directory(self) -> str:
        """Where what lives beside the queue is: bells, liveness locks, large outputs."""
        return self.path + ".d"


def find(broker: str | None = None) -> Location:
    """Find the queue meant by `broker`, a URL or a path; else by $AQUE_BROKER; else the default.

    Raises UsageError for a URL of no queue in SQLite, BrokerError for a file that is a mount.
    """
    text = broker or os.environ.get("AQUE_BROKER") or default_path()
    path, journal = parse(text)
    path = os.path.realpath(os.path.expanduser(path))  # one lock, by whatever link it is named
    is_shared = journal == "delete" if journal else _disk_of(path).type not in LOCAL_TYPES
    return Location(path, journal or ("delete" if is_shared else "wal"), is_shared)


def default_path() -> str:
    """Return the path of the user's own queue (XDG Base Directory Specification: state)."""
    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):  # the specification: relative ones are to be ignored
        state = os.path.expanduser("~/.local/state")
    return os.path.join(state, "aque", "queue.db")


def is_default(location: Location) -> bool:
    """Whether it is the user's own queue, by whatever name."""
    return location.path == os.path.realpath(default_path())


def parse(text: str) -> tuple[str, str | None]:
    """Split `sqlite:///path?journal=...` or a bare path into the path and the journal asked for."""
    scheme, colon, rest = text.partition("://")
    if not colon:
        return text, None
    if scheme != "sqlite":
        raise UsageError(f"no broker for {scheme}://; use sqlite:///path or a path")
    path, _, query = rest.partition("?")
    if not path.startswith("/") or path == "/":
        raise UsageError(f"{text!r} has no absolute path; write sqlite:///path")
    return _unquote(path), _parse_query(query)


def to_url(location: Location) -> str:
    """Return the URL from which `find` finds the same queue, opened the same way."""
    natural = "wal" if file_system_type(location.path) in LOCAL_TYPES else "delete"
    return f"sqlite://{quoted(location.path)}" + (
        "" if natural == location.journal else f"?journal={location.journal}"
    )


def quoted(path: str) -> str:
    """Return a path as it stands in a URL."""
    for character in "%?#":
        path = path.replace(character, f"%{ord(character):02X}")
    return path


def file_system_type(path: str) -> str:
    """Return the type of the file system that `path`, or what of it exists, lies on."""
    return mounts.of(path, mounts.table()).type


def _disk_of(path: str) -> mounts.Mount:
    """Return what a queue lies on. Its file alone may not be a mount: what is beside it is not."""
    disk = mounts.of(path, mounts.table())
    if disk.point == path and not os.path.isdir(path):
        raise BrokerError(
            f"{path} is mounted by itself, without the lock and the log that are beside it where "
            "it comes from, and tasks would be lost; mount the directory that it is in"
        )
    return disk


def _unquote(path: str) -> str:
    if "%" not in path:
        return path
    from urllib.parse import unquote

    return unquote(path, errors="surrogateescape")


def _parse_query(query: str) -> str | None:
    journal = None
    for item in _items(query):
        key, _, value = item.partition("=")
        if key != "journal" or value not in JOURNALS:
            raise UsageError(
                f"{item!r} in a broker's URL is neither journal=wal nor journal=delete"
            )
        journal = value
    return journal


def _items(query: str) -> list[str]:
    return [item for item in query.split("&") if item]
