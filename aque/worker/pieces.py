"""Own long records of a runner: they are sent in pieces, since only what is short arrives whole.

The threads of a task and the children that it forks write to one pipe, where no two writes mix that
are no longer than PIPE_BUF. So what is longer is cut, and put together by the worker, who knows the
pieces of a record by a name of their own.

Rejected: a lock (a child forked while another thread holds it, or a handler of a signal that comes
meanwhile, would wait for ever), and a socket that keeps messages whole (as long as its buffer, no
longer).
"""

from __future__ import annotations

import json
import select
from collections.abc import Iterator

#: Bytes of a line that surely arrives whole, and characters of a piece, each of which may be two.
SHORT = select.PIPE_BUF
_SIZE = (SHORT - 128) // 2
#: Bytes that a piece takes in memory beside its name and text, at most.
_BESIDE = 300


def cut(record: str, id: int, attempt: int, name: str) -> Iterator[str]:
    """Cut a record of a task into pieces, which are records too; `name` is no other one's."""
    for start in range(0, len(record), _SIZE):
        end = start + _SIZE
        yield json.dumps(["piece", id, attempt, name, end >= len(record), record[start:end]])


class Pieces:
    """The records whose last piece has not come; `begun` has their texts, by task and name."""

    def __init__(self, begun: dict[str, list[str]] | None = None) -> None:
        self.begun = begun or {}
        self.size = sum(_size_of(*each) for each in self.begun.items())

    def take(self, id: int, name: str, is_last: bool, text: str) -> bytes | None:
        """Take a piece in; return the record whose last it is. Raises ValueError."""
        key = f"{id} {name}"
        self.begun.setdefault(key, []).append(text)
        self.size += _size_of(key, [text])
        return self._put_together(key).encode() if is_last else None

    def end(self, id: int) -> None:
        """Forget what a task has begun, and now never ends: who sent it was killed."""
        for key in [key for key in self.begun if key.startswith(f"{id} ")]:
            self._put_together(key)

    def _put_together(self, key: str) -> str:
        texts = self.begun.pop(key)
        self.size -= _size_of(key, texts)
        return "".join(texts)


def _size_of(key: str, texts: list[str]) -> int:
    return sum(map(len, texts)) + (_BESIDE + len(key)) * len(texts)
