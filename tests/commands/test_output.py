"""aque-output as it is used, and what aque-status says of a task that failed."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from jobs import ended, fetch, script, submit
from support import aque, child, claim, enlist, eventually, group, run, started_worker

from aque import reading, states
from aque.brokers.base import Broker
from aque.commands import details
from aque.queue import Queue

WATCH = [sys.executable, "-m", "aque.commands.output", "-w"]


@pytest.mark.parametrize("inline", [1 << 16, 40])
def test_a_tail_is_the_last_lines_in_the_queue_or_in_a_file(broker: Broker, inline: int) -> None:
    broker.set_settings({"output-inline": inline})
    id = script(broker, "seq 9000; printf end")
    with started_worker(broker, "-2", "-q"):
        ended(broker, id)
    parts: list[bytes] = []
    reading.Reader(broker, id, 1, [reading.STDOUT]).read(lambda stream, data: parts.append(data))
    whole = b"".join(parts).splitlines(keepends=True)
    assert len(whole) == 9001
    for lines in (0, 1, 2, 7, 5000, 9001, 20_000):
        found: list[bytes] = []
        reader = reading.Reader(broker, id, 1, [reading.STDOUT])
        reader.tail(lines, lambda stream, data, found=found: found.append(data))
        assert b"".join(found) == b"".join(whole[len(whole) - min(lines, len(whole)) :]), lines
    done = aque("output", "--tail", "2", "--tag", "--timestamps", "1")
    times = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}" if inline > 40 else " {23}"
    assert re.fullmatch(f"1\t{times} 9000\n1\t{times} end\n", done.stdout), done.stdout


def test_earlier_attempts_are_shown_and_a_failed_task_says_why(broker: Broker) -> None:
    text = "echo attempt $AQUE_ATTEMPT; for i in $(seq 12); do echo e$i >&2; done; kill -9 $$"
    one = script(broker, text, name="evil\x1b[2J", retries=1)
    two = submit(broker, "true", after=[one])
    with started_worker(broker, "-2", "-q"):
        ended(broker, two)
    assert aque("output", "--stdout", "1").stdout == "attempt 2\n"
    assert aque("output", "--stdout", "--attempt", "1", "1").stdout == "attempt 1\n"
    missing = aque("output", "--attempt", "3", "1", status=1).stderr
    assert missing == "aque-output: task 1 has no attempt 3; it has had 2 so far\n"
    assert "never run" in aque("output", "--attempt", "1", "2", status=1).stderr
    assert "--attempt" in aque("output", "-w", "--attempt", "1", "1", status=2).stderr
    lines = aque("status", "1").stdout.splitlines()[2:]
    assert lines[0] == "task 1 failed: it was ended by signal 9, SIGKILL (Killed)"
    assert re.fullmatch(r"  ran       attempt 2, [0-9.]+s: evil\\x1b\[2J", lines[1])
    assert re.fullmatch(r"  where     .+, by worker .+, in /.*", lines[2])
    killed = "error; it was ended by signal 9, SIGKILL (Killed)"
    assert re.fullmatch(
        rf"  before    attempt 1, \d+s ago, [0-9.]+s on .+: {re.escape(killed)}", lines[4]
    )
    assert lines[5:] == [
        "  failed    because of it: 2",
        "  stderr    the last 10 lines",
        *(f"    e{number}" for number in range(3, 13)),
        "  retry     aque-retry 1",
    ]
    other = aque("status", "2").stdout
    assert r"task 2 failed: it never ran, since task 1 (evil\x1b[2J) failed" in other
    assert other.endswith("  retry     aque-retry -r 2\n")


def test_of_what_ran_before_it_is_said_how_that_ended(broker: Broker) -> None:
    id, worker = submit(broker, "true"), enlist(broker, host="box\x1b")
    for status, given in (
        (states.ERROR, {"exit_status": 127}),
        (states.CANCELLED, {"exit_status": None, "error": "killed"}),
        (states.SUCCESS, {}),
    ):
        run(broker, worker, id, status, **given)
        broker.retry([id])
    claim(broker, worker)
    broker.requeue([(id, 4)], "worker box died")
    lines = aque("status", str(id)).stdout.splitlines()[1:]
    assert [re.sub(r"\d+s ago, .*s on", "...", line) for line in lines] == [
        "",
        f"task {id} ran before",
        r"  before    attempt 1, ... box\x1b: error; it exited with status 127 (not found)",
        r"            attempt 2, ... box\x1b: cancelled; killed",
        r"            attempt 3, ... box\x1b: success",
        r"            attempt 4, ... box\x1b: requeued to run again; worker box died",
    ]
    for _ in range(2):
        run(broker, worker, id)
        broker.retry([id])
    _, first, *named = details.describe(broker, fetch(broker, id))
    assert (first, len(named)) == ("  before    6 attempts, of which the last:", 5)


def test_what_cannot_be_retried_is_not_said_to_be(broker: Broker) -> None:
    first = submit(broker, "true")
    second = submit(broker, "true", after=[first])
    third = submit(broker, "true", after=[second])
    run(broker, enlist(broker), first, states.ERROR)
    assert [*details.describe(broker, fetch(broker, third))][
        -1
    ] == f"  retry     aque-retry -r {third}"
    aque("rm", str(first))
    for id in (second, third):
        assert [*details.describe(broker, fetch(broker, id))][-1] == (
            f"  retry     not possible: task {second} depends on task {first}, which was removed"
        )


def test_a_group_whose_failed_child_was_removed_is_not_said_never_to_have_run(
    broker: Broker,
) -> None:
    worker = enlist(broker)
    (parent,) = broker.create([group(status=states.CREATING, owner=worker)])
    good, bad = broker.create([child(parent), child(parent)])
    broker.commit([parent])
    run(broker, worker, good)
    run(broker, worker, bad, states.ERROR)
    broker.remove([bad])
    first, *_ = details.describe(broker, broker.fetch([parent])[0])
    assert first == f"task {parent} failed: task {bad}, which was removed, failed"


def test_a_group_is_followed_with_the_children_that_come_meanwhile(broker: Broker) -> None:
    queue = Queue(broker)
    gate = "until [ -e {0} ]; do sleep 0.05; done; echo {1}; exit {2}"
    path = broker.directory + "/go"
    group = queue.submit_ex(name="frames", children=[
        {"pattern": "shell", "args": [gate.format(path, "one", 0)], "kwargs": {"shell": True}},
    ]).id  # fmt: skip
    (one,) = [edge.dependency for edge in broker.edges([group])]
    with started_worker(broker, "-q"):
        eventually(lambda: broker.statuses([one])[one] == "running")
        words = [*WATCH, "--tag", str(group)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            later = script(broker, gate.format(path, "two", 3), parent=group)
            with open(path, "w"):
                pass
            written, _ = process.communicate(timeout=40)
            assert process.returncode == 1
    assert sorted(written.splitlines()) == [f"{one}\tone", f"{later}\ttwo"]
    said = aque("status", str(group)).stdout
    assert f"task {group} failed: 1 of its 2 children did not succeed: {later}\n" in said
    assert said.endswith(f"  retry     aque-retry {group}\n")


def test_what_was_shown_is_not_shown_again_when_the_task_changes(broker: Broker) -> None:
    id = script(broker, "echo first; exit 1", retries=1, retry_delay=1000)
    with started_worker(broker, "-2", "-q"):
        eventually(lambda: broker.fetch([id])[0].attempt and broker.statuses([id])[id] == "pending")
    with subprocess.Popen([*WATCH, str(id)], stdout=subprocess.PIPE) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == b"first\n"
        broker.prioritize([id], 7)
        Queue(broker).kill([id])
        assert follower.stdout.read() == b""


def test_who_names_no_tasks_is_told_how_to(broker: Broker) -> None:
    said = aque("output", status=2).stderr
    assert said == (
        "aque-output: name tasks: 7, 3-9, 1,4,8-10, last, all (see aque-output --help)\n"
    )


def test_a_follower_whose_reader_has_gone_ends_though_nothing_is_written(broker: Broker) -> None:
    id = script(broker, "echo first; sleep 600")
    with started_worker(broker):
        with subprocess.Popen([*WATCH, str(id)], stdout=subprocess.PIPE) as follower:
            assert follower.stdout is not None
            assert follower.stdout.readline() == b"first\n"
            follower.stdout.close()
            assert follower.wait(30) == 141
        assert not broker.fetch([id])[0].is_complete
        Queue(broker).kill([id])
