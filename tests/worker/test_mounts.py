"""Tasks and the disks of their paths: what was said binds, and what is busy comes later.

Two tmpfs are mounted in a mount namespace of the test's own; a worker in it sees them, a worker
outside does not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from jobs import CHECKOUT, fetch, in_namespace, output, running, script, work
from support import aque, eventually, started

from aque import states
from aque.brokers.base import Broker


@dataclass(frozen=True)
class Disks:
    """Two disks that are mounted for those who `enter` their namespace."""

    fast: Path
    slow: Path
    enter: Sequence[str]

    def submit(self, *words: str) -> int:
        return int(run([*self.enter, sys.executable, "-m", "aque.commands.submit", *words]))


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disks]:
    fast, slow, ready = tmp_path / "fast", tmp_path / "slow", tmp_path / "ready"
    fast.mkdir()
    slow.mkdir()
    text = f"mount -t tmpfs fast {fast} && mount -t tmpfs slow {slow} && echo $$ >{ready} && cat"
    words = [*in_namespace("--mount"), "sh", "-c", text]
    with started(words, stdin=-1, stderr=-1) as holder:
        eventually(lambda: ready.exists() or holder.poll() is not None)
        if not ready.exists():
            pytest.skip("the system refuses mounts")
        yield Disks(fast, slow, ["nsenter", "--mount", "--target", str(holder.pid), "--wd=."])
        assert holder.stdin is not None
        holder.stdin.close()


def run(words: Sequence[str]) -> str:
    from subprocess import run

    environ = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = run(words, env=environ, capture_output=True, text=True, timeout=60, cwd=CHECKOUT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def work_inside(disks: Disks, *arguments: str) -> None:
    run([*disks.enter, sys.executable, "-m", "aque.commands.worker", "--to-end", *arguments])


def test_a_said_path_binds_a_task_to_where_its_disk_is_mounted(
    broker: Broker, disks: Disks
) -> None:
    bound = disks.submit("--io-path", str(disks.fast), "echo", "there")
    guessed = disks.submit("ls", str(disks.slow))
    assert f"--why {bound}" in work(broker)
    assert fetch(broker, bound).status == states.PENDING
    assert fetch(broker, guessed).status == states.SUCCESS
    with started([sys.executable, "-m", "aque.commands.worker"]):
        eventually(broker.workers)
        told = aque("status", "--why", str(bound)).stdout
        assert f"fast (tmpfs) is not mounted on {disks.fast} there" in told
    work_inside(disks)
    assert output(broker, bound) == b"there\n"


def test_tasks_of_a_busy_disk_come_after_those_of_an_idle_one(
    broker: Broker, disks: Disks, tmp_path: Path
) -> None:
    log, gate = tmp_path / "log", tmp_path / "gate"

    def submit(text: str, path: Path) -> int:
        """Submit a script whose only argument that names a path is this."""
        return disks.submit("-c0", f"LOG={log}", f"GATE={gate}", "sh", "-c", text, str(path))

    reading = submit("until [ -e $GATE ]; do sleep 0.01; done", disks.slow / "x")
    worker = [*disks.enter, sys.executable, "-m", "aque.commands.worker", "--slots", "2"]
    with started(worker, env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, cwd=CHECKOUT):
        running(broker, reading)
        held = script(broker, f"until [ -e {gate}1 ]; do sleep 0.01; done", cpus=0)
        running(broker, held)
        paths = [disks.slow / "a", disks.fast / "b", disks.slow / "c", disks.fast / "d"]
        ids = [submit("echo $0 >>$LOG", path) for path in paths]
        (tmp_path / "gate1").touch()
        eventually(lambda: all(fetch(broker, id).is_complete for id in ids))
        gate.touch()
        eventually(lambda: fetch(broker, reading).is_complete)
    assert [Path(line).name for line in log.read_text().splitlines()] == ["b", "d", "a", "c"]
