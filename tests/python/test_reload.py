"""`aque-worker --reload`: a module that a task has imported, changed, is the next task's."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
from collections import deque
from pathlib import Path

import called
import pytest
from support import aque, eventually, started_worker

from aque.brokers.base import Broker
from aque.queue import Queue
from aque.task import Task
from aque.worker import pieces
from aque.worker.outlet import Outlet
from aque.worker.runners import Runner, Sent


def write_module(path: Path, answer: str) -> None:
    """Replace a module, as an editor does."""
    new = path.with_suffix(".new")
    new.write_text(f"def answer():\n    return {answer!r}\n")
    os.replace(new, path)


def wait_for(worker: subprocess.Popen[bytes], text: bytes) -> None:
    assert worker.stderr is not None
    while line := worker.stderr.readline():
        if text in line:
            return
    raise AssertionError(f"the worker has ended, and never said {text!r}")


@pytest.mark.usefixtures("called_in_reach")
def test_a_module_of_a_task_that_has_changed_is_imported_again(
    queue: Queue, broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "reloaded_by_a_worker.py"
    write_module(module, "old")
    aque("init", "--set", "poll=0.05")
    import reloaded_by_a_worker as module_here  # type: ignore[import-not-found]

    with started_worker(broker, "-v", "--reload", stderr=subprocess.PIPE) as worker:
        assert queue.submit(module_here.answer).result(20) == "old"
        write_module(module, "newer")
        wait_for(worker, b"the code has changed")
        wait_for(worker, b"reloaded")
        assert queue.submit(module_here.answer).result(20) == "newer"
    sys.modules.pop("reloaded_by_a_worker", None)


@pytest.mark.usefixtures("called_in_reach")
def test_a_log_goes_on_where_it_was_before_a_reload(
    queue: Queue, broker: Broker, tmp_path: Path
) -> None:
    aque("init", "--set", "output-inline=500", "--set", "output-limit=2000")
    with started_worker(broker, "-v", stderr=subprocess.PIPE) as worker:
        future = queue.submit(called.log_much, str(tmp_path))
        eventually((tmp_path / "began").exists)
        worker.send_signal(signal.SIGHUP)
        wait_for(worker, b"reloaded")
        (tmp_path / "go").touch()
        future.result(20)
    told = aque("output", "--log", str(future.id)).stdout
    assert "bytes are missing here" in told
    numbers = [int(n) for n in re.findall(r"record (\d+)\n", told)]
    assert (numbers[0], numbers[-1]) == (0, 39)
    assert numbers == sorted(numbers)


def test_what_a_runner_has_said_before_a_reload_is_known_after_it(task: Task) -> None:
    """A call's outputs have ended, and its answer is on its way: the next program awaits that."""
    out, write_out = os.pipe()
    err, write_err = os.pipe()
    answers, write_answer = os.pipe()
    records, write_record = os.pipe()
    for descriptor in (out, err, answers, records):
        os.set_blocking(descriptor, False)
    before = Runner(
        ("python", "user", None, None), 1, "MARK", -1, -1, -1, answers, records,
        Outlet(out, b"MARK"), Outlet(err, b"MARK"), sent=deque([Sent(4, task, 0)]),
    )  # fmt: skip
    os.write(write_out, b"printed\0\xffMARKMA")
    os.write(write_err, b"MARK")
    before.stdout.read()
    before.stderr.read()
    record = json.dumps(["progress", task.id, task.attempt, 1, 2, "x" * 5000])
    *first, last = pieces.cut(record, task.id, task.attempt, "name")
    os.write(write_record, "\n".join([*first, ""]).encode())
    assert before.read_records() == []
    state = json.loads(json.dumps(before.state()))
    anew = {"written", "read", "each", "is_retired", "is_garbled", "is_at_end", "last"}
    # A new field is either handed over or made anew.
    assert {field.name for field in dataclasses.fields(Runner)} == {*state, *anew}
    after = Runner.resumed(state, task)
    os.write(write_out, b"RK of the next")
    os.write(write_answer, b'[4, 1, 2, 0, 0, null, true, "success", "7"]\n')
    os.write(write_record, last.encode() + b"\n")
    assert after.read_records() == [json.loads(record)]
    after.read_answers()
    after.stdout.read()
    assert [answer.result for answer in after.answered] == ["7"]
    assert [after.stdout.end(), after.stdout.end(), after.stdout.take()] == [
        b"printed\0\xff", b"", b" of the next"
    ]  # fmt: skip
    assert after.stderr.end() == b""
    for descriptor in (
        out, write_out, err, write_err, answers, write_answer, records, write_record
    ):  # fmt: skip
        os.close(descriptor)


@pytest.fixture
def task(broker: Broker, queue: Queue) -> Task:
    future = queue.submit_ex(func=len, args=["abc"])
    return broker.fetch([future.id])[0]
