"""Own the shape of the file: what marks it as a queue, and the numbered schema files.

Migrations only add, so that a worker of an older version goes on unharmed beside a newer one.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from aque.errors import BrokerError

#: "aque" in ASCII, where file(1) and we look for it (sqlite.org/pragma.html#pragma_application_id).
APPLICATION_ID = 0x61717565

_DIRECTORY = os.path.join(os.path.dirname(os.path.dirname(__file__)), "schema", "sqlite")


def check(connection: sqlite3.Connection, path: str) -> None:
    """Refuse a file that is somebody else's database, or of a version yet to come."""
    application = _pragma(connection, "application_id")
    is_empty = _pragma(connection, "page_count") == 0
    if application != APPLICATION_ID and not is_empty:
        raise BrokerError(
            f"{path} is a SQLite database, but not an aque queue; name another with --broker"
        )
    newest = versions()[-1][0]
    version = _pragma(connection, "user_version")
    if version > newest:
        raise BrokerError(
            f"{path} is of version {version} and this aque knows {newest}; upgrade this aque"
        )


def refuse_empty(connection: sqlite3.Connection, path: str, create: bool) -> None:
    """Refuse an empty file to who only wants to look: a name that was mistyped is noticed."""
    if not create and _pragma(connection, "page_count") == 0:
        raise BrokerError(f"{path} is empty, not a queue; aque-init --broker {path} makes one")


def prepare(connection: sqlite3.Connection, path: str, journal: str) -> str:
    """Set what must be set before the first table; return the journal that the queue has.

    Only a log that nobody uses is given up, for `delete`. The write lock is held.
    """
    if _pragma(connection, "page_count") == 0:
        connection.execute("PRAGMA auto_vacuum = 2")
        return _journal(connection, f"journal_mode = {journal}")
    present = _journal(connection, "journal_mode")
    if present == journal or journal == "wal":
        return present
    try:
        connection.execute("PRAGMA busy_timeout = 0").fetchall()
        return _journal(connection, f"journal_mode = {journal}")
    except sqlite3.OperationalError as error:
        raise BrokerError(
            f"{path} is in use by one machine at a time (journal=wal); end what uses it, or name"
            " it without ?journal=delete"
        ) from error


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date, each step whole or not at all. The write lock is held."""
    for version, path in versions():
        if version > _pragma(connection, "user_version"):
            with open(path, encoding="utf-8") as file:
                statements = file.read()
            try:
                connection.executescript(
                    f"BEGIN IMMEDIATE;\n{statements}\n"
                    f"PRAGMA application_id = {APPLICATION_ID};\n"
                    f"PRAGMA user_version = {version};\nCOMMIT;"
                )
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")


def is_outdated(rows: Callable[[str], list[tuple[Any, ...]]]) -> bool:
    """Whether another process has brought the schema past what this one knows."""
    return int(rows("PRAGMA user_version")[0][0]) > versions()[-1][0]


@lru_cache
def versions() -> list[tuple[int, str]]:
    """Return the schema's numbers and files, in order, as they were when this process began.

    A file that an upgrade adds later is for the code that comes with it.
    """
    names = sorted(name for name in os.listdir(_DIRECTORY) if name.endswith(".sql"))
    return [(int(name.split("_")[0]), os.path.join(_DIRECTORY, name)) for name in names]


def _journal(connection: sqlite3.Connection, pragma: str) -> str:
    ((journal,),) = connection.execute(f"PRAGMA {pragma}").fetchall()
    return str(journal)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    ((value,),) = connection.execute(f"PRAGMA {name}").fetchall()
    return int(value)
