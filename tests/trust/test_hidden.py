"""Where /proc hides the processes of others (proc(5), hidepid), one's own are found."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from jobs import CHECKOUT, ended, guard_of, is_alive, running
from support import eventually, started
from users import ALICE, aque_as, words_as

from aque import brokers, states


def test_a_task_can_be_killed_and_one_is_ended_with_its_worker(open_place: Path) -> None:
    path = str(open_place / "queue.db")
    env = {"AQUE_BROKER": path}
    twice = '["sleep", "600"]\n' * 2
    aque_as(ALICE, "submit", "--cpus=0", "--memory=1G", "--from", "-", env=env, input=twice)
    words = words_as(ALICE, sys.executable, "-m", "aque.commands.worker", proc="hidepid=1")
    environ = {**os.environ, **env, "PYTHONPATH": str(CHECKOUT)}
    with started(words, env=environ, cwd="/") as worker:
        broker = brokers.from_url(path)
        pids = [running(broker, id).pid for id in (1, 2)]
        broker.cancel([1], 15, 10.0)
        assert ended(broker, 1).status == states.CANCELLED
        guard_of(worker.pid)
        worker.kill()
        eventually(lambda: not any(is_alive(pid) for pid in pids if pid is not None))
        broker.close()
