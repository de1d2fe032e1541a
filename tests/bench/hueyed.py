"""The module that huey's consumer imports: the queue named by the environment, and its task."""

from __future__ import annotations

import json
import os
import time

from huey import SqliteHuey

huey = SqliteHuey("bench", filename=os.environ["BENCH_HUEY"], **json.loads(os.environ["BENCH_KEY"]))


@huey.task()
def nothing() -> int:
    return 1


@huey.task()
def stamp() -> float:
    return time.monotonic()
