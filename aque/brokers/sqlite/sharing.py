"""Own how a queue is shared with a group: its directory, its file, and all that stands beside it.

SQLite makes its own files with the mode of the queue, but with whatever group the directory gives
them. So a shared queue has a directory of its own, of mode 2770, that hands its group on. The modes
are changed by name: whoever opened the queue or its -shm otherwise than through SQLite, would drop
the locks that are held on it when that is closed.
"""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterator

from aque import trust
from aque.brokers.sqlite import beside, place
from aque.errors import BrokerError, TrustError, UsageError

_DIRECTORY_MODE = 0o2770
_FILE_MODE = 0o660


def share(path: str, group: str) -> None:
    """Share the queue at `path` with a group; it is made there, empty, where there is none.

    Raises UsageError for a group that is not ours or a directory that holds other things too.
    """
    gid = _group_id(group)
    try:
        _share_directory(path, gid, group)
        place.create_empty(path)
        for one in _files(path):
            _give(one, gid, _FILE_MODE)
        like = os.stat(path)
        for directory, _, names in os.walk(path + ".d"):
            beside.liken_directory(directory, like)
            for name in names:
                beside.liken_file(os.path.join(directory, name), like)
    except OSError as error:
        raise BrokerError(
            f"cannot share {path}: {error.filename or path}: {error.strerror}; "
            "its owner can, and root"
        ) from None


def unreachable(path: str) -> str | None:
    """Return the first directory on the way to a queue that its group cannot enter."""
    gid = os.stat(path).st_gid
    directories = [os.path.dirname(path)]
    while directories[-1] != "/":
        directories.append(os.path.dirname(directories[-1]))
    for directory in reversed(directories):
        there = os.stat(directory)
        if not there.st_mode & (0o010 if there.st_gid == gid else 0o001):
            return directory
    return None


def _group_id(group: str) -> int:
    try:
        gid = grp.getgrnam(group).gr_gid
    except KeyError:
        raise UsageError(f"there is no group {group!r}; `id -Gn` lists yours") from None
    if os.geteuid() != 0 and gid not in trust.group_ids():
        raise UsageError(f"you are not in group {group!r}; `id -Gn` lists yours")
    return gid


def _share_directory(path: str, gid: int, group: str) -> None:
    directory = os.path.dirname(path)
    try:
        os.mkdir(directory, mode=0o700)
    except FileNotFoundError:
        above = os.path.dirname(directory)
        raise BrokerError(
            f"there is no directory {above} for a queue; make it (mkdir -p), "
            "or name another queue with --broker"
        ) from None
    except FileExistsError:
        if place.hands_group_on(directory, gid) and os.stat(directory).st_mode & 0o070 == 0o070:
            return
        _refuse_directory(path, directory, group)
    _give(directory, gid, _DIRECTORY_MODE)


def _refuse_directory(path: str, directory: str, group: str) -> None:
    """Refuse a directory that is not ours, or in which there is more than the queue."""
    if os.geteuid() not in (0, os.stat(directory).st_uid):
        raise TrustError(f"{directory} is not yours to share; choose another by --broker")
    name = os.path.basename(path)
    others = sorted(other for other in os.listdir(directory) if not other.startswith(name))
    if others:
        raise UsageError(
            f"{directory} holds other things ({others[0]}) that would be shared with {group} too; "
            f"give the queue a directory of its own, as --broker {directory}/queue/{name}"
        )


def _files(path: str) -> Iterator[str]:
    """Yield the files that there are, the queue first: what SQLite makes then is like it."""
    for one in (path, *(path + suffix for suffix in place.FILES)):
        try:
            there = os.lstat(one)
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(there.st_mode):
            raise BrokerError(f"{one} is not a regular file; move it away")
        yield one


def _give(path: str, gid: int, mode: int) -> None:
    os.chown(path, -1, gid, follow_symlinks=False)
    os.chmod(path, mode)  # after the group, since a change of that clears the set-gid bit
