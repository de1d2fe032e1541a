"""Several hosts on one queue of a shared disk: two namespaces are two hosts."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hosts import Host, host
from jobs import attempts, ended, fetch, is_alive, output, running, submit
from support import aque, eventually

from aque import brokers, states
from aque.brokers.base import Broker

#: Seconds between two heartbeats here; a host is dead after six.
HEARTBEAT = 0.25

#: Says which attempt it is and where; the first one goes on for ever.
FIRST_STAYS = "echo $AQUE_ATTEMPT $(hostname); [ $AQUE_ATTEMPT -gt 1 ] || exec sleep 1000"


@pytest.fixture
def broker(own_queue: str) -> Iterator[Broker]:
    opened = brokers.from_url(f"sqlite://{own_queue}?journal=delete", durable=False)
    opened.set_settings({"heartbeat": HEARTBEAT})
    yield opened
    opened.close()


@contextmanager
def working(broker: Broker, name: str) -> Iterator[Host]:
    """Make a host with a worker on it, and that worker's guard."""
    with host(name) as made:
        made.start("worker", "--broker", broker.to_url())
        eventually(lambda: name in {worker.host for worker in broker.workers()})
        eventually(lambda: "aque-guard" in map(comm, made.pids()))
        yield made


@pytest.fixture
def ash(broker: Broker) -> Iterator[Host]:
    with working(broker, "ash") as made:
        yield made


@pytest.fixture
def birch(broker: Broker) -> Iterator[Host]:
    with working(broker, "birch") as made:
        yield made


def on(broker: Broker, name: str, *words: str) -> int:
    return submit(broker, *words, host=name, cpus=0)


def workers_host(broker: Broker, id: int) -> str:
    worker = fetch(broker, id).worker
    assert worker is not None
    return broker.workers([worker])[0].host


def freeze_out_of_the_lock(of: Host, broker: Broker) -> None:
    """Stop a host, but not while it holds the write lock, which would stop everybody."""

    def is_frozen() -> bool:
        of.freeze()
        with open(os.environ["AQUE_BROKER"] + "-lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                of.thaw()
                return False
        return True

    eventually(is_frozen)


def test_each_host_runs_what_its_name_allows(broker: Broker, ash: Host, birch: Host) -> None:
    ids = [on(broker, name, "hostname") for name in ("ash", "birch", "!ash", "!birch") * 3]
    said = [(ended(broker, id).status, output(broker, id)) for id in ids]
    assert said == [
        (states.SUCCESS, name) for name in (b"ash\n", b"birch\n", b"birch\n", b"ash\n") * 3
    ]


def test_what_is_free_is_counted_for_each_host(broker: Broker, ash: Host, birch: Host) -> None:
    cpus = len(os.sched_getaffinity(0))
    ids = [submit(broker, "sleep", "1000", cpus=cpus) for _ in range(3)]
    eventually(lambda: sum(t.status == states.RUNNING for t in broker.fetch(ids)) == 2)
    where = {workers_host(broker, t.id) for t in broker.fetch(ids) if t.status == states.RUNNING}
    assert where == {"ash", "birch"}
    aque("kill", "-9", *map(str, ids))


@pytest.mark.parametrize("place", ["here", "there"])
def test_a_kill_reaches_a_task_on_another_host(
    broker: Broker, ash: Host, birch: Host, place: str
) -> None:
    before = set(ash.pids())
    id = on(broker, "ash", "sh", "-c", "sleep 1000 & sleep 1000")
    family = eventually(lambda: len(new := set(ash.pids()) - before) == 3 and new)
    if place == "here":
        aque("kill", str(id))
    else:
        assert birch.start("kill", str(id)).wait(20) == 0
    assert fetch(broker, id).status == states.CANCELLED
    assert not [pid for pid in family if is_alive(pid)]


def test_a_signal_reaches_a_task_on_another_host(broker: Broker, ash: Host) -> None:
    id = on(
        broker, "ash", "sh", "-c", "trap 'echo heard; exit 0' USR1; while :; do sleep 0.02; done"
    )
    running(broker, id)
    aque("kill", "--signal-only", "-USR1", str(id))
    assert ended(broker, id).status == states.SUCCESS
    assert output(broker, id) == b"heard\n"


def test_what_ran_on_a_host_that_vanished_runs_elsewhere(broker: Broker, ash: Host) -> None:
    lost = [submit(broker, "sh", "-c", FIRST_STAYS, cpus=0) for _ in range(3)]
    eventually(lambda: all(output(broker, id, attempt=1) == b"1 ash\n" for id in lost))
    with working(broker, "birch"):
        stays = on(broker, "birch", "sleep", "1000")
        running(broker, stays)
        ash.vanish()
        for id in lost:
            task = ended(broker, id)
            assert (task.status, task.attempt) == (states.SUCCESS, 2)
            assert output(broker, id) == b"2 birch\n"
            assert [(a["attempt"], a["status"]) for a in attempts(broker, id)] == [(1, "requeued")]
        assert (fetch(broker, stays).status, fetch(broker, stays).attempt) == (states.RUNNING, 1)
        assert {worker.host for worker in broker.workers()} == {"birch"}


def test_a_host_that_was_stopped_gives_up_what_runs_elsewhere_now(
    broker: Broker, ash: Host
) -> None:
    ids = [submit(broker, "sh", "-c", FIRST_STAYS, cpus=0) for _ in range(3)]
    eventually(lambda: all(output(broker, id, attempt=1) == b"1 ash\n" for id in ids))
    jobs = eventually(lambda: len(found := sleeping(ash)) == 3 and found)
    freeze_out_of_the_lock(ash, broker)
    with working(broker, "birch"):
        for id in ids:
            assert (ended(broker, id).status, output(broker, id)) == (states.SUCCESS, b"2 birch\n")
        ash.thaw()
        eventually(lambda: not any(map(is_alive, jobs)))
        again = on(broker, "ash", "hostname")
        assert ended(broker, again).status == states.SUCCESS, "it goes on as a worker"
    assert [fetch(broker, id).attempt for id in ids] == [2] * 3
    assert [len(attempts(broker, id)) for id in ids] == [1] * 3


def test_an_end_that_was_told_too_late_counts_for_nothing(
    broker: Broker, ash: Host, birch: Host, tmp_path: Path
) -> None:
    """The job ends while its worker is stopped, and waits again before that can say so."""
    script = 'echo "$AQUE_ATTEMPT" >> "$1/begun"; while [ ! -e "$1/go" ]; do sleep 0.01; done'
    id = on(broker, "ash", "sh", "-c", script, "sh", str(tmp_path))
    job = running(broker, id)
    before = set(ash.pids())
    freeze_out_of_the_lock(ash, broker)
    (tmp_path / "go").touch()
    (leader,) = (pid for pid in before if comm(pid) == "sh")
    for pid in set(ash.pids()) - {ash.init}:
        if comm(pid) in ("sh", "sleep"):
            os.kill(pid, signal.SIGCONT)
    eventually(lambda: not is_alive(leader))
    eventually(lambda: fetch(broker, id).status == states.PENDING)
    ash.thaw()
    task = ended(broker, id)
    assert (task.status, task.attempt, job.attempt) == (states.SUCCESS, 2, 1)
    assert [(a["attempt"], a["status"]) for a in attempts(broker, id)] == [(1, "requeued")]
    assert (tmp_path / "begun").read_text() == "1\n2\n"


def sleeping(of: Host) -> list[int]:
    """Return the sleeps that tasks run on a host; its first process is one too."""
    return [pid for pid in of.pids() if comm(pid) == "sleep" and pid != of.init]


def comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except FileNotFoundError:
        return ""


def test_an_xargs_that_was_stopped_for_too_long_ends_as_one_that_was_killed(
    broker: Broker, ash: Host, birch: Host
) -> None:
    words = ("--broker", broker.to_url(), "-n1", "-P2", "sleep")
    run = ash.start("xargs", *words, stdin=subprocess.PIPE)
    assert run.stdin is not None
    run.stdin.write(b"1000\n1000\n1000\n")
    run.stdin.flush()
    before = set(ash.pids())
    eventually(lambda: len([pid for pid in ash.pids() if comm(pid) == "sleep"]) == 3)
    freeze_out_of_the_lock(ash, broker)
    group = broker.search()[0].id
    assert ended(broker, group).status == states.CANCELLED
    ash.thaw()
    assert run.wait(20) not in (0, None)
    eventually(lambda: not any(map(is_alive, set(ash.pids()) - before)))
    assert {task.status for task in broker.search()} == {states.CANCELLED}
