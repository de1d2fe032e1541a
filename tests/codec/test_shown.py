"""How values are shown to people: as what would make them, and whatever a row holds."""

from __future__ import annotations

import datetime
import decimal
import fractions
import json
import pathlib
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aque import codec, shown, task

CASES = {
    "1": 1, "null": None, '"a\\u001b"': "a\x1b", "[1, (2,), ()]": [1, (2,), ()], "{1}": {1},
    '{"a": [true]}': {"a": [True]}, "{1: 2}": {1: 2}, "inf": float("inf"), "3 bytes": b"abc",
    'PosixPath("/a/b")': pathlib.PosixPath("/a/b"), "Fraction(1, 3)": fractions.Fraction(1, 3),
    'Decimal("1.2")': decimal.Decimal("1.2"), "range(0, 3, 1)": range(3), "len": len,
    'Counter({"a": 2})': Counter("aa"), "2026-01-31": datetime.date(2026, 1, 31),
}  # fmt: skip


@pytest.mark.parametrize("text", CASES)
def test_a_value_is_shown_as_what_would_make_it(text: str) -> None:
    assert shown.text(json.loads(codec.encode(CASES[text]))) == text


def test_a_call_is_labelled_by_what_it_is_given() -> None:
    args = codec.encode((fractions.Fraction(1, 3), [pathlib.PosixPath("/a")]))
    labelled = task.Task(
        1, "pending", pattern="generic", func='{"$name":"shots:render"}', args=args
    )
    assert task.label(labelled) == 'render(Fraction(1, 3), [PosixPath("/a")])'


odd = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["$tuple", "$reduce", "$name", "$dict", "$path", "$datetime", "$x",
                             "call", "args", "state", "a"]), inner, max_size=3)
    ),
    max_leaves=20,
)  # fmt: skip


@given(odd)
def test_whatever_a_text_holds_is_shown_somehow(value: Any) -> None:
    assert isinstance(shown.text(value), str)


def test_what_is_deep_is_cut() -> None:
    value: Any = 1
    for _ in range(500):
        value = [value]
    assert shown.text(value) == "[" * 7 + "..." + "]" * 7
