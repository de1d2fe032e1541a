"""`aque-worker --reload`: a module that a task has imported, changed, is the next task's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import aque, started_worker

from aque.brokers.base import Broker
from aque.queue import Queue


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
