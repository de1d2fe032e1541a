"""Own the backup of a queue: a copy in one file that can be used as a queue itself.

The copy is of one moment, and is made under another name: a file of the name that was asked for is
whole, or not there. What was running waits again in it, or the first worker to open the copy would
find workers that are not its own, take them for dead, and end their tasks, which the queue itself
still runs.

The way back is a copy of that copy, made beside the queue, which then takes the queue's name.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from aque import brokers
from aque.brokers.base import Broker
from aque.errors import UsageError


def back_up(broker: Broker, path: str) -> None:
    """Copy a queue into a new file, while it is in use. Raises UsageError where there is one."""
    _refuse_existing(path)
    path = os.path.abspath(path)
    with _part_of(path) as part:
        broker.backup(part)
        _let_go(part)
        _sync(part)
        _publish(part, path)


def restore(url: str | None, path: str) -> str | None:
    """Put a copy of the queue at `path` in the place of another.

    Return the name that the old one has now, if there was one. Raises UsageError for a copy that is
    not whole, and StateError while the old one is in use.
    """
    with _part_of(brokers.path_of(url)) as part:
        brokers.copy_whole(url, path, part)
        _let_go(part)
        _sync(part)
        return brokers.restore(url, part)


def left_behind(broker: Broker) -> tuple[int, int]:
    """Return how many large outputs a queue has, which no copy holds, and their bytes."""
    sizes = []
    with suppress(FileNotFoundError), os.scandir(os.path.join(broker.directory, "output")) as found:
        for entry in found:
            with suppress(FileNotFoundError):
                sizes.append(entry.stat().st_size)
    return len(sizes), sum(sizes)


@contextmanager
def _part_of(path: str) -> Iterator[str]:
    """Yield another name for what is to be whole at `path`; nothing is left under it."""
    part = f"{path}.{os.getpid()}.part"
    try:
        yield part
    finally:
        shutil.rmtree(f"{part}.d", ignore_errors=True)
        for suffix in ("", "-lock", "-wal", "-shm", "-journal"):
            with suppress(FileNotFoundError):
                os.unlink(part + suffix)


def _let_go(part: str) -> None:
    """Have nothing run in a copy, and nobody still put a group together."""
    copy = brokers.from_url(f"sqlite://{part}" if "://" in part else part)
    for worker in copy.workers():
        running = [(task.id, task.attempt) for task in copy.running(worker.id)]
        copy.requeue(running, "it was running when the queue was copied")
        groups = copy.owned(worker.id)
        if groups:
            copy.cancel(groups, signal.SIGTERM, 0)
            copy.commit(groups)
        copy.dismiss(worker.id)
    copy.close()


def _sync(part: str) -> None:
    for one, flags in ((part, os.O_RDONLY), (os.path.dirname(part), os.O_RDONLY | os.O_DIRECTORY)):
        descriptor = os.open(one, flags)
        os.fsync(descriptor)
        os.close(descriptor)


def _publish(part: str, path: str) -> None:
    """Give the finished copy its name, and never that of another file."""
    try:
        os.link(part, path)
    except FileExistsError:
        _refuse_existing(path)
    except OSError:  # a file system without links
        _refuse_existing(path)
        os.rename(part, path)


def _refuse_existing(path: str) -> None:
    if os.path.lexists(path):
        raise UsageError(f"{path} is there already; remove it, or name another file")
