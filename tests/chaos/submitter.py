"""A program that submits by the library, many at a time, and prints what is acknowledged.

Its lines are an id and the task's work. It waits while much is waiting, so that the queue stays
busy and does not grow without end.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time

import work

from aque import Queue, brokers, states
from aque.brokers.questions import Selection
from aque.errors import AqueError

_WAITING_MOST = 60
_BATCH_MOST = 12
_PYTHON = 0.25


def main() -> int:
    chance = random.Random(int(sys.argv[1]))
    queue = Queue(brokers.from_url(os.environ["AQUE_BROKER"]))
    waiting = Selection(statuses=(states.PENDING, states.PAUSED))
    while True:
        try:
            while queue.broker.count(waiting) > _WAITING_MOST:
                time.sleep(0.05)
            _submit(queue, chance)
        except AqueError as error:  # whoever holds the lock was stopped for long: nothing is stored
            print(error, file=sys.stderr)


def _submit(queue: Queue, chance: random.Random) -> None:
    works = [work.choose(chance) for _ in range(chance.randint(1, _BATCH_MOST))]
    futures = queue.submit_many(
        {
            **(_call(one) if chance.random() < _PYTHON else _command(one)),
            "cpus": 0.25,
            "priority": chance.choice((500, 1000, 2000)),
        }
        for one in works
    )
    lines = (f"{f.id} {w.lines} {w.seconds:g} {w.company}" for f, w in zip(futures, works))
    print("\n".join(lines), flush=True)


def _command(one: work.Work) -> dict[str, object]:
    return {"pattern": "shell", "args": one.words()}


def _call(one: work.Work) -> dict[str, object]:
    """A Python task of the same work."""
    return {"func": subprocess.check_call, "args": [one.words()]}


if __name__ == "__main__":
    sys.exit(main())
