"""Own one number for each of very many ids, in eight bytes each: ids are dense, so in pages."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

_SIZE = 4096
_NONE = -1


class Numbers:
    """Numbers from 0 by id, as a dict has them; `items` goes by id."""

    def __init__(self) -> None:
        self._pages: dict[int, array[int]] = {}

    def get(self, id: int) -> int | None:
        page = self._pages.get(id // _SIZE)
        number = _NONE if page is None else page[id % _SIZE]
        return None if number == _NONE else number

    def put(self, id: int, number: int) -> None:
        page = self._pages.get(id // _SIZE)
        if page is None:
            page = self._pages[id // _SIZE] = array("q", [_NONE]) * _SIZE
        page[id % _SIZE] = number

    def drop(self, id: int) -> None:
        if self.get(id) is not None:
            self.put(id, _NONE)

    def items(self) -> Iterator[tuple[int, int]]:
        for at in sorted(self._pages):
            for offset, number in enumerate(self._pages[at]):
                if number != _NONE:
                    yield at * _SIZE + offset, number
