"""Own how soon the kernel lets this process run once it can: for who asks for short turns, sooner.

Whoever starts commands one after another wakes for some 0.1 ms each, while they keep all processors
busy. Linux (6.12 and later) lets a process that asked for a shorter turn go before one that runs
(sched(7), sched_setattr(2): `sched_runtime`); else it waits until a command has ended, and half of
the machine may be idle meanwhile. What we start does not inherit that.
"""

from __future__ import annotations

import os
import struct
import sys

_TURN = 100_000  # nanoseconds: the shortest that the kernel takes
_RESET_ON_FORK = 1  # linux/sched.h
#: The number of the system call, which no C library before glibc 2.41 wraps (asm/unistd.h).
_NUMBERS = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
#: struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period.
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")


def shorten() -> None:
    """Ask for short turns, where that can be had and changes nothing for what we start.

    A child would get back its nice value if that were negative, so then nothing is asked for.
    """
    is_wide = sys.maxsize > 1 << 32  # a program of 32 bits has other numbers on the same machine
    number = _NUMBERS.get(os.uname().machine) if sys.platform == "linux" and is_wide else None
    if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    if nice < 0:
        return
    try:
        import ctypes
    except ImportError:  # Python can be built without
        return
    values = (_ATTRIBUTES.size, os.SCHED_OTHER, _RESET_ON_FORK, nice, 0, _TURN, 0, 0)
    # Where it fails all goes on as before, only slower.
    ctypes.CDLL(None).syscall(number, 0, _ATTRIBUTES.pack(*values), 0)
