"""Records behave as frozen dataclasses do."""

from __future__ import annotations

import pickle
from copy import deepcopy
from dataclasses import FrozenInstanceError, asdict, fields, replace

import pytest

from aque.record import keys
from aque.report import End, Start
from aque.schedule.resources import Resources


def test_a_record_is_a_dataclass_to_the_standard_library() -> None:
    start = Start(7, 1, pid=100, pid_started=None, session=100)
    assert keys(Start) == tuple(f.name for f in fields(start)) == tuple(asdict(start))
    assert replace(start, pid=101) == Start(7, 1, 101, None, 100) != start
    assert hash(replace(start)) == hash(start)
    assert repr(start) == "Start(id=7, attempt=1, pid=100, pid_started=None, session=100)"
    assert End(7, 1, "success", ended_at=3.0).due_at is None


def test_a_record_that_holds_a_mapping_is_one_too() -> None:
    room = Resources(1.0, 100, 2)
    assert asdict(room) == {"cpus": 1.0, "memory": 100, "slots": 2, "tokens": {}}
    assert pickle.loads(pickle.dumps(room)) == deepcopy(room) == replace(room) == room


@pytest.mark.parametrize(
    ("values", "given", "complaint"),
    [
        ((7, 1), {}, "Start needs pid"),
        ((7, 1, 2, 3, 4), {"state": 1}, "Start has no state"),
        ((7, 1, 2, 3, 4), {"id": 1}, "too many values"),
        ((7, 1, 2, 3, 4, 5), {}, "too many values"),
    ],
)  # fmt: skip
def test_a_record_takes_its_own_fields_once_each(
    values: tuple[int, ...], given: dict[str, int], complaint: str
) -> None:
    with pytest.raises(TypeError, match=complaint):
        Start(*values, **given)


def test_a_record_does_not_change() -> None:
    start = Start(7, 1, 100, None, 100)
    with pytest.raises(FrozenInstanceError):
        start.pid = 101  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del start.pid
