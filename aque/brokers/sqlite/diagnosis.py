"""Own what can be said of a queue before it is opened: SQLite, its disk, locks and permissions."""

from __future__ import annotations

import fcntl
import grp
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from aque import location, trust
from aque.brokers.questions import Finding
from aque.brokers.sqlite import place, sharing
from aque.errors import BrokerError
from aque.location import Location

_OLDEST = (3, 26, 0)
#: Where the WAL-reset bug is fixed (sqlite.org/wal.html, section 11): from the first on, and in
#: the last of two older lines.
_FIXED = (3, 51, 3)
_FIXED_LINES = {(3, 50): 7, (3, 44): 6}
#: Bytes below which a disk is as good as full.
_LITTLE = 64 << 20
#: Seconds by which clocks may differ.
_SKEW = 5.0
_ANOTHER = "name another queue with --broker"
#: Exits with 0 where another process' lock is seen.
_SEES_LOCK = """
import fcntl, os, sys
try:
    fcntl.lockf(os.open(sys.argv[1], os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(0)
sys.exit(1)
"""


def examine(where: Location) -> Iterator[Finding]:
    """Yield what is found around a queue, whether there is one yet or not."""
    yield _build()
    directory = os.path.dirname(where.path)
    if os.path.isdir(directory):
        yield _disk(where)
        yield _locks(directory)
        if where.is_shared:
            yield from _clock(directory)
    elif not os.path.exists(directory):
        yield from _no_directory(where)
    yield from _permissions(where.path)


def refuse_lockless(directory: str) -> None:
    """Raise BrokerError where locks do not hold in a directory that is there."""
    found = _locks(directory) if os.path.isdir(directory) else None
    if found is not None and found.remedy:
        raise BrokerError(f"{found.subject} {found.text}; {found.remedy}")


def repair(where: Location) -> None:
    """Put right what can be of what is beside a queue that is not open here."""
    if not list(place.refusals(where.path)):
        place.make_writable(where.path)


def _no_directory(where: Location) -> Iterator[Finding]:
    try:
        place.find_room(where, create=False)
    except BrokerError as error:
        yield _wrong("directory", error)
        return
    closed = place.unmakeable(os.path.dirname(where.path))
    if closed is not None:
        yield _wrong("directory", place.unwritable_error(closed, where.path))


def _wrong(subject: str, error: BrokerError) -> Finding:
    text, _, remedy = str(error).partition("; ")
    return Finding(subject, text, remedy or _ANOTHER)


def _build() -> Finding:
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < _OLDEST:
        return Finding("SQLite", f"{version} is too old", "use a Python with SQLite 3.26 or newer")
    if sqlite3.threadsafety == 0:
        return Finding("SQLite", f"{version} is built without threads", "use another Python")
    line, patch = sqlite3.sqlite_version_info[:2], sqlite3.sqlite_version_info[2]
    is_fixed = sqlite3.sqlite_version_info >= _FIXED or patch >= _FIXED_LINES.get(line, 1000)
    bug = "" if is_fixed else "; its WAL-reset bug is kept off by aque's write lock"
    return Finding("SQLite", f"{version}{bug}")


def _disk(where: Location) -> Finding:
    kind = location.file_system_type(where.path)
    scope = "shared" if where.is_shared else "local"
    free = os.statvfs(os.path.dirname(where.path))
    room = free.f_bavail * free.f_frsize
    text = f"{kind}, used as a {scope} disk, {room / (1 << 30):.1f} GiB free"
    if room < _LITTLE:
        remedy = f"free some room; until then tasks wait{_largest_output(where.directory)}"
        return Finding("disk", text, remedy)
    return Finding("disk", text)


def _largest_output(directory: str) -> str:
    try:
        with os.scandir(os.path.join(directory, "output")) as found:
            size, path = max(((each.stat().st_size, each.path) for each in found), default=(0, ""))
    except OSError:  # none is there, or it went just now
        return ""
    id = os.path.basename(path).partition("-")[0]
    named = f"{path} ({size / (1 << 20):.1f} MiB)"
    return f". The largest output is {named}; aque-rm {id} removes it" if size else ""


def _locks(directory: str) -> Finding:
    """Try both kinds of locks, as another open file and as another process see them."""
    try:
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".aque-doctor-") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            works = is_flocked(file.name)
            fcntl.flock(file, fcntl.LOCK_UN)
            fcntl.lockf(file, fcntl.LOCK_EX)
            command = [sys.executable, "-c", _SEES_LOCK, file.name]
            works = works and subprocess.run(command, check=False).returncode == 0
    except OSError as error:
        return Finding(
            "locks", f"of files in {directory} cannot be had: {error.strerror}",
            "see to the directory's permissions, or to the lock service of its file system",
        )  # fmt: skip
    if works:
        return Finding("locks", "of files and of processes hold")
    return Finding(
        "locks", f"in {directory} do not keep others out",
        "keep the queue on another file system: here it would be corrupted",
    )  # fmt: skip


def _clock(directory: str) -> Iterator[Finding]:
    """Compare this host's clock with that of the disk, by which a new file is stamped."""
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(b"x")
            file.flush()
            ahead = time.time() - os.fstat(file.fileno()).st_mtime
    except OSError:  # as was said of the locks
        return
    if abs(ahead) <= _SKEW:
        yield Finding("clock", "agrees with that of the disk")
        return
    way = "ahead of" if ahead > 0 else "behind"
    yield Finding(
        "clock", f"{abs(ahead):.0f} s {way} that of the disk",
        "set it (NTP): delayed tasks start, and ended ones are forgotten, at the wrong time",
    )  # fmt: skip


def is_flocked(path: str) -> bool:
    """Whether another open file holds a lock on this one."""
    with open(path, "r+b") as other:
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _permissions(path: str) -> Iterator[Finding]:
    refused = list(place.refusals(path))
    for error in refused:
        yield _wrong("permissions", error)
    if refused or not os.path.exists(path):
        return
    for one in place.unwritable(path, (*place.FILES, *place.DIRECTORIES)):
        yield _wrong("permissions", place.unwritable_error(one, path))
    there = os.stat(path)
    yield _directory(path)
    yield (
        _shared(path, there)
        if place.is_shared(there)
        else Finding("permissions", f"private, of user {trust.user_name(there.st_uid)}")
    )
    if os.geteuid() == 0:
        yield _root(path, is_meant=there.st_uid == 0 and not place.is_shared(there))


def _directory(path: str) -> Finding:
    directory = os.path.dirname(path)
    mode = os.stat(directory).st_mode
    if mode & 0o002 and not mode & stat.S_ISVTX:
        return Finding(
            "permissions", f"everybody may remove what is in {directory}", f"chmod o-w {directory}"
        )
    return Finding("directory", directory)


def _shared(path: str, there: os.stat_result) -> Finding:
    group = trust.group_name(there.st_gid)
    try:
        members = ", ".join(grp.getgrgid(there.st_gid).gr_mem) or "nobody by name"
    except KeyError:
        members = "unknown"
    text = f"shared with group {group} ({members}), who can run commands as each other"
    closed = sharing.unreachable(path)
    if closed is not None:
        return Finding("permissions", f"{text}, but cannot enter {closed}", f"chmod g+x {closed}")
    return Finding("permissions", text)


def _root(path: str, is_meant: bool) -> Finding:
    problems = list(place.unsafe_for_root(path))
    if not problems:
        return Finding("root", "a worker of root's would run tasks of all users from it")
    text = f"a worker of root's runs nothing from it: {problems[0]}"
    return Finding("root", text, "see to that, or have no worker of root's" if is_meant else "")
