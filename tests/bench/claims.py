"""Own the measure of the queue alone: claim and finish in one process, without any task run.

The peer is what one would write by hand: a table with an index of what waits, and a transaction
that ends the last tasks and takes the next. What aque is slower is what its rows, rules, events
and locks cost.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import place
from rounds import interleave, median, timed
from table import ratio, show

from aque import Queue, states
from aque.brokers.base import Broker
from aque.report import End, Report
from aque.schedule.choose import Claimant, chooser
from aque.schedule.resources import Resources
from aque.task import Task
from aque.worker import host, membership
from aque.worker.membership import Membership, Share

BATCHES = (1, 8)
_SCHEMA = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
CREATE TABLE task (id INTEGER PRIMARY KEY, status TEXT NOT NULL, args TEXT, ended_at REAL);
CREATE INDEX ready ON task (id) WHERE status = 'pending';
"""
_NEXT = "SELECT id, args FROM task WHERE status = 'pending' ORDER BY id LIMIT ?"
_START = "UPDATE task SET status = 'running' WHERE id = ? AND status = 'pending'"
_END = "UPDATE task SET status = 'success', ended_at = ? WHERE id = ? AND status = 'running'"


def compare(number: int, rounds: int) -> None:
    """Compare the rates of claim-and-finish, one task at a time and eight."""
    with (
        place.own_queue(durable=False) as queue,
        membership_of(queue.broker) as member,
        _plain_table() as plain,
    ):
        for size in BATCHES:
            contenders = {
                "aque": partial(_ours, queue, member, number, size),
                "a table by hand": partial(_theirs, plain, number, size),
            }
            title = f"Claim and finish, {size} at a time, {number:,} tasks, median of {rounds}"
            _show(title, number, interleave(contenders, rounds))


def _show(title: str, number: int, times: Mapping[str, Sequence[float]]) -> None:
    rates = {name: number / median(taken) for name, taken in times.items()}
    theirs = rates["a table by hand"]
    rows = [[name, f"{rate:,.0f}", ratio(rate, theirs)] for name, rate in rates.items()]
    show(title, ["a second", "to the peer"], rows)


def _ours(queue: Queue, member: Membership, number: int, size: int) -> float:
    queue.submit_many([{"pattern": "shell", "args": ["true"]} for _ in range(number)])
    return timed(partial(claim_all, queue.broker, member, number, size))


def claim_all(broker: Broker, member: Membership, number: int, size: int) -> None:
    """Take so many as a worker does: each claim records the ends of the tasks before."""
    free = Resources(float(size), 1 << 40, size)
    claimant = Claimant(member.id, member.user, False, free, free)
    ends: tuple[End, ...] = ()
    finished = 0
    while finished < number:
        tasks = broker.claim(member.id, chooser(claimant), Report(ends=ends)).tasks
        finished += len(ends)
        ends = tuple(map(_end, tasks))
    if ends:
        broker.finish(ends)


def _end(task: Task) -> End:
    return End(
        task.id, task.attempt, states.SUCCESS, time.time(), exit_status=0, result="0",
        user_time=0.0, system_time=0.0, max_rss=1 << 20,
    )  # fmt: skip


@contextmanager
def membership_of(broker: Broker) -> Iterator[Membership]:
    """Enlist a worker meanwhile."""
    here = host.this_host()
    share = Share(8, 0, 8)
    member = membership.join(broker, here, membership.WORKER, None, share)
    try:
        yield member
    finally:
        member.leave(broker)


@contextmanager
def _plain_table() -> Iterator[sqlite3.Connection]:
    with place.own_directory() as directory:
        connection = sqlite3.connect(os.path.join(directory, "plain.db"), isolation_level=None)
        connection.executescript(_SCHEMA)
        yield connection
        connection.close()


def _theirs(plain: sqlite3.Connection, number: int, size: int) -> float:
    plain.execute("BEGIN")
    rows = [("pending", '["true"]')] * number
    plain.executemany("INSERT INTO task (status, args) VALUES (?, ?)", rows)
    plain.execute("COMMIT")
    return timed(partial(_take_all, plain, size))


def _take_all(plain: sqlite3.Connection, size: int) -> None:
    running: Sequence[int] = ()
    while True:
        plain.execute("BEGIN IMMEDIATE")
        plain.executemany(_END, [(time.time(), id) for id in running])
        was_running = bool(running)
        running = [id for id, _ in plain.execute(_NEXT, (size,)).fetchall()]
        plain.executemany(_START, [(id,) for id in running])
        plain.execute("COMMIT")
        if was_running and not running:
            return
