"""aque-log and aque-progress, from inside a task; aque-output --log shows it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from jobs import one_line, script, work
from support import aque

from aque import logs
from aque.brokers.base import Broker
from aque.queue import Queue


@pytest.fixture(autouse=True)
def commands_in_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")


def test_a_command_tells_its_story(broker: Broker) -> None:
    id = script(
        broker, "aque-progress 40 of 100 half way; aque log warning a 'b c'; aque-log INFO x"
    )
    work(broker)
    future = Queue(broker).future(id)
    assert future.result(20) == 0
    assert future.progress() == (40, 100, "half way")
    lines = aque("output", "--log", str(id)).stdout.splitlines()
    assert [line.partition(" ")[2].partition(" ")[2] for line in lines] == [
        f"WARNING aque.job.{id}: a b c", f"INFO aque.job.{id}: x"
    ]  # fmt: skip
    assert aque("output", str(id)).stdout == ""
    one_line(aque("output", "--log", "--stdout", str(id), status=2).stderr, "exclude each other")


def test_a_long_log_goes_on_in_a_file_and_is_read_whole(broker: Broker) -> None:
    broker.set_settings({"output-inline": 300})
    id = script(broker, "true")
    work(broker)
    for number in range(20):
        broker.append_log(id, 1, logs.line(1.0, "INFO", "x", f"line {number}"))
    shown = aque("output", "--log", str(id)).stdout.splitlines()
    assert [line.rpartition(" ")[2] for line in shown] == [str(n) for n in range(20)]


def test_progress_is_of_the_attempt_that_said_it(broker: Broker) -> None:
    id = script(broker, "test $AQUE_ATTEMPT = 2 || { aque-progress 5; exit 1; }", retries=1)
    work(broker)
    assert Queue(broker).future(id).result(20) == 0
    assert Queue(broker).future(id).progress() is None


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["x"], "is no number"),
        (["nan"], "is no number"),
        (["1", "of"], "of what?"),
        (["1", "of", "x"], "is no number"),
        (["1", "of", "0"], "must be more than 0"),
        ([], "say how far, as 40 of 100"),
    ],
)
def test_progress_that_is_none_is_refused(words: list[str], complaint: str) -> None:
    one_line(aque("progress", *words, status=2).stderr, complaint)


def test_outside_of_a_task_there_is_nothing_to_tell(broker: Broker) -> None:
    one_line(aque("progress", "1", status=2).stderr, "this is not inside a task")
    one_line(aque("log", "info", "x", status=2).stderr, "this is not inside a task")
    one_line(aque("log", "loud", "x", status=2).stderr, "loud")
    one_line(aque("log", status=2).stderr, "name a level and a message, as: aque-log info")
    gone = {**os.environ, "AQUE_TID": "999", "AQUE_ATTEMPT": "1"}
    one_line(aque("log", "info", "x", status=1, env=gone).stderr, "there is no task 999")
