"""Own the note of which kernel uses a queue by its write-ahead log, and who may use it then.

A write-ahead log is shared by way of memory, so all who use it must be processes of one kernel
(sqlite.org/wal.html). On the file systems that are known as local this is so, but a disk may be
moved, a virtual one attached twice, `?journal=wal` asked for on a shared one. SQLite itself cannot
see another kernel, and to open the file is to recover the log under it. So whoever uses the log
notes machine and boot in the lock file, and who comes next reads that before SQLite opens anything:

- the same boot is the same kernel: several may use it, in containers too;
- the same machine after another boot: nobody is left of those, a crash forgot the note;
- another machine, by its id or its host name: refused, since whether it still runs cannot be known
  from here;
- who is to use the queue without the log (on a shared disk): refused, whoever uses the log.

The last to close removes the log, and with it the note: a queue that nobody uses has none, so it
can be carried to another machine. Where the lock file is deleted the note goes with it; the next
write of whoever uses the queue puts it back.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from aque import machine
from aque.brokers.sqlite.lock import WriteLock
from aque.errors import BrokerError

_LOG = "wal"
_LONGEST_NAME = 64


def check(lock: WriteLock, journal: str) -> None:
    """Raise BrokerError where another kernel uses the queue, or this one in another way."""
    noted = _parse(lock.note())
    if noted is None:
        return
    used = f"{lock.queue} is in use on {noted['host']}, by one machine at a time (journal=wal)"
    if journal != _LOG:
        raise BrokerError(
            f"{used}; end what uses it there and run aque-status there once more, then try again"
        )
    if not _is_ours(noted):
        raise BrokerError(
            f"{used}; end what uses it there, or if that machine is gone delete {lock.path};"
            " aque-init --broker 'sqlite:///PATH?journal=delete' makes a queue for several"
        )


def _is_ours(noted: Mapping[str, str]) -> bool:
    """Whether this kernel noted that, or one that ran on this machine before.

    Cloned images have one machine id, so after another boot its host name is to be the same too.
    Two ids that nothing says are not the same.
    """
    is_boot = noted["boot"] == machine.boot_id()
    if noted["host"] != os.uname().nodename[:_LONGEST_NAME]:  # a container's, perhaps
        return is_boot and noted["boot"] != ""
    return is_boot or noted["machine"] == machine.machine_id() != ""


def declare(lock: WriteLock) -> None:
    """Note that this kernel uses the queue by its write-ahead log."""
    note = {
        "machine": machine.machine_id(),
        "boot": machine.boot_id(),
        "host": os.uname().nodename[:_LONGEST_NAME],
    }
    lock.set_note(json.dumps(note).encode())


def retire(lock: WriteLock) -> None:
    """Having closed, take the note back if the log has gone: we were the last."""
    if not os.path.exists(lock.queue + "-wal"):
        lock.set_note(b"")


def _parse(note: bytes) -> dict[str, str] | None:
    try:
        noted = json.loads(note)
    except ValueError:
        return None
    keys = {"machine", "boot", "host"}
    return noted if isinstance(noted, dict) and set(noted) >= keys else None
