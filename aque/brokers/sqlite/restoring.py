"""Own how a copy takes the place of a queue that is damaged, or has gone wrong.

What SQLite keeps beside a file is that file's alone: a -wal or -journal that a crash has left would
be replayed into whatever gets the name, and damage it. So they go aside together with the old file,
which is a queue still under its new name; nothing is deleted. Outputs of attempts that the copy
does not know go with it, since their numbers are given again. All others stay where they are.

A process that has the queue open would go on by names that are the copy's now: as it closes, SQLite
deletes the -wal by its name. So nobody may have it open. A worker's lock tells, and the shared lock
that SQLite holds on a file with a write-ahead log; who has a queue without one open notices at the
next use (connection.py).
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Mapping
from contextlib import closing

from aque.brokers.sqlite import beside, diagnosis, kernel, place
from aque.brokers.sqlite.failures import translated
from aque.brokers.sqlite.glance import Glance
from aque.brokers.sqlite.lock import WriteLock
from aque.errors import BrokerError, StateError, UsageError
from aque.location import Location
from aque.record import replace

#: What goes aside with the file, before it.
_ITS_OWN = ("-wal", "-shm", "-journal")
#: The bytes of which SQLite locks one for each reader (sqlite.org/fileformat.html, section 1.4).
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510


def copy_whole(where: Location, source: str, part: str) -> None:
    """Copy the queue at `source` to `part`, with the owner, group and mode of that at `where`."""
    place.refuse(where.path)
    if not os.path.isfile(source):
        raise UsageError(f"there is no file {source}; name a copy made by aque-init --backup")
    if os.path.realpath(source) == where.path:
        raise UsageError(f"{source} is the queue itself; name a copy of it")
    whole = _whole(source)
    place.find_room(where, create=True)
    place.create_empty(part)
    whole.copy(part)
    beside.liken_file(part, os.stat(where.path))


def _whole(source: str) -> Glance:
    try:
        whole = Glance(Location(os.path.realpath(source), "wal", is_shared=False))
        ((text,),) = whole.read("PRAGMA integrity_check(1)")
        if text != "ok":
            raise BrokerError(f"{source} is damaged ({text})")
    except BrokerError as error:
        said, _, _ = str(error).partition("; ")
        raise UsageError(f"cannot restore {source}: {said}; name another copy") from error
    return whole


def restore(where: Location, part: str) -> str | None:
    """Have `part` be the queue at `where`; return the name of the old one, if there was one."""
    known: dict[int, int] = dict(
        Glance(replace(where, path=part)).read("SELECT id, attempt FROM task")
    )
    lock = WriteLock(where.path)
    with translated(where.path), closing(lock), lock.held():
        kernel.check(lock, "wal")  # whoever used the log: only of another machine is it refused
        if _is_in_use(where):
            raise StateError(
                f"{where.path} is in use; end its workers, and whatever else has it open, first "
                f"(fuser {where.path} names them)"
            )
        aside = f"{where.path}.{time.strftime('%Y%m%d-%H%M%S')}.old"
        while os.path.lexists(aside):
            aside += "+"
        has_moved = [_move(where.path, aside, suffix) for suffix in (*_ITS_OWN, "")]
        os.rename(part, where.path)
        _move_outputs(where.directory, aside, known)
        lock.set_note(b"")
    return aside if any(has_moved) else None


def _is_in_use(where: Location) -> bool:
    lives = os.path.join(where.directory, "workers")
    names = os.listdir(lives) if os.path.isdir(lives) else []
    if any(diagnosis.is_flocked(os.path.join(lives, name)) for name in names):
        return True
    with open(where.path, "r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
        except BlockingIOError:
            return True
    return False


def _move(path: str, aside: str, suffix: str) -> bool:
    """Move a file of the old queue aside, unless it holds nothing; whether there was one."""
    try:
        if not os.path.getsize(path + suffix):
            return False
        os.rename(path + suffix, aside + suffix)
    except FileNotFoundError:
        return False
    return True


def _move_outputs(directory: str, aside: str, known: Mapping[int, int]) -> None:
    """Move the outputs aside of attempts past those `known` of each task."""
    outputs = os.path.join(directory, "output")
    for name in os.listdir(outputs) if os.path.isdir(outputs) else ():
        id, attempt, *_ = (*name.split("-"), "", "")
        if id.isdigit() and attempt.isdigit() and int(attempt) > known.get(int(id), 0):
            os.makedirs(f"{aside}.d/output", mode=0o700, exist_ok=True)
            os.rename(os.path.join(outputs, name), f"{aside}.d/output/{name}")
