"""A filter is read as a condition, or refused by name."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aque import states, task
from aque.brokers.questions import Condition, Selection
from aque.commands import filters
from aque.commands.watch import narrowing
from aque.errors import UsageError

READ = {
    "name=x": ("name", "=", "x"),
    "name=a=b": ("name", "=", "a=b"),
    "name==b": ("name", "=", "=b"),
    "name=": ("name", "=", None),
    "parent=": ("parent", "=", None),
    "error!=": ("error", "!=", None),
    "name!=x y": ("name", "!=", "x y"),
    "status=error": ("status", "=", "error"),
    "status~e*": ("status", "~", "e*"),
    "name~shot7*": ("name", "~", "shot7*"),
    "id~7*": ("id", "~", "7*"),
    "id=7": ("id", "=", 7.0),
    "cpus<0.5": ("cpus", "<", 0.5),
    "exit_status!=0": ("exit_status", "!=", 0.0),
    "memory>4G": ("memory", ">", 4.0 * 1024**3),
    "ended_at>1700000000": ("ended_at", ">", 1.7e9),
    "ended_at<2023-11-14T22:13:20Z": ("ended_at", "<", 1.7e9),
    "args~*\n*": ("args", "~", "*\n*"),
}

REFUSED = {
    "": "is no filter",
    "name": "is no filter",
    "=x": "is no filter",
    "nmae=x": "no key 'nmae'",
    "stdin_value=x": "no key 'stdin_value'",
    "name<3": "'name' is text",
    "cpus>many": "'cpus' is a number, 'many' is not",
    "cpus=many": "'cpus' is a number, 'many' is not",
    "cpus>": "'cpus' is a number",
    "status=done": "'done' is no state",
    "status!=Error": "'Error' is no state",
    "ended_at>yesterday": "'ended_at' is a time as 2026-01-31 or 2026-01-31T23:30, 'yesterday' is",
    "cpus<nan": "'nan' is not",
    "memory>4Q": "'4Q' is not",
    "ended_at>2023-99-99": "is not",
    "\x1b[31m=1": r"\\x1b",
}


@pytest.mark.parametrize("text", READ)
def test_a_filter_is_read(text: str) -> None:
    assert filters.parse(text) == Condition(*READ[text])


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_filter_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match=REFUSED[text]):
        filters.parse(text)


@settings(derandomize=True)
@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        condition = filters.parse(text)
    except UsageError:
        return
    assert condition.key in task.KEYS
    assert text == f"{condition.key}{condition.operator}{text.partition(condition.operator)[2]}"


@settings(derandomize=True)
@given(
    st.sampled_from(["id", "cpus", "ended_at", "exit_status"]), st.floats(), st.sampled_from("<>")
)
def test_any_number_can_be_compared_but_nan(key: str, number: float, operator: str) -> None:
    if math.isnan(number):
        return
    assert filters.parse(f"{key}{operator}{number!r}") == Condition(key, operator, number)


def test_states_are_taken_by_repeating_and_by_commas() -> None:
    assert filters.statuses([]) == []
    assert filters.statuses(["error", "running, error", "pending"]) == [
        states.ERROR,
        states.RUNNING,
        states.PENDING,
    ]


@pytest.mark.parametrize("word", ["", "done", "error,", "Error"])
def test_an_unknown_state_is_refused_with_those_there_are(word: str) -> None:
    with pytest.raises(UsageError, match="creating, pending, paused, running"):
        filters.statuses([word])


def test_in_a_watch_a_filter_stands_beside_states_and_words() -> None:
    found = narrowing.narrow(Selection(), "CC=gcc error cpus>2 make")
    assert (found.words, found.statuses) == (["CC=gcc", "make"], ["error"])
    assert found.conditions == [Condition("cpus", ">", 2.0)]
    with pytest.raises(UsageError, match="no key 'foo'"):
        narrowing.narrow(Selection(), "foo=1")
