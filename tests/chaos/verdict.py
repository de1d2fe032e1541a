"""Own what must hold when all is over: each finding is a line that says what does not."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import attacks
import work
from cast import Cast
from ledger import Ledger

from aque import brokers, location, states
from aque.brokers.base import Broker
from aque.task import Task

_SHOWN_TOGETHER = 100
#: Seconds in which the last process must have gone.
_PATIENCE = 10.0


def judge(broker: Broker, cast: Cast) -> Iterator[str]:
    """Yield what is wrong with the tasks, after all have ended."""
    ledger = cast.ledger
    tasks = {task.id: task for task in broker.search()}
    began = work.witnesses(cast.ran)
    yield from ledger.wrong
    yield from _doubles(cast.ran)
    for task in tasks.values():
        if not task.is_complete:
            yield f"task {task.id} is {task.status} for ever"
        yield from _again(task, began.get(task.id, {}), ledger)
    for id in ledger.acknowledged:
        if id not in tasks:
            yield f"task {id} is lost: its id was printed"
        elif tasks[id].is_complete:
            yield from _ended(tasks[id], began.get(id, {}), ledger)
    yield from _xargs(cast.ran, ledger)


def succeeded_before(broker: Broker) -> list[int]:
    """Return the tasks of which an attempt that was not the last has succeeded."""
    import sqlite3

    path, _ = location.parse(broker.to_url())
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        query = "SELECT DISTINCT task FROM attempt WHERE status = 'success'"
        return [id for (id,) in connection.execute(query)]


def outputs(cast: Cast, broker: Broker) -> Iterator[str]:
    """Yield which tasks' output is not what they wrote."""
    ids = sorted(cast.ledger.acknowledged.keys())
    whole = [id for id, status in broker.statuses(ids).items() if status == states.SUCCESS]
    for first in range(0, len(whole), _SHOWN_TOGETHER):
        yield from _differing(cast, whole[first : first + _SHOWN_TOGETHER])


def inside(cast: Cast, path: str) -> Iterator[str]:
    """Yield what disagrees in the queue: integrity, counts of what waits, uses; and what stays so.

    Who is killed between making a file and saying whose it is leaves that: a repair removes it.
    """
    for finding in brokers.from_url(path, create=False).examine():
        if finding.remedy:
            yield f"{finding.subject}: {finding.text}"
    done = cast.run("aque-doctor", "--repair")
    if done.returncode:
        lines = (done.stdout + done.stderr).decode().splitlines()
        yield from (f"aque-doctor: {line}" for line in lines if not line.startswith("ok"))


def strays(path: str) -> Iterator[str]:
    """Yield the processes that are left, after a moment in which they may end."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        attacks.reap_orphans(set())
        found = attacks.marked(path) + attacks.descendants()
        if not found or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    yield from (f"process {text} is left" for text in attacks.describe(found))


def complaints(said: Path) -> Iterator[str]:
    """Yield what looks like a bug of aque's in what its commands complained about."""
    lines = said.read_text(errors="replace").splitlines()
    found = sum(line.startswith("Traceback") for line in lines)
    if found:
        yield f"{found} tracebacks in {said}"


def _doubles(ran: Path) -> Iterator[str]:
    twice = ran.with_name(f"{ran.name}.twice")
    if twice.exists():
        yield from twice.read_text().splitlines()


def _again(task: Task, began: dict[int, float], ledger: Ledger) -> Iterator[str]:
    for attempt, at in began.items():
        if attempt > task.attempt:
            yield f"task {task.id} ran attempt {attempt}, and the queue knows {task.attempt} only"
        if at > ledger.succeeded.get(task.id, float("inf")):
            yield f"task {task.id} began attempt {attempt} after it had succeeded"


def _ended(task: Task, began: dict[int, float], ledger: Ledger) -> Iterator[str]:
    if task.status == states.SUCCESS:
        if task.attempt not in began:
            yield f"task {task.id} succeeded in attempt {task.attempt}, which never ran"
    elif task.id in ledger.succeeded:
        yield f"task {task.id} had succeeded and is {task.status} now"
    elif not ledger.excuses(task):
        yield f"task {task.id} is {task.status} ({task.error}), and nobody has touched it"


def _xargs(ran: Path, ledger: Ledger) -> Iterator[str]:
    for run, items in ledger.xargs_done.items():
        wanted = sorted(str(item) for item in range(items))
        if work.items_run(ran, run) != wanted:
            yield f"run {run} of aque-xargs succeeded, and did not run each of {items} items once"


def _differing(cast: Cast, ids: Sequence[int]) -> Iterator[str]:
    """Yield what differs among these, by halves."""
    done = cast.run("aque-output", "--stdout", *map(str, ids))
    if done.stdout == b"".join(cast.ledger.acknowledged[id].text(id) for id in ids):
        return
    if len(ids) > 1:
        middle = len(ids) // 2
        yield from _differing(cast, ids[:middle])
        yield from _differing(cast, ids[middle:])
    else:
        expected = len(cast.ledger.acknowledged[ids[0]].text(ids[0]))
        yield f"the output of task {ids[0]} is not whole: {len(done.stdout)} bytes of {expected}"
