"""Own how a command ends by the signal that ended it.

A shell goes on with the next command of a list or a loop after an exit status of 130, but not after
a command that SIGINT has ended; what it tells as the status is 130 both times.
"""

from __future__ import annotations

import os
import signal
import sys


def by_signal(number: int) -> int:
    """End this process by a signal, once what it has printed is written."""
    signal.signal(number, signal.SIG_DFL)  # first, so that one more ends a write that hangs
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        pass
    os.kill(os.getpid(), number)
    return 128 + number  # a signal that does not end us
