"""Whether and when a failed task is tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aque.schedule import retries


@pytest.mark.parametrize(
    ("retried", "first", "expected"),
    [
        (0, 0.0, 0.0),
        (9, 0.0, 0.0),
        (0, 10.0, 10.0),
        (1, 10.0, 20.0),
        (4, 10.0, 160.0),
        (0, 1e9, retries.LONGEST_DELAY),
        (30, 10.0, retries.LONGEST_DELAY),
        (10**6, 1.0, retries.LONGEST_DELAY),
    ],
)
def test_a_delay_doubles_with_each_retry_up_to_a_day(
    retried: int, first: float, expected: float
) -> None:
    assert retries.delay(retried, first) == expected


@given(st.integers(0, 10**9), st.floats(0, 1e300))
def test_a_delay_never_shrinks_and_never_passes_a_day(retried: int, first: float) -> None:
    assert 0 <= retries.delay(retried, first) <= retries.delay(retried + 1, first)
    assert retries.delay(retried + 1, first) <= retries.LONGEST_DELAY


@pytest.mark.parametrize(
    ("retried", "allowed", "expected"),
    [(0, 0, False), (0, 1, True), (1, 1, False), (1, 3, True), (3, 3, False), (9, 3, False)],
)
def test_a_task_is_retried_as_often_as_it_may(retried: int, allowed: int, expected: bool) -> None:
    assert retries.may_retry(retried, allowed) is expected
