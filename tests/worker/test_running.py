"""Workers run tasks: each once, in the order of their dependencies, within what the host has."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from jobs import (
    ended,
    fetch,
    is_alive,
    is_listening,
    output,
    read_pid,
    running,
    script,
    submit,
    work,
)
from support import aque, eventually, started_worker

from aque import states
from aque.brokers.base import Broker
from aque.brokers.questions import Selection
from aque.queue import Queue
from aque.worker import host

COUNT = 2000


@pytest.mark.parametrize("is_hurried", [False, True], ids=["as it is", "intervals shortened"])
def test_four_workers_run_two_thousand_tasks_once_each(
    broker: Broker, tmp_path: Path, is_hurried: bool
) -> None:
    if is_hurried:
        aque("init", "--set", "poll=0.01", "--set", "heartbeat=0.1", "--set", "grace=0.1")
    ran = tmp_path / "ran"
    ran.mkdir()
    # noclobber opens with O_EXCL, so a second run of a task fails.
    text = 'set -C; : > "$1/$AQUE_TID"'
    prototypes = [
        {"pattern": "shell", "args": ["sh", "-c", text, "sh", str(ran)], "cpus": 0.25}
        for _ in range(COUNT)
    ]
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(started_worker(broker, "-c", "0.5"))
        eventually(lambda: len(broker.workers()) == 4)
        ids = [future.id for future in Queue(broker).submit_many(prototypes)]
        eventually(lambda: all_complete(broker, ids), 60)
    tasks = broker.fetch(ids)
    assert {task.status for task in tasks} == {states.SUCCESS}
    assert {task.attempt for task in tasks} == {1}
    assert {path.name for path in ran.iterdir()} == {str(id) for id in ids}
    assert len({task.worker for task in tasks}) == 4
    assert not broker.workers()


def all_complete(broker: Broker, ids: list[int]) -> bool:
    return not broker.count(Selection(ids=ids, statuses=[states.PENDING, states.RUNNING]))


def test_a_diamond_runs_from_its_top_to_its_bottom(broker: Broker, tmp_path: Path) -> None:
    log = tmp_path / "log"

    def step(name: str, *dependencies: object) -> dict[str, object]:
        words = ["sh", "-c", f"echo {name} >> {log}"]
        return {"pattern": "shell", "args": words, "dependencies": dependencies}

    top = step("top")
    bottom = step("bottom", step("left", top), step("right", top))
    (future,) = Queue(broker).submit_many([bottom])
    work(broker)
    assert future.done()
    names = log.read_text().split()
    assert names[0] == "top"
    assert sorted(names[1:3]) == ["left", "right"]
    assert names[3:] == ["bottom"]


def test_what_depends_on_a_failure_fails_at_once_and_names_it(broker: Broker) -> None:
    first = script(broker, "exit 7")
    middle = submit(broker, "echo", "middle", dependencies=[first])
    last = submit(broker, "echo", "last", dependencies=[middle])
    after_any = submit(broker, "echo", "all the same", after_any=[first])
    work(broker)
    assert fetch(broker, first).exit_status == 7
    for id in (middle, last):
        task = fetch(broker, id)
        assert (task.status, task.cause, task.started_at) == (states.ERROR, first, None)
        assert f"task {first}" in str(task.error)
    assert fetch(broker, after_any).status == states.SUCCESS


def test_a_worker_ends_after_one_task_if_told_so(broker: Broker) -> None:
    ids = [submit(broker, "true") for _ in range(3)]
    aque("worker", "--one")
    assert [fetch(broker, id).status for id in ids] == ["success", "pending", "pending"]
    aque("worker", "-1")
    assert [fetch(broker, id).status for id in ids] == ["success", "success", "pending"]


def test_a_worker_of_one_task_ends_where_there_is_none(broker: Broker) -> None:
    aque("worker", "--one")
    assert not broker.workers()


def test_a_worker_to_the_end_runs_what_becomes_ready_meanwhile(broker: Broker) -> None:
    first = script(broker, "sleep 0.3")
    last = submit(broker, "true", dependencies=[first])
    work(broker)
    assert fetch(broker, last).status == states.SUCCESS


def test_a_worker_to_the_end_leaves_what_can_never_run_here(broker: Broker) -> None:
    id = submit(broker, "true", cpus=100000)
    work(broker)
    assert fetch(broker, id).status == states.PENDING


def test_an_idle_worker_is_woken_by_a_submit(broker: Broker) -> None:
    aque("init", "--set", "poll=30")
    with started_worker(broker):
        eventually(broker.workers)
        assert ended(broker, submit(broker, "true"), 5).status == states.SUCCESS


# What a host has

# Writes how many such jobs run at the same time, itself included, and waits to be let go.
CROWD = """
mkdir "$1/in.$AQUE_TID"; ls -d "$1"/in.* | wc -l >> "$1/seen"; sleep 0.05; rmdir "$1/in.$AQUE_TID"
"""


def crowd(tmp_path: Path) -> list[int]:
    return [int(line) for line in (tmp_path / "seen").read_text().split()]


@pytest.mark.parametrize(("given", "cpus", "most"), [("2", 1.0, 2), ("1", 0.5, 2), ("1", 0.25, 4)])
def test_a_worker_fills_its_cpus_and_no_more(
    broker: Broker, tmp_path: Path, given: str, cpus: float, most: int
) -> None:
    if host.count_cpus() < float(given):
        pytest.skip("too few cpus")
    for _ in range(12):
        submit(broker, "sh", "-c", CROWD, "sh", str(tmp_path), cpus=cpus)
    work(broker, "-c", given)
    assert max(crowd(tmp_path)) == most


def test_two_workers_of_a_host_never_use_more_than_its_cpus(broker: Broker, tmp_path: Path) -> None:
    cpus = host.count_cpus()
    for _ in range(10 * cpus):
        submit(broker, "sh", "-c", CROWD, "sh", str(tmp_path))
    last = submit(broker, "true", priority=1)
    with started_worker(broker), started_worker(broker):
        ended(broker, last, 40)
        eventually(lambda: len(crowd(tmp_path)) == 10 * cpus, 40)
    assert max(crowd(tmp_path)) == cpus


@pytest.mark.parametrize("leaving", [False, True], ids=["goes on", "ends"])
def test_what_one_worker_lets_go_of_the_other_takes_at_once(
    broker: Broker, tmp_path: Path, leaving: bool
) -> None:
    aque("init", "--set", "poll=60")
    gate = tmp_path / "gate"
    cpus = host.count_cpus()
    held = script(broker, f"until [ -e {gate} ]; do sleep 0.01; done")
    with started_worker(broker, "-c", "1") as small:
        running(broker, held)
        big = submit(broker, "true", cpus=cpus)
        with started_worker(broker) as large:
            eventually(lambda: is_listening(large.pid))
            if leaving:
                small.send_signal(signal.SIGTERM)
            gate.touch()
            assert ended(broker, big, 20).status == states.SUCCESS


def test_memory_is_reserved(broker: Broker, tmp_path: Path) -> None:
    for _ in range(6):
        submit(broker, "sh", "-c", CROWD, "sh", str(tmp_path), cpus=0, memory=1 << 30)
    work(broker, "--memory", "2G")
    assert max(crowd(tmp_path)) == 2


def test_slots_bound_what_needs_no_cpu(broker: Broker, tmp_path: Path) -> None:
    for _ in range(9):
        submit(broker, "sh", "-c", CROWD, "sh", str(tmp_path), cpus=0)
    work(broker, "--slots", "3")
    assert max(crowd(tmp_path)) == 3


def test_larger_priorities_go_first_and_equals_in_order(broker: Broker, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for name, priority in (("c", 1000), ("d", 1000), ("a", 3000), ("e", -5), ("b", 2000)):
        script(broker, f"echo {name} >> {log}", priority=priority)
    work(broker, "--slots", "1")
    assert log.read_text().split() == ["a", "b", "c", "d", "e"]


# Jobs


def test_a_job_is_told_what_it_is(broker: Broker, tmp_path: Path) -> None:
    names = "AQUE_TID AQUE_ATTEMPT AQUE_SLOT AQUE_CPUS AQUE_BROKER"
    text = f'for name in {names}; do eval echo \\$$name; done; test -n "$AQUE_JOB"'
    id = script(broker, text, cpus=0.5)
    work(broker)
    task = fetch(broker, id)
    assert task.status == states.SUCCESS
    assert output(broker, id) == f"{id}\n1\n1\n0.5\n{broker.to_url()}\n".encode()


def test_a_job_leads_a_session_of_its_own_with_nothing_ignored_or_blocked(broker: Broker) -> None:
    text = (
        "import os, signal; print(os.getsid(0) == os.getpid() == os.getpgid(0), "
        "signal.pthread_sigmask(signal.SIG_BLOCK, ()), "
        "sorted(n for n in signal.valid_signals() if signal.getsignal(n) == signal.SIG_IGN))"
    )
    id = submit(broker, sys.executable, "-c", text)
    work(broker)
    # Python itself ignores PIPE and XFSZ.
    assert output(broker, id) == b"True set() [<Signals.SIGPIPE: 13>, <Signals.SIGXFSZ: 25>]\n"


def test_a_job_has_no_descriptors_but_its_three(broker: Broker) -> None:
    id = submit(broker, "ls", "-l", "/proc/self/fd")
    work(broker)
    lines = output(broker, id).decode().splitlines()[1:]
    links = {line.split()[-3]: line.split()[-1] for line in lines}
    assert links["0"] == "/dev/null"
    assert links["1"].startswith("pipe:")
    assert links["2"].startswith("pipe:")
    assert set(links) == {"0", "1", "2", "3"}  # 3 is the directory that ls reads


def test_what_a_job_used_is_on_its_record(broker: Broker) -> None:
    text = "import time\nx = bytearray(80 << 20)\nwhile time.process_time() < 0.2: pass"
    id = submit(broker, sys.executable, "-c", text)
    words = [sys.executable, "-m", "aque.commands.worker", "--one"]
    # By a shell's own fork, or the worker would begin with the peak of this large process.
    subprocess.run(["sh", "-c", '"$@"; exit', "sh", *words], check=True)
    task = fetch(broker, id)
    assert task.user_time is not None
    assert task.system_time is not None
    assert task.user_time + task.system_time >= 0.2
    assert 80 << 20 < (task.max_rss or 0) < 300 << 20


def test_a_task_that_runs_has_its_process_on_its_record(broker: Broker) -> None:
    with started_worker(broker):
        id = submit(broker, "sleep", "60")
        task = running(broker, id)
        assert task.session == task.pid
        assert task.pid_started is not None
        assert Path(f"/proc/{task.pid}/comm").read_text() == "sleep\n"
        aque("kill", str(id))


def test_what_a_python_task_left_in_the_background_ends_with_its_worker(
    broker: Broker, tmp_path: Path
) -> None:
    text = f"sleep 600 & echo $! > {tmp_path}/pid"
    Queue(broker).submit(subprocess.check_call, ["sh", "-c", text])
    work(broker)
    pid = read_pid(tmp_path / "pid")
    assert not is_alive(pid)
