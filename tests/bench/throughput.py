"""Own the measure of work done: tasks a second end to end, and the queue's own share of it."""

from __future__ import annotations

import operator
import subprocess
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, wait
from multiprocessing import get_context
from typing import Any

import claims
import place
from rounds import interleave, median, timed
from table import ratio, show

import aque
from aque import Queue

_TASKS = 2000
_SLOTS = 2
_TRUE: Mapping[str, Any] = {"pattern": "shell", "args": ["true"]}
_CALL: Mapping[str, Any] = {"func": operator.truth, "args": [1]}


def run(tasks: int | None, rounds: int) -> None:
    """Tasks a second: commands, Python calls, and claims alone."""
    number = tasks or _TASKS
    with place.own_queue() as queue, place.started_worker("--slots", str(_SLOTS)):
        _compare_commands(queue, number, rounds)
        _compare_calls(queue, number, rounds)
    claims.compare(number, rounds)


def _compare_commands(queue: Queue, number: int, rounds: int) -> None:
    contenders = {
        "aque, one worker of 2 slots": lambda: timed(lambda: _through(queue, _TRUE, number)),
        "xargs -P2 -n1": lambda: timed(lambda: _xargs(number)),
    }
    title = f"{number:,} times true, from submit_many to the last end, median of {rounds}"
    _show(title, number, interleave(contenders, rounds), "xargs -P2 -n1")


def _compare_calls(queue: Queue, number: int, rounds: int) -> None:
    with ProcessPoolExecutor(_SLOTS, get_context("spawn")) as pool:
        contenders = {
            "aque, one worker of 2 slots": lambda: timed(lambda: _through(queue, _CALL, number)),
            "ProcessPoolExecutor(2)": lambda: timed(lambda: _pooled(pool, number)),
        }
        title = f"{number:,} calls of a Python function that does nothing, median of {rounds}"
        _show(title, number, interleave(contenders, rounds), "ProcessPoolExecutor(2)")


def _through(queue: Queue, prototype: Mapping[str, Any], number: int) -> None:
    done, _ = aque.wait(queue.submit_many([dict(prototype) for _ in range(number)]))
    assert len(done) == number


def _xargs(number: int) -> None:
    items = "\n".join(map(str, range(number))).encode()
    words = ["xargs", f"-P{_SLOTS}", "-n1", "true"]
    subprocess.run(words, input=items, check=True)


def _pooled(pool: ProcessPoolExecutor, number: int) -> None:
    wait([pool.submit(operator.truth, 1) for _ in range(number)])


def _show(title: str, number: int, times: Mapping[str, list[float]], peer: str) -> None:
    rates = {name: number / median(taken) for name, taken in times.items()}
    rows = [[name, f"{rate:,.0f}", ratio(rate, rates[peer])] for name, rate in rates.items()]
    show(title, ["a second", "to the peer"], rows)
