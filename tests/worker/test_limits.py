"""What a task may take: time, memory, tries, tokens; and what a host has."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jobs import attempts, ended, fetch, output, running, script, submit, work
from support import aque, eventually, started_worker

from aque import states
from aque.brokers.base import Broker
from aque.queue import Queue

CROWD = """
mkdir "$1/in.$AQUE_TID"; ls -d "$1"/in.* | wc -l >> "$1/seen"; sleep 0.05; rmdir "$1/in.$AQUE_TID"
"""


def most(tmp_path: Path) -> int:
    """Return how many of a crowd were there at the same time."""
    return max(int(line) for line in (tmp_path / "seen").read_text().split())


# Time


def test_what_takes_too_long_fails_with_the_status_of_a_timeout(broker: Broker) -> None:
    id = submit(broker, "sleep", "60", timeout=0.2)
    after = submit(broker, "true", after=[id])
    work(broker)
    task = fetch(broker, id)
    assert (task.status, task.error) == (states.ERROR, "timed out after 0.2s")
    assert (task.exit_status, task.exit_signal) == (124, None)
    assert fetch(broker, after).cause == id
    assert aque("wait", str(id), status=124).stdout == ""


def test_what_ends_well_on_the_term_of_its_timeout_has_timed_out_all_the_same(
    broker: Broker,
) -> None:
    id = script(broker, "trap 'echo told; exit 0' TERM; sleep 60 & wait", timeout=0.3)
    work(broker)
    assert (fetch(broker, id).status, fetch(broker, id).exit_status) == (states.ERROR, 124)
    assert output(broker, id) == b"told\n"


def test_what_ignores_the_term_of_its_timeout_is_killed_after_the_grace(broker: Broker) -> None:
    aque("init", "--set", "grace=0.3")
    id = script(broker, "trap '' TERM; echo on; while :; do sleep 0.05; done", timeout=0.3)
    work(broker)
    task = fetch(broker, id)
    assert (task.status, task.exit_status) == (states.ERROR, 124)
    assert task.started_at is not None
    assert task.ended_at is not None
    assert 0.6 <= task.ended_at - task.started_at < 5


def test_a_python_call_times_out_too(broker: Broker) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit('told'))\n"
        "time.sleep(60)"
    )
    polite = Queue(broker).submit_ex(func=exec, args=[code], timeout=0.5)
    plain = Queue(broker).submit_ex(func=time.sleep, args=[60], timeout=0.3)
    work(broker)
    for future in (polite, plain):
        task = future.task()
        assert (task.status, task.exit_status) == (states.ERROR, 124), task.error
        assert str(task.error).startswith("timed out after 0.")


def test_what_is_in_time_is_left_alone(broker: Broker) -> None:
    id = submit(broker, "true", timeout=30)
    work(broker)
    assert fetch(broker, id).status == states.SUCCESS


def test_time_stopped_does_not_count(broker: Broker) -> None:
    with started_worker(broker):
        id = script(broker, "sleep 0.6", timeout=1.5)
        running(broker, id)
        broker.pause([id])
        stopped_at = fetch(broker, id).stopped_at or 0.0
        eventually(lambda: time.time() > stopped_at + 2.0)
        assert fetch(broker, id).status == states.RUNNING
        broker.resume([id])
        assert ended(broker, id).status == states.SUCCESS


def test_a_timeout_goes_on_counting_after_a_stop(broker: Broker) -> None:
    with started_worker(broker):
        id = script(broker, "sleep 60", timeout=1.5)
        running(broker, id)
        broker.pause([id])
        broker.resume([id])
        task = ended(broker, id, 20)
        assert (task.status, task.exit_status) == (states.ERROR, 124)


def reload(worker: subprocess.Popen[bytes]) -> None:
    worker.send_signal(signal.SIGHUP)
    assert worker.stderr is not None
    while b"reloaded" not in (line := worker.stderr.readline()):
        assert line, "the worker has ended"


def test_timeout_and_stop_survive_a_reload(broker: Broker) -> None:
    with started_worker(broker, "-v", stderr=subprocess.PIPE) as worker:
        late = script(broker, "sleep 60", timeout=2.5, cpus=0)
        stopped = script(broker, "sleep 1.5", timeout=2.5, cpus=0)
        running(broker, late)
        running(broker, stopped)
        broker.pause([stopped])
        reload(worker)
        assert ended(broker, late, 20).exit_status == 124
        assert fetch(broker, stopped).status == states.RUNNING
        broker.resume([stopped])
        assert ended(broker, stopped, 20).status == states.SUCCESS


def test_the_grace_of_a_timeout_survives_a_reload(broker: Broker) -> None:
    aque("init", "--set", "grace=1")
    with started_worker(broker, "-v", stderr=subprocess.PIPE) as worker:
        text = "trap 'echo told' TERM; echo on; while :; do sleep 0.02; done"
        id = script(broker, text, timeout=0.3)
        eventually(lambda: b"told" in output(broker, id))
        reload(worker)
        task = ended(broker, id, 5)
        assert (task.error, task.exit_status) == ("timed out after 0.3s", 124)


# Memory


@pytest.mark.parametrize("how", ["itself", "a child", "an orphan"])
def test_what_takes_a_quarter_more_memory_than_it_asked_for_is_ended(
    broker: Broker, how: str
) -> None:
    code = "import time; x = b'x' * (90 << 20); time.sleep(60)"
    words = [sys.executable, "-c", code]
    if how != "itself":
        tail = '"$@" & wait' if how == "a child" else '( "$@" & ) ; sleep 60'
        words = ["sh", "-c", tail, "sh", *words]
    id = submit(broker, *words, memory=32 << 20)
    work(broker)
    task = fetch(broker, id)
    assert task.status == states.ERROR
    assert str(task.error).startswith("used ")
    assert str(task.error).endswith(" MiB of memory and had asked for 32 MiB")
    # it may be caught while it is still growing
    assert 40 <= float(str(task.error).split()[1]) < 200


def test_what_takes_less_than_a_quarter_more_goes_on(broker: Broker) -> None:
    code = "import time; x = b'x' * (60 << 20); time.sleep(1.2)"
    id = submit(broker, sys.executable, "-c", code, memory=80 << 20)
    work(broker)
    assert fetch(broker, id).status == states.SUCCESS


# Tries


def test_what_fails_is_tried_again_as_often_as_it_may(broker: Broker) -> None:
    id = script(broker, "echo $AQUE_ATTEMPT; exit $((10 + AQUE_ATTEMPT))", retries=2)
    after = submit(broker, "true", after_any=[id])
    work(broker)
    task = fetch(broker, id)
    assert (task.status, task.attempt, task.retried, task.exit_status) == (states.ERROR, 3, 2, 13)
    assert [kept["exit_status"] for kept in attempts(broker, id)] == [11, 12]
    assert {kept["status"] for kept in attempts(broker, id)} == {states.ERROR}
    assert [output(broker, id, attempt=n) for n in (1, 2, 3)] == [b"1\n", b"2\n", b"3\n"]
    assert fetch(broker, after).status == states.SUCCESS


def test_a_success_ends_the_tries(broker: Broker) -> None:
    id = script(broker, "[ $AQUE_ATTEMPT = 2 ]", retries=5)
    after = submit(broker, "true", after=[id])
    work(broker)
    assert (fetch(broker, id).status, fetch(broker, id).attempt) == (states.SUCCESS, 2)
    assert fetch(broker, after).status == states.SUCCESS


def test_tries_are_further_and_further_apart(broker: Broker) -> None:
    id = script(broker, "date +%s.%N; false", retries=2, retry_delay=0.2)
    work(broker)
    begun = [float(output(broker, id, attempt=n)) for n in (1, 2, 3)]
    assert begun[1] - begun[0] >= 0.2
    assert begun[2] - begun[1] >= 0.4


def test_what_times_out_or_cannot_start_is_tried_again_too(broker: Broker) -> None:
    slow = submit(broker, "sleep", "60", timeout=0.1, retries=1)
    missing = submit(broker, "/no/such/program", retries=1)
    work(broker)
    assert (fetch(broker, slow).attempt, fetch(broker, slow).exit_status) == (2, 124)
    assert (fetch(broker, missing).attempt, fetch(broker, missing).exit_status) == (2, 127)


def test_what_is_killed_is_not_tried_again(broker: Broker) -> None:
    with started_worker(broker):
        id = submit(broker, "sleep", "60", retries=5)
        running(broker, id)
        aque("kill", str(id))
        assert (fetch(broker, id).status, fetch(broker, id).attempt) == (states.CANCELLED, 1)


# Tokens, and what a host has


def test_two_workers_never_take_more_tokens_than_there_are(broker: Broker, tmp_path: Path) -> None:
    broker.set_limits({"nuke": 4})
    words = ["sh", "-c", CROWD, "sh", str(tmp_path)]
    ids = [submit(broker, *words, cpus=0, limits={"nuke": 2}) for _ in range(12)]
    with started_worker(broker), started_worker(broker):
        for id in ids:
            assert ended(broker, id).status == states.SUCCESS
    assert most(tmp_path) == 2
    assert broker.limits()["nuke"].used == 0


def test_a_raised_limit_lets_go_on_what_waited_for_it(broker: Broker) -> None:
    aque("init", "--set", "poll=30")
    broker.set_limits({"nuke": 0})
    id = submit(broker, "true", limits={"nuke": 1})
    with started_worker(broker):
        ended(broker, submit(broker, "true"))
        assert fetch(broker, id).status == states.PENDING
        aque("limit", "nuke=1")
        assert ended(broker, id, 5).status == states.SUCCESS


def test_two_workers_of_a_host_never_use_more_than_its_memory(
    broker: Broker, tmp_path: Path
) -> None:
    from aque.worker import host

    words = ["sh", "-c", CROWD, "sh", str(tmp_path)]
    third = host.this_host().memory // 3
    ids = [submit(broker, *words, cpus=0, memory=third) for _ in range(12)]
    with started_worker(broker), started_worker(broker):
        for id in ids:
            assert ended(broker, id).status == states.SUCCESS
    assert most(tmp_path) == 3


def test_what_may_take_longest_goes_first_of_equal_priority(broker: Broker, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for name, priority, duration in (("c", 5, 0), ("b", 5, 60), ("a", 5, 3600), ("d", 4, 9999)):
        script(broker, f"echo {name} >> {log}", priority=priority, duration=duration)
    work(broker, "--slots", "1")
    assert log.read_text().split() == ["a", "b", "c", "d"]
