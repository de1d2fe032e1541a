"""Commands that are left to workers."""

from __future__ import annotations

from support import aque, eventually, started_worker
from xargs import pair, runs

from aque import states
from aque.brokers.base import Broker


def test_the_id_is_printed_and_workers_run_the_commands(broker: Broker):
    done = runs.run("--detach", "-n1", "-P2", "--name=mine", "sh", "-c", "echo $0", data=b"a b c")
    assert done == pair.Outcome(b"1\n", b"", 0)
    assert runs.statuses(broker) == [states.PENDING] * 3
    aque("worker", "--to-end")
    assert (runs.group(broker).name, runs.group(broker).status) == ("mine", states.SUCCESS)
    assert aque("output", "1").stdout == "a\nb\nc\n"


def test_no_more_than_p_run_over_all_workers(broker: Broker, tmp_path):
    script = "echo $0 >> begun; while [ ! -e gate ]; do sleep 0.01; done"
    runs.run("--detach", "-n1", "-P2", "sh", "-c", script, data=b"1 2 3 4", cwd=tmp_path)
    with started_worker(broker), started_worker(broker):
        eventually(lambda: runs.statuses(broker).count(states.RUNNING) == 2)
        eventually(lambda: len(broker.workers()) == 2)
        assert broker.limits()["xargs-1"] == (2, 2)
        assert runs.statuses(broker).count(states.RUNNING) == 2
        (tmp_path / "gate").touch()
        eventually(lambda: runs.group(broker).status == states.SUCCESS)
    aque("rm", "1")
    assert broker.limits() == {}


def test_input_that_makes_no_sense_is_told_and_what_came_before_is_left_to_workers(
    broker: Broker,
):
    done = runs.run("--detach", "-n1", "true", data=b"a\nb 'c\n")
    assert (done.stdout, done.status) == (b"1\n", 1)
    assert b"unmatched single quote" in done.stderr
    assert len(runs.children(broker)) == 2


def test_a_detached_run_can_be_taken_back(broker: Broker):
    runs.run("--detach", "-n1", "-P2", "echo", data=b"a b")
    done = runs.run("--resume=1", "-P1")
    assert (sorted(done.stdout.split()), done.status) == ([b"a", b"b"], 0)
    assert runs.group(broker).status == states.SUCCESS
