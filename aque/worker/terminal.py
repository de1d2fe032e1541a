"""Own whether there is a terminal that controls this process."""

from __future__ import annotations

import os


def is_there() -> bool:
    """Whether /dev/tty opens; once the terminal was closed it no longer does."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def is_in_front() -> bool:
    """Whether the terminal sends its signals to us and our children."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)
