"""Own what a task may leave in its runner that cannot be put back: then another runner follows it.

Threads, children, much memory and many descriptors. To keep some memory and some descriptors is a
library's right.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
from typing import Any

from aque.worker import usage

#: How much memory may have grown, in bytes, and the number that descriptors may reach.
_MOST_GROWTH, _MOST_DESCRIPTORS = 512 << 20, 512


class Remains:
    """What may have remained, beside what was `used` before the first task."""

    def __init__(self, used: Any) -> None:
        self._least = used.ru_maxrss
        self._far = _far_descriptor()

    def are_many(self, used: Any) -> bool:
        """Whether the runner is not to be used again."""
        if threading.active_count() > 1 or sys.__stdout__.closed or sys.__stderr__.closed:  # type: ignore[union-attr]
            return True
        if usage.bytes_of(used.ru_maxrss - self._least) > _MOST_GROWTH:
            return True
        return _is_open(self._far) or _has_children()


def _far_descriptor() -> int:
    """Return the one whose being open tells of many: the lowest that is free is taken first.

    As many are to be left for the next task.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_DESCRIPTORS if limit < 0 else min(_MOST_DESCRIPTORS, limit // 2)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _has_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True
