"""aque-worker: its options and what it says; what it does is in tests/worker."""

from __future__ import annotations

import json

import pytest
from jobs import one_line, submit
from support import aque

from aque.brokers.base import Broker


@pytest.mark.parametrize(
    "words", [["--one", "--to-end"], ["--slots", "0"], ["-c", "x"], ["--memory", "x"], ["extra"]]
)
def test_a_worker_refuses_what_makes_no_sense(words: list[str]) -> None:
    one_line(aque("worker", *words, status=2).stderr, "aque-worker: ")


def test_a_worker_says_as_much_as_it_is_asked_to(broker: Broker) -> None:
    assert aque("worker", "--to-end").stderr == ""
    submit(broker, "false")
    said = aque("worker", "--to-end", "-v").stderr
    assert "aque-worker: task 1 starts" in said
    assert "task 1: error (ended with exit status 1)" in said
    submit(broker, "true")
    lines = aque("worker", "--to-end", "-v", "--log-format", "json").stderr.splitlines()
    assert "task 2: success" in [json.loads(line)["message"] for line in lines]
    submit(broker, "true")
    assert aque("worker", "--to-end", "-q").stderr == ""
