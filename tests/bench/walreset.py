"""Own the stress of SQLite's WAL-reset bug: writers, and a checkpoint every millisecond, in memory.

SQLite up to 3.51.2 can lose committed writes when a writer resets the write-ahead log while another
connection checkpoints it (sqlite.org/wal.html, section 11). Three processes write as fast as they
can, each noting what was committed, and one checkpoints. Afterwards every write that was committed
must be there and the file whole. Stock SQLite is the peer: where it comes through unharmed, the
stress has shown nothing; where it does not, the same stress must leave a queue of aque whole, since
its write lock keeps a checkpoint out of every transaction.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from tempfile import TemporaryDirectory
from typing import NamedTuple

from rounds import interleave
from table import show

from aque import brokers, trust
from aque.brokers.sqlite.broker import SQLiteBroker
from aque.location import find
from aque.prototype import Prototype
from aque.requirements import Requirements

WRITERS = 3
_INTERVAL = 0.001
_MEMORY = "/dev/shm"
#: Seconds unless told. Stock SQLite 3.40 was corrupted in about half of all rounds of 30 s.
_SECONDS = 100.0


class Outcome(NamedTuple):
    writes: int
    checkpoints: int
    #: What was wrong, one line each.
    harm: tuple[str, ...]


def run(number: int | None, rounds: int) -> None:
    """The stress that corrupts stock SQLite, 100 s (-n) of it, beside that."""
    seconds = _SECONDS if number is None else float(number)
    acts = {name: partial(stress, name, seconds / rounds) for name in _KINDS}
    outcomes = interleave(acts, rounds, warm=0)
    title = f"WAL reset: {seconds:g} s each, {WRITERS} writers, SQLite {sqlite3.sqlite_version}"
    rows = [
        [
            name,
            f"{sum(one.writes for one in made):,}",
            f"{sum(one.checkpoints for one in made):,}",
            f"{sum(bool(one.harm) for one in made)} of {len(made)}",
        ]
        for name, made in outcomes.items()
    ]
    show(title, ["commits", "checkpoints", "corrupted"], rows)
    for name, made in outcomes.items():
        for line in (line for one in made for line in one.harm[:3]):
            print(f"  {name}: {line}")


def stress(kind: str, seconds: float) -> Outcome:
    """Write and checkpoint for so long; say what is wrong then."""
    with TemporaryDirectory(prefix="aque-wal-", dir=_memory()) as directory:
        path = os.path.join(directory, "queue.db")
        _KINDS[kind].make(path)
        words = [sys.executable, os.path.abspath(__file__), kind, path, str(seconds)]
        roles = [str(number) for number in range(WRITERS)] + ["checkpoint"]
        processes = [
            subprocess.Popen([*words, role], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for role in roles
        ]
        told = [process.communicate() for process in processes]
        harm = [
            f"{role}: {error.decode().strip().splitlines()[-1]}"
            for role, (_, error) in zip(roles, told)
            if error.strip()
        ]
        done = [int((said or b"0").split()[-1]) for said, _ in told]
        harm += _KINDS[kind].check(path, done[:WRITERS])
    return Outcome(sum(done[:-1]), done[-1], tuple(harm))


def _memory() -> str | None:
    return _MEMORY if os.access(_MEMORY, os.W_OK) else None


class Kind(NamedTuple):
    make: Callable[[str], None]
    write: Callable[[str, int, float], int]
    checkpoint: Callable[[str, float], int]
    #: Given how many writes each writer has committed, say what is wrong.
    check: Callable[[str, list[int]], list[str]]


# Stock SQLite


@contextmanager
def _plain(path: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = NORMAL")
        yield connection


def _plain_make(path: str) -> None:
    with _plain(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("CREATE TABLE task (id INTEGER PRIMARY KEY, writer, number, args)")
        connection.execute("CREATE INDEX of_writer ON task (writer, number)")


def _plain_write(path: str, writer: int, until: float) -> int:
    done = 0
    insert = "INSERT INTO task (writer, number, args) VALUES (?, ?, ?)"
    with _plain(path) as connection:
        while time.monotonic() < until:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(insert, (writer, done, "x" * 200))
            connection.execute("COMMIT")
            done += 1
            _keep_note(done)
    return done


def _plain_checkpoint(path: str, until: float) -> int:
    with _plain(path) as connection:
        return _each_millisecond(until, lambda: _checkpoint(connection))


def _plain_check(path: str, done: list[int]) -> list[str]:
    with _plain(path) as connection:
        harm = _integrity(connection)
        for writer, committed in enumerate(done):
            count = "SELECT count(DISTINCT number) FROM task WHERE writer = ?"
            harm += _missing(connection, count, (writer,), writer, committed)
    return harm


# aque


def _queue_make(path: str) -> None:
    brokers.from_url(path, durable=False).close()


def _queue_write(path: str, writer: int, until: float) -> int:
    broker = brokers.from_url(path, durable=False)
    needs = Requirements(user=trust.user_name())
    done = 0
    while time.monotonic() < until:
        broker.create([Prototype(pattern="shell", name=str(writer), requirements=needs)])
        done += 1
        _keep_note(done)
    broker.close()
    return done


def _queue_checkpoint(path: str, until: float) -> int:
    broker = SQLiteBroker(find(path), durable=False)
    database = broker._database
    thread = database._thread()
    writer = database._writer(thread)

    def act() -> None:
        with thread.lock.held():
            _checkpoint(writer)

    done = _each_millisecond(until, act)
    broker.close()
    return done


def _queue_check(path: str, done: list[int]) -> list[str]:
    with _plain(path) as connection:
        harm = _integrity(connection)
        for writer, committed in enumerate(done):
            count = "SELECT count(*) FROM task WHERE name = ?"
            harm += _missing(connection, count, (str(writer),), writer, committed)
    return harm


# What both need


def _each_millisecond(until: float, act: Callable[[], None]) -> int:
    done = 0
    while time.monotonic() < until:
        act()
        done += 1
        time.sleep(_INTERVAL)
    return done


def _checkpoint(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint").fetchall()


def _integrity(connection: sqlite3.Connection) -> list[str]:
    try:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check").fetchall()]
    except sqlite3.DatabaseError as error:
        return [f"integrity_check: {error}"]
    return [f"integrity_check: {line}" for line in found if line != "ok"]


def _missing(
    connection: sqlite3.Connection, count: str, values: tuple[object, ...], writer: int, done: int
) -> list[str]:
    try:
        ((there,),) = connection.execute(count, values).fetchall()
    except sqlite3.DatabaseError as error:
        return [f"writer {writer}: {error}"]
    return [f"writer {writer}: {done - there} of {done} commits lost"] if there < done else []


def _keep_note(done: int) -> None:
    """Have what was committed known even if the next write raises."""
    sys.stdout.write(f"{done}\n")


_KINDS = {
    "sqlite": Kind(_plain_make, _plain_write, _plain_checkpoint, _plain_check),
    "aque": Kind(_queue_make, _queue_write, _queue_checkpoint, _queue_check),
}


def main() -> int:
    """Play one role in the stress of a file: that of a writer, or of the checkpoints."""
    kind, path, seconds, role = sys.argv[1:]
    until = time.monotonic() + float(seconds)
    if role == "checkpoint":
        print(_KINDS[kind].checkpoint(path, until))
    else:
        _KINDS[kind].write(path, int(role), until)
    return 0


if __name__ == "__main__":
    sys.exit(main())
