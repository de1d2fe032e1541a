"""aque-retry: the same task again, as its next attempt."""

from __future__ import annotations

from pathlib import Path

from jobs import attempts, fetch, one_line, output, running, submit, work
from support import aque, enlist, prototype, requirements, run, started_worker

from aque import states
from aque.brokers.base import Broker
from aque.queue import Queue

#: Fails while the file $1 is not there.
NEEDS = 'echo $AQUE_ATTEMPT; [ -e "$1" ]'


def needing(broker: Broker, path: Path, **fields: object) -> int:
    return submit(broker, "sh", "-c", NEEDS, "sh", str(path), **fields)


def test_a_retry_is_the_next_attempt_and_keeps_the_first(broker: Broker, tmp_path: Path) -> None:
    id = needing(broker, tmp_path / "file")
    dependent = submit(broker, "true", dependencies=[id])
    work(broker)
    assert fetch(broker, dependent).status == states.ERROR
    (tmp_path / "file").touch()
    aque("retry", str(id))
    assert fetch(broker, id).status == fetch(broker, dependent).status == states.PENDING
    work(broker)
    task = fetch(broker, id)
    assert (task.status, task.attempt) == (states.SUCCESS, 2)
    assert fetch(broker, dependent).status == states.SUCCESS
    assert output(broker, id, attempt=1) == b"1\n"
    assert output(broker, id, attempt=2) == b"2\n"
    assert [(a["attempt"], a["status"], a["exit_status"]) for a in attempts(broker, id)] == [
        (1, "error", 1)
    ]


def test_a_retry_from_below_takes_what_failed_there(broker: Broker, tmp_path: Path) -> None:
    good = submit(broker, "true")
    bad = needing(broker, tmp_path / "file", dependencies=[good])
    last = submit(broker, "true", dependencies=[bad])
    work(broker)
    one_line(aque("retry", str(last), status=1).stderr, f"aque-retry -r {last}")
    assert fetch(broker, last).status == states.ERROR
    (tmp_path / "file").touch()
    aque("retry", "-r", str(last))
    work(broker)
    assert [fetch(broker, id).status for id in (good, bad, last)] == [states.SUCCESS] * 3
    assert fetch(broker, good).attempt == 1


def test_a_success_is_retried_only_if_asked(broker: Broker) -> None:
    id = submit(broker, "true")
    work(broker)
    one_line(aque("retry", str(id), status=1).stderr, f"aque-retry -s {id}")
    aque("retry", "-s", str(id))
    work(broker)
    assert fetch(broker, id).attempt == 2


def test_what_was_killed_can_run_again(broker: Broker) -> None:
    id = submit(broker, "true")
    Queue(broker).kill([id])
    aque("retry", str(id))
    work(broker)
    assert fetch(broker, id).status == states.SUCCESS


def test_what_runs_or_waits_cannot_be_retried(broker: Broker) -> None:
    id = submit(broker, "true")
    one_line(aque("retry", str(id), status=1).stderr, f"task {id} is pending")
    one_line(aque("retry", "all", status=1).stderr, f"task {id} is pending")
    with started_worker(broker):
        sleeper = submit(broker, "sleep", "600")
        running(broker, sleeper)
        one_line(aque("retry", str(sleeper), status=1).stderr, f"task {sleeper} is running")
        Queue(broker).kill([sleeper])


def test_nobody_is_missed_where_the_aque_xargs_of_a_task_is_there(broker: Broker) -> None:
    xargs = enlist(broker, kind="xargs")
    (its,) = broker.create([prototype(requirements=requirements(reserved=xargs))])
    run(broker, xargs, its, states.ERROR)
    assert aque("retry", str(its)).stderr == ""
    other = submit(broker, "true")
    Queue(broker).kill([other])
    one_line(aque("retry", str(other)).stderr, "no worker is running; aque-worker starts one")
