"""Own what tells this machine and its workers from others: a host, and who lives on it.

A host is (boot id, pid namespace): within one, a pid means one process. Each worker holds an flock
on a file named by its random token for as long as it lives; the kernel lets go of it 1.4 ms after a
kill -9, so who is dead on this machine is known at once, with no heartbeat and no false alarm after
a suspend. Who is dead elsewhere, liveness.py tells.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from functools import lru_cache

from aque import machine
from aque.brokers.base import Broker
from aque.record import record
from aque.report import WorkerRecord

#: How somebody else's file is opened: no link, and no waiting on a FIFO.
_LOOKING = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@record(frozen=True)
class Host:
    name: str
    platform: str
    boot: str
    pid_namespace: str
    cpus: float
    memory: int

    def is_home_of(self, worker: WorkerRecord) -> bool:
        """Whether that worker's pids mean the same here."""
        return (worker.boot, worker.pid_namespace) == (self.boot, self.pid_namespace)


def this_host() -> Host:
    return Host(
        name=os.uname().nodename,
        platform=sys.platform,
        boot=machine.boot_id(),
        pid_namespace=_pid_namespace(),
        cpus=float(count_cpus()),
        memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
    )


@lru_cache
def names() -> frozenset[str]:
    """Return the names, aliases and addresses this host is known by, in lower case.

    No name server is asked: it may not answer.
    """
    name = os.uname().nodename.lower()
    known = {name, name.partition(".")[0], "localhost"}
    for line in _read("/etc/hosts").splitlines():
        words = line.partition("#")[0].lower().split()
        if known & set(words[1:]) - {"localhost"}:
            known.update(words[1:])
    return frozenset(known | set(_addresses()))


def _addresses() -> Iterator[str]:
    import socket

    import psutil

    for interface in psutil.net_if_addrs().values():
        for address in interface:
            if address.family in (socket.AF_INET, socket.AF_INET6):
                yield address.address.partition("%")[0]


def count_cpus() -> int:
    """Return how many cpus this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def hold_life(broker: Broker, token: str) -> int:
    """Make and lock a worker's file; return the descriptor, to be kept open while it lives.

    Raises BrokerError where it cannot be made.
    """
    descriptor = broker.make_life(token)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def release_life(broker: Broker, token: str, descriptor: int) -> None:
    os.close(descriptor)
    remove_life(broker, token)


def has_life(broker: Broker, token: str, descriptor: int | None = None) -> bool:
    """Whether a worker's file is there; with its `descriptor`, whether it is still that one."""
    try:
        there = os.stat(broker.life_path(token))
    except OSError:
        return False
    if descriptor is None:
        return True
    ours = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def remove_life(broker: Broker, token: str) -> None:
    try:
        os.unlink(broker.life_path(token))
    except FileNotFoundError:
        pass


def is_alive(broker: Broker, token: str) -> bool:
    """Whether a worker of this machine lives, asked of the kernel."""
    try:
        descriptor = os.open(broker.life_path(token), _LOOKING)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _pid_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
