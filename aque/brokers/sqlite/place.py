"""Own who may use the file of a queue, and what may stand beside it.

Whoever may write to a queue decides what its workers run, as the workers' user. So the file's owner
and mode are the whole of it: there is no list of users that could say something else. Mode 0600 is
private. Mode 0660, in a directory that hands its group on (2770), is shared with that group, by
`aque-init --group`; its members can then run commands as each other. Root may use any queue, but a
worker of root's runs tasks as any user, so it believes only what nobody but root can have written:
the file, what SQLite keeps beside it, and each directory on the way.

What stands beside the file is as good as the file: a planted -wal is replayed into it, a planted
lock is not everybody's, and a link could have us, or root, write elsewhere. Each must belong to the
owner of the queue or to root, or carry the queue's group where that is shared. By a second name of
the file, a hard link, all of it would be other files: so there may be none.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator, Sequence

from aque import trust
from aque.brokers.sqlite import beside
from aque.errors import BrokerError, TrustError, UnwritableError
from aque.location import Location, is_default

#: What SQLite and aque keep beside a queue, and which of it are directories.
FILES = ("-wal", "-shm", "-journal", "-lock")
DIRECTORIES = (".d", ".d/workers", ".d/output")


def refuse(path: str) -> None:
    """Raise BrokerError, or TrustError, for a file that is not ours to use as a queue."""
    for error in refusals(path):
        raise error


def refuse_unwritable(path: str) -> None:
    """Raise UnwritableError for a queue that may only be read.

    SQLite would find that out, but not before it has made files beside it that nobody may write to.
    """
    for one in unwritable(path):
        raise unwritable_error(one, path)


def refuse_root_worker(path: str) -> None:
    """Raise TrustError where others than root could say what a worker of root's is to run."""
    for problem in unsafe_for_root(path):
        raise TrustError(
            f"a worker of root's runs nothing from {path}: {problem}; "
            "run it as the queue's owner, or use a queue of root's own"
        )


def refusals(path: str) -> Iterator[BrokerError]:
    """Yield all that keeps this user from the queue; nothing where there is no file yet."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        yield BrokerError(
            f"cannot reach {path}: {error.strerror}; name another queue with --broker"
        )
        return
    if stat.S_ISDIR(there.st_mode):
        yield BrokerError(f"{path} is a directory, not a queue; name a file in it with --broker")
    elif not stat.S_ISREG(there.st_mode):
        yield BrokerError(f"{path} is not a regular file; name another queue with --broker")
    elif there.st_nlink > 1:
        yield BrokerError(
            f"{path} has {there.st_nlink} names (hard links): by each the lock is another file, "
            f"and tasks would be lost; keep one (find DIRECTORY -samefile {path} names them)"
        )
    else:
        yield from _foreign(path, there)
        yield from _beside(path, there)


def unwritable(path: str, suffixes: Sequence[str] = FILES) -> Iterator[str]:
    """Yield what this user may not write to of a queue that is there, and of what is beside it."""
    if os.path.exists(path):
        for one in (path, os.path.dirname(path), *(path + suffix for suffix in suffixes)):
            needed = os.W_OK | os.X_OK if os.path.isdir(one) else os.W_OK
            if os.path.lexists(one) and not os.access(one, needed):
                yield one


def unwritable_error(one: str, path: str) -> UnwritableError:
    """Return what to tell who may not write to the queue at `path`, for want of `one`."""
    if os.statvfs(one).f_flag & os.ST_RDONLY:
        why, remedy = errno.EROFS, "name another queue with --broker"
    elif _is_mendable(one, path):
        why, remedy = errno.EACCES, "aque-doctor --repair gives it the queue's mode again"
    else:
        owner = trust.user_name(os.stat(one).st_uid)
        why = errno.EACCES
        remedy = f"have its owner, {owner}, chmod it, or name another queue with --broker"
    return UnwritableError(f"cannot write to {one}: {os.strerror(why)}; {remedy}")


def make_writable(path: str) -> None:
    """Give what is beside a queue the queue's mode again, where we may not write to it.

    This process may not have the queue open: to close its files would drop SQLite's locks.
    """
    for one in unwritable(path, (*FILES, *DIRECTORIES)):
        if _is_mendable(one, path):
            liken = beside.liken_directory if os.path.isdir(one) else beside.liken_file
            liken(one, os.stat(path))


def _is_mendable(one: str, path: str) -> bool:
    is_beside = one.startswith(path) and one != path
    return is_beside and os.access(path, os.W_OK) and os.stat(one).st_uid == os.geteuid()


def is_shared(there: os.stat_result) -> bool:
    """Whether a queue is shared with its group."""
    return there.st_mode & 0o060 == 0o060


def hands_group_on(directory: str, gid: int) -> bool:
    """Whether what is made in a directory gets this group, whoever makes it."""
    there = os.stat(directory)
    is_inherited = bool(there.st_mode & stat.S_ISGID) or sys.platform == "darwin"
    return there.st_gid == gid and is_inherited


def unsafe_for_root(path: str) -> Iterator[str]:
    """Yield what others than root may write of all that a queue consists of."""
    for one in (path, *(path + suffix for suffix in (*FILES, *DIRECTORIES))):
        try:
            there = os.lstat(one)
        except FileNotFoundError:
            continue
        yield from _writable(one, there, 0o022)
    directory = path
    while directory != os.path.dirname(directory):
        directory = os.path.dirname(directory)
        there = os.stat(directory)  # in a sticky one only its owner can replace a file
        yield from _writable(directory, there, 0 if there.st_mode & stat.S_ISVTX else 0o022)


def _writable(path: str, there: os.stat_result, bits: int) -> Iterator[str]:
    if there.st_uid != 0:
        yield f"{path} belongs to {trust.user_name(there.st_uid)}"
    elif there.st_mode & bits & 0o002:
        yield f"everybody may write to {path}"
    elif there.st_mode & bits & 0o020:
        yield f"group {trust.group_name(there.st_gid)} may write to {path}"


def _foreign(path: str, there: os.stat_result) -> Iterator[BrokerError]:
    owner, group = trust.user_name(there.st_uid), trust.group_name(there.st_gid)
    if os.geteuid() not in (0, there.st_uid):
        if not is_shared(there):
            yield TrustError(
                f"{path} belongs to user {owner}, not to you; name your own with --broker, "
                f"or have {owner} share it (aque-init --group)"
            )
        elif there.st_gid not in trust.group_ids():
            yield TrustError(
                f"{path} belongs to user {owner}, not to you, and is shared with group {group}, "
                "in which you are not; name your own with --broker"
            )
    if there.st_mode & 0o002:
        yield TrustError(
            f"everybody may write to {path}, and so run commands as you; "
            "chmod o-w it, or keep it on a file system that keeps modes"
        )
    if there.st_mode & 0o020 and not hands_group_on(os.path.dirname(path), there.st_gid):
        yield TrustError(
            f"group {group} may write to {path}, but its directory does not hand that group on; "
            f"aque-init --broker {path} --group {group} shares it, chmod g-w makes it private"
        )


def _beside(path: str, queue: os.stat_result) -> Iterator[BrokerError]:
    for suffix in (*FILES, *DIRECTORIES):
        one = path + suffix
        try:
            there = os.lstat(one)
        except OSError:  # not there, or in a directory that is spoken of already
            continue
        kind = "directory" if suffix in DIRECTORIES else "regular file"
        is_right = stat.S_ISDIR if suffix in DIRECTORIES else stat.S_ISREG
        if not is_right(there.st_mode):
            yield BrokerError(f"{one} is not a {kind}; move it away")
        elif not _belongs(there, queue):
            yield TrustError(
                f"{one} belongs to user {trust.user_name(there.st_uid)}, who does not own the "
                "queue; move it away"
            )
        elif there.st_mode & 0o002:
            yield TrustError(f"everybody may write to {one}; chmod o-w it first")


def _belongs(there: os.stat_result, queue: os.stat_result) -> bool:
    if there.st_uid in (queue.st_uid, 0):
        return True
    return is_shared(queue) and there.st_gid == queue.st_gid


def find_room(location: Location, create: bool) -> None:
    """Refuse a queue in a directory that is not there: its name was mistyped.

    With `create` the directory of the user's own queue is made, private, and the file, empty:
    beside none, nothing is made (beside.py).
    """
    directory = os.path.dirname(location.path)
    is_own = is_default(location)
    if not is_own and not os.path.isdir(directory):
        raise BrokerError(
            f"there is no directory {directory} for a queue; make it (mkdir -p), "
            "or name another queue with --broker"
        )
    if not create:
        return
    try:
        if is_own:
            os.makedirs(directory, mode=0o700, exist_ok=True)
        create_empty(location.path)
    except OSError as error:
        raise BrokerError(
            f"cannot make {error.filename}: {error.strerror}; name another queue with --broker"
        ) from None


def unmakeable(directory: str) -> str | None:
    """Return what of the way to a directory that is not there keeps us from making it."""
    while not os.path.lexists(directory):
        directory = os.path.dirname(directory)
    is_open = os.path.isdir(directory) and os.access(directory, os.W_OK | os.X_OK)
    return None if is_open else directory


def missing(location: Location) -> BrokerError:
    """Return what to tell who only looks or steers, where there is no queue yet."""
    path = location.path
    if is_default(location):
        return BrokerError(
            f"there is no queue yet at {path}; aque-submit echo hello makes it, with a first task"
        )
    return BrokerError(f"there is no queue at {path}; aque-init --broker {path} makes one")


def create_empty(path: str) -> bool:
    """Make the file private before SQLite does, which would follow the umask; whether it is new.

    One that is there and empty still is new too.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return os.path.getsize(path) == 0
    return True
