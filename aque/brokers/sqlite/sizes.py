"""Own how many rows one statement is about: few sizes, so that SQLite finds each compiled.

A statement of 64 values is compiled in the time of 20 rows, so it must not be made anew for each
number of them. No statement takes more than 999 values (SQLite before 3.32).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")

MOST = 999
_PIECES = (256, 64, 16, 4, 1)
_BATCH = 256


def pieces(rows: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """Split rows into pieces, each of a size that there is, none larger than `most`."""
    at = 0
    for size in _PIECES:
        while size <= most and len(rows) - at >= size:
            yield rows[at : at + size]
            at += size


def batches(ids: Sequence[int], most: int = _BATCH) -> Iterator[Sequence[int]]:
    """Split ids into batches for an IN (...), filled up to a power of two with the last."""
    for at in range(0, len(ids), most):
        batch = list(ids[at : at + most])
        yield batch + batch[-1:] * ((1 << (len(batch) - 1).bit_length()) - len(batch))


@lru_cache(maxsize=100)
def tuples(width: int, count: int) -> str:
    """Return `count` rows of `width` placeholders each, for VALUES."""
    return ", ".join([f"({', '.join('?' * width)})"] * count)
