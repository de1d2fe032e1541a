"""Own the wake-up between processes: the bells, and how to ring one. `listening` hears them.

A submit must wake a worker on the same machine, an end must wake whoever waits for it, without a
server and without asking the database a thousand times a second.

A bell is an empty file beside the queue, and ringing it is to touch it after the commit.
Listeners watch the files with inotify: 56 us at the median, nothing while idle, and ringing costs
10 us whatever the number of listeners. Rejected: watching the -wal file (it changes before the
commit is visible, so a listener looks too early and then sleeps on what it missed), polling
PRAGMA data_version (546 us at a poll of 1 ms, for 3 % of a core), a FIFO or socket a listener
(the ringer has to know them all, and one that is stopped fills up).

Ringing is a hint, never a fact. Whoever listens looks at the queue first after it began to
watch, and again after each ring and at each poll; a ring that is lost (no inotify on macOS or on
shared disks, EMFILE, ENOSPC, a directory removed) costs one poll, so no error here is an error.
"""

from __future__ import annotations

import os
from functools import lru_cache

READY = "ready"  # a task became ready to run
DONE = "done"  # a task changed its state
OUTPUT = "output"  # a task's output grew
SIGNAL = "signal"  # somebody wants a running task signalled or cancelled

#: Seconds between two looks where nobody can be told: at most this late.
POLL = 1.0
#: The same where bells cannot be heard at all: the first, and what it grows to.
SHARED_POLL = (0.02, 0.25)


def ring(directory: str, name: str) -> None:
    """Wake whoever listens for `name`. Call it after the commit, without the lock held."""
    path = bell_path(directory, name)
    try:
        os.utime(path, follow_symlinks=False)
    except FileNotFoundError:
        make(path)
    except OSError:
        pass


@lru_cache(maxsize=100)
def bell_path(directory: str, name: str) -> str:
    return os.path.join(directory, name + ".bell")


def make(path: str) -> bool:
    """Make a bell as private or as shared as the directory it is in; as root its owner's."""
    try:
        like = os.stat(os.path.dirname(path))
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags, like.st_mode & 0o666)
    except OSError:
        return False
    try:
        if os.geteuid() == 0:
            os.fchown(descriptor, like.st_uid, like.st_gid)
        os.fchmod(descriptor, like.st_mode & 0o666)  # past the umask
    except OSError:
        pass  # another was faster, and it is theirs
    finally:
        os.close(descriptor)
    return True
