"""Own how files and directories beside a queue are made: with its group, mode and owner.

Whoever may use the queue must be able to use all that belongs to it, and nobody else.
"""

from __future__ import annotations

import os
import stat

from aque.errors import BrokerError


def open_file(path: str, queue: str, flags: int = os.O_RDWR) -> int:
    """Open `path`, making it with the queue's mode, group and, as root, owner."""
    flags |= os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # no link, and no waiting on a FIFO
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        descriptor = _create(path, queue, flags)
    except OSError as error:
        raise BrokerError(
            f"cannot open {path}: {error.strerror}; name another queue with --broker"
        ) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BrokerError(f"{path} is not a regular file; move it away")
    return descriptor


def _create(path: str, queue: str, flags: int) -> int:
    try:
        like = os.stat(queue)
        mode = like.st_mode & 0o666
    except FileNotFoundError:
        like, mode = None, 0o600
    try:
        descriptor = os.open(path, flags | os.O_CREAT, mode)
        if like is not None:
            _liken(path, like, mode)
    except OSError as error:
        raise BrokerError(
            f"cannot make {path}: {error.strerror}; name another queue with --broker"
        ) from None
    return descriptor


def make_directory(path: str, queue: str) -> None:
    """Make a directory that those who can use the queue can use; an existing one is left."""
    like = os.stat(queue)
    mode = like.st_mode & 0o660
    mode |= (mode & 0o440) >> 2 | 0o100
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        return
    _liken(path, like, mode | (stat.S_ISGID if mode & 0o070 else 0))


def _liken(path: str, like: os.stat_result, mode: int) -> None:
    there = os.lstat(path)
    owner = like.st_uid if os.geteuid() == 0 else -1
    if there.st_gid != like.st_gid or owner not in (-1, there.st_uid):
        os.chown(path, owner, like.st_gid, follow_symlinks=False)
    if stat.S_IMODE(there.st_mode) != mode:
        os.chmod(path, mode)  # past the umask
