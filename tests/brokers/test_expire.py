"""What a queue forgets by itself, and what it never does."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from threading import Thread

import pytest
from support import child, claim, end, enlist, eventually, group, prototype, run, status

from aque import brokers, states
from aque.brokers.base import Broker
from aque.prototype import Earlier
from aque.report import Chunk, Report

DAY = 86400.0


def expire_all(broker: Broker) -> int:
    """Forget all that is old enough; return how many chunks that took."""
    chunks = 0
    while broker.expire():
        chunks += 1
    return chunks


@pytest.fixture
def forgetful(broker: Broker) -> Broker:
    """A queue that keeps successes for no time, and other ends for a day."""
    broker.set_settings({"keep-success": 1e-9, "keep-other": DAY})
    return broker


def existing(broker: Broker) -> list[int]:
    return broker.existing(0, 10**9)


def test_nothing_is_forgotten_before_its_time(broker: Broker, worker: int) -> None:
    ids = broker.create([prototype(), prototype()])
    run(broker, worker, ids[0])
    assert not broker.expire()
    assert existing(broker) == ids


def test_successes_and_other_ends_have_times_of_their_own(
    forgetful: Broker, worker: int, check_storage: Callable[[Broker], None]
) -> None:
    good, bad, waiting = forgetful.create([prototype(), prototype(), prototype()])
    run(forgetful, worker, good)
    run(forgetful, worker, bad, states.ERROR)
    seen = forgetful.changes().number
    assert expire_all(forgetful) == 1
    assert existing(forgetful) == [bad, waiting]
    assert forgetful.changes(seen).removed == [good]
    forgetful.set_settings({"keep-other": 1e-9})
    assert expire_all(forgetful) == 1
    assert existing(forgetful) == [waiting]
    check_storage(forgetful)


def test_the_age_counts_from_the_end(broker: Broker, worker: int) -> None:
    broker.set_settings({"keep-success": 2 * DAY})
    old, young = broker.create([prototype(), prototype()])
    run(broker, worker, old, ended_at=time.time() - 3 * DAY)
    run(broker, worker, young, ended_at=time.time() - DAY)
    expire_all(broker)
    assert existing(broker) == [young]


def test_what_an_unfinished_task_waits_for_stays(forgetful: Broker, worker: int) -> None:
    first, second, held = forgetful.create(
        [prototype(), prototype(after=(Earlier(0),)), prototype(after=(Earlier(1),))]
    )
    forgetful.pause([held])
    run(forgetful, worker, first)
    assert not forgetful.expire()
    run(forgetful, worker, second)
    expire_all(forgetful)
    assert existing(forgetful) == [second, held]


def test_children_stay_until_their_parent_goes(forgetful: Broker, worker: int) -> None:
    top, *children = forgetful.create([group(), child(Earlier(0)), child(Earlier(0))])
    run(forgetful, worker, children[0])
    assert not forgetful.expire()
    run(forgetful, worker, children[1], states.ERROR)
    assert status(forgetful, top) == states.ERROR
    assert not forgetful.expire(), "the group failed, so its successes are kept as long as it"
    forgetful.set_settings({"keep-other": 1e-9})
    expire_all(forgetful)
    assert existing(forgetful) == []


def test_the_parent_of_one_that_waits_again_stays(forgetful: Broker, worker: int) -> None:
    top, first, second = forgetful.create([group(), child(Earlier(0)), child(Earlier(0))])
    run(forgetful, worker, first)
    run(forgetful, worker, second)
    forgetful.retry([second])
    expire_all(forgetful)
    assert {top, second} <= set(existing(forgetful))
    run(forgetful, worker, second)
    expire_all(forgetful)
    assert existing(forgetful) == []


def test_one_deep_in_a_family_that_is_needed_keeps_all_above_it(
    forgetful: Broker, worker: int
) -> None:
    top, middle, low, other = forgetful.create(
        [group(), child(Earlier(0), pattern=None, args=None), child(Earlier(1)), child(Earlier(1))]
    )
    for id in (low, other):
        run(forgetful, worker, id)
    (waiting,) = forgetful.create([prototype(after=(low,))])
    expire_all(forgetful)
    assert existing(forgetful) == [top, middle, low, waiting]
    run(forgetful, worker, waiting)
    expire_all(forgetful)
    assert existing(forgetful) == []


def test_a_large_family_goes_a_chunk_at_a_time_its_top_the_last(
    forgetful: Broker, worker: int, check_storage: Callable[[Broker], None]
) -> None:
    top, *_ = forgetful.create([group(), *[child(Earlier(0)) for _ in range(1200)]])
    report = Report()
    while tasks := claim(forgetful, worker, 400):
        report = Report(ends=[end(task) for task in tasks])
        forgetful.record(report)
    assert status(forgetful, top) == states.SUCCESS
    sizes = [len(existing(forgetful))]
    while forgetful.expire():
        assert top in existing(forgetful) or existing(forgetful) == []
        sizes.append(len(existing(forgetful)))
    assert sizes[-1] == 0
    assert max(a - b for a, b in itertools.pairwise(sizes)) <= 500
    check_storage(forgetful)


def test_output_in_files_goes_too(forgetful: Broker, worker: int) -> None:
    (id,) = forgetful.create([prototype()])
    os.close(forgetful.open_output(id, 1, "stdout"))
    claim(forgetful, worker)
    chunk = Chunk(id, 1, "stdout", 0, 1.0, None)
    forgetful.record(Report(output=[chunk], ends=[end(forgetful.fetch([id])[0])]))
    assert os.path.exists(forgetful.output_path(id, 1, "stdout"))
    expire_all(forgetful)
    assert not os.path.exists(forgetful.output_path(id, 1, "stdout"))


def test_two_at_once_forget_each_task_once(
    forgetful: Broker, make_broker: Callable[[], Broker]
) -> None:
    worker = enlist(forgetful)
    for id in forgetful.create([prototype() for _ in range(50)]):
        run(forgetful, worker, id)
    others = [Thread(target=lambda: expire_all(make_broker())) for _ in range(4)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert existing(forgetful) == []


def test_the_room_of_what_was_removed_is_given_back(broker: Broker, tmp_path: object) -> None:
    path = broker.to_url().removeprefix("sqlite://").partition("?")[0]
    ids = broker.create([prototype(args="x" * 20_000) for _ in range(500)])
    eventually(lambda: os.path.getsize(path) > 0)
    broker.remove(ids)
    while broker.shrink():
        pass
    assert os.path.getsize(path) < 400_000


def test_a_worker_is_forgotten_with_the_last_task_it_ran(broker: Broker, worker: int) -> None:
    idle, other = enlist(broker), enlist(broker)
    good, bad = broker.create([prototype(), prototype()])
    run(broker, worker, good)
    run(broker, other, bad, states.ERROR)
    broker.retry([bad])
    for id in (worker, idle, other):
        assert broker.dismiss(id)
    left = lambda: {one.id for one in broker.workers([worker, idle, other])}  # noqa: E731
    expire_all(broker)
    assert left() == {worker, idle, other}
    broker.set_settings({"keep-success": 1e-9, "keep-other": 1e-9})
    expire_all(broker)
    assert left() == {other}, "an attempt of a task that waits again was its"
    broker.cancel([bad], 15, 1.0)
    expire_all(broker)
    assert left() == set()


def test_on_a_shared_disk_no_clock_is_believed_that_is_ahead_of_the_disks(own_queue: str) -> None:
    shared = brokers.from_url(f"sqlite://{own_queue}?journal=delete")
    shared.set_settings({"keep-success": 1e-9})
    (id,) = shared.create([prototype()])
    run(shared, enlist(shared), id, ended_at=time.time() - DAY)
    assert shared.existing(0, 99) == [id]
    os.utime(f"{own_queue}-lock", (1, time.time() - 2 * DAY))
    assert not shared.expire()
    shared.beat(None)
    assert shared.expire()
    assert shared.existing(0, 99) == []
    shared.close()
