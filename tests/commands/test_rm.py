"""aque-rm: forgetting, and what is never forgotten."""

from __future__ import annotations

import os
import time

from jobs import checkpointed_size, one_line, running, submit, work
from support import aque, prototype, started_worker

from aque.brokers.base import Broker
from aque.queue import Queue


def test_tasks_are_forgotten_by_their_ids(broker: Broker) -> None:
    first, second = submit(broker, "true"), submit(broker, "true")
    done = aque("rm", "-v", str(first))
    assert done.stdout == f"{first}\n"
    assert broker.existing(0, 100) == [second]
    assert aque("rm", str(second)).stdout == ""
    assert submit(broker, "true") > second  # no id is used again


def test_what_runs_or_is_needed_stays(broker: Broker) -> None:
    first = submit(broker, "true")
    last = submit(broker, "true", dependencies=[first])
    one_line(aque("rm", str(first), status=1).stderr, f"task {first} is needed by task {last}")
    with started_worker(broker):
        sleeper = submit(broker, "sleep", "600", priority=9000)
        running(broker, sleeper)
        one_line(aque("rm", str(sleeper), status=1).stderr, f"aque-kill {sleeper}")
        aque("rm", "-a")
        assert broker.existing(0, 100)[-1] == sleeper
        Queue(broker).kill([sleeper])
    aque("rm", "-a")
    assert broker.existing(0, 100) == []


def test_states_select_what_is_forgotten(broker: Broker) -> None:
    good, bad, killed = submit(broker, "true"), submit(broker, "false"), submit(broker, "true")
    Queue(broker).kill([killed])
    work(broker)
    waiting = submit(broker, "true")
    held = [submit(broker, "true", hold=True)]
    held += [submit(broker, "true", hold=True, dependencies=held)]
    for flag, id in (("-s", good), ("-e", bad), ("-k", killed), ("-p", waiting)):
        assert aque("rm", "-v", flag).stdout == f"{id}\n"
    assert broker.existing(0, 100) == held
    aque("rm", "-a")
    ids = [submit(broker, "true"), submit(broker, "false")]
    work(broker)
    left = submit(broker, "true")
    assert aque("rm", "-vc").stdout.split() == [str(id) for id in ids]
    assert broker.existing(0, 100) == [left]


def test_only_the_old_can_be_forgotten(broker: Broker) -> None:
    first = submit(broker, "true")
    work(broker)
    assert aque("rm", "-v", "-s", "--older-than", "1h").stdout == ""
    assert aque("rm", "-v", "--older-than", "1d", str(first)).stdout == ""
    began = time.time()
    assert aque("rm", "-v", "-s", "--older-than", "0s").stdout == f"{first}\n"
    assert time.time() >= began


def test_ids_and_states_exclude_each_other(broker: Broker) -> None:
    for words in ([], ["-s", "1"]):
        one_line(aque("rm", *words, status=2).stderr, "aque-rm: ")


def test_the_old_are_forgotten_whatever_became_of_them_and_their_room_given_back(
    broker: Broker, own_queue: str
) -> None:
    ids = [submit(broker, "true", name="x" * 50_000) for _ in range(60)]
    ids.append(submit(broker, "false"))
    work(broker)
    waiting = submit(broker, "true")
    size = checkpointed_size(own_queue)
    assert aque("rm", "--older-than", "1h", "-v").stdout == ""
    assert aque("rm", "--older-than", "0s", "-v").stdout.split() == [str(id) for id in ids]
    assert broker.existing(0, 200) == [waiting]
    assert os.path.getsize(own_queue) < size - 1_000_000


def test_a_parent_stays_while_a_child_of_it_waits_again(broker: Broker) -> None:
    queue = Queue(broker)
    child = {"pattern": "shell", "args": ["true"]}
    parent = queue.submit_ex(name="group", children=[child]).id
    work(broker)
    aque("retry", "-s", str(parent + 1))
    assert aque("rm", "-v", "-s").stdout == ""
    assert broker.existing(0, 100) == [parent, parent + 1]


def test_of_what_is_named_all_goes_that_can(broker: Broker) -> None:
    with started_worker(broker):
        sleeper = submit(broker, "sleep", "600", priority=9000)
        running(broker, sleeper)
        needed = submit(broker, "true", priority=0)
        submit(broker, "true", dependencies=[needed], cpus=10_000)
        submit(broker, "true", dependencies=[sleeper])
        done = aque("rm", "-v", "all", status=1)
        assert done.stdout.split() == [str(id) for id in range(needed, needed + 3)]
        one_line(done.stderr, f"aque-rm: task {sleeper} is running; aque-kill {sleeper} ends it")
        assert broker.existing(0, 99) == [sleeper]
        Queue(broker).kill([sleeper])


def test_of_many_that_stay_ten_are_named(broker: Broker) -> None:
    first = [submit(broker, "true") for _ in range(12)]
    broker.create([prototype(after=tuple(first))])
    said = aque("rm", "1-12", status=1).stderr.splitlines()
    assert (len(said), said[-1]) == (11, "aque-rm: and 2 more stay")
    assert len(broker.existing(0, 99)) == 13


def test_a_waiting_group_goes_with_all_its_children_however_many(broker: Broker) -> None:
    (group,) = broker.create([prototype()])
    children = broker.create([prototype(parent=group)] * 1200)
    done = aque("rm", "-v", "all")
    assert (done.stdout.split(), done.stderr) == ([str(id) for id in (group, *children)], "")
    assert broker.existing(0, 99) == []
