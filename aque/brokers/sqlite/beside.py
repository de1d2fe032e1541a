"""Own how files and directories beside a queue are made: with its group, mode and owner.

Whoever may use the queue must be able to use all that belongs to it, and nobody else. What is made
is made exclusively and changed by its descriptor, never by its name: in a directory that somebody
else may write to, a name can be another file by then, and root would give that away.
"""

from __future__ import annotations

import os
import stat

from aque.errors import BrokerError


def open_file(path: str, queue: str, flags: int = os.O_RDWR) -> int:
    """Open `path`, making it with the queue's mode, group and, as root, owner."""
    flags |= os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # no link, and no waiting on a FIFO
    try:
        descriptor = _open_or_create(path, queue, flags)
    except OSError as error:
        raise BrokerError(
            f"cannot open {path}: {error.strerror}; name another queue with --broker"
        ) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BrokerError(f"{path} is not a regular file; move it away")
    return descriptor


def _open_or_create(path: str, queue: str, flags: int) -> int:
    while True:
        try:
            return os.open(path, flags)
        except FileNotFoundError:
            pass
        try:
            return create_file(path, queue, flags)
        except FileExistsError:
            continue  # another was faster


def create_file(path: str, queue: str, flags: int = os.O_RDWR) -> int:
    """Make a file that must not be there yet. Raises OSError, also where there is no queue.

    What is left on the bare mount point of a disk would keep that from being mounted again.
    """
    flags |= os.O_CLOEXEC | os.O_CREAT | os.O_EXCL
    like = os.stat(queue)
    mode = like.st_mode & 0o666
    descriptor = os.open(path, flags, mode)
    try:
        _liken(descriptor, like, mode)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def make_directory(path: str, queue: str) -> None:
    """Make a directory that those who can use the queue can use; an existing one is left."""
    like = os.stat(queue)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return
    liken_directory(path, like)


def liken_directory(path: str, like: os.stat_result) -> None:
    """Give a directory the group of a queue, its owner as root, and what its mode allows."""
    mode = like.st_mode & 0o660
    mode |= (mode & 0o440) >> 2 | 0o100
    _liken_by_name(path, like, mode | (stat.S_ISGID if mode & 0o070 else 0), os.O_DIRECTORY)


def liken_file(path: str, like: os.stat_result) -> None:
    """Give a file the group and mode of a queue, and its owner as root."""
    _liken_by_name(path, like, like.st_mode & 0o666, os.O_NONBLOCK)


def _liken_by_name(path: str, like: os.stat_result, mode: int, flags: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags)
    try:
        _liken(descriptor, like, mode)
    finally:
        os.close(descriptor)


def _liken(descriptor: int, like: os.stat_result, mode: int) -> None:
    there = os.fstat(descriptor)
    owner = like.st_uid if os.geteuid() == 0 else -1
    if there.st_gid != like.st_gid or owner not in (-1, there.st_uid):
        os.fchown(descriptor, owner, like.st_gid)
    if stat.S_IMODE(there.st_mode) != mode:
        os.fchmod(descriptor, mode)  # past the umask
