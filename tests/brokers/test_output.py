"""The contract: output, settings and workers."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable

import pytest
from support import claim, end, enlist, prototype, run

from aque.brokers.base import Broker
from aque.brokers.settings import SETTINGS
from aque.errors import UsageError
from aque.report import Chunk, Report


def write(broker: Broker, *chunks: Chunk) -> None:
    broker.record(Report(output=chunks))


def test_chunks_come_back_in_order_each_after_the_last_seen(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    claim(broker, worker)
    write(broker, Chunk(a, 1, "stdout", 0, 1.5, b"one"), Chunk(a, 1, "stderr", 0, 1.6, b"\xff\0"))
    write(broker, Chunk(a, 1, "stdout", 3, 1.7, b"two"))
    chunks = broker.output(a, 1)
    assert [(c.stream, c.offset, c.at, c.data) for c in chunks] == [
        ("stdout", 0, 1.5, b"one"),
        ("stderr", 0, 1.6, b"\xff\0"),
        ("stdout", 3, 1.7, b"two"),
    ]
    assert [c.data for c in broker.output(a, 1, chunks[1].number)] == [b"two"]
    assert broker.output(a, 1, chunks[2].number) == []


def test_the_output_of_earlier_attempts_is_kept(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    run(broker, worker, a, "error")
    write(broker, Chunk(a, 1, "stdout", 0, 1.0, b"first"))
    broker.retry([a])
    run(broker, worker, a)
    write(broker, Chunk(a, 2, "stdout", 0, 1.0, b"second"))
    assert [c.data for c in broker.output(a, 1)] == [b"first"]
    assert [c.data for c in broker.output(a, 2)] == [b"second"]


def test_output_of_a_task_that_is_gone_is_dropped(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    write(broker, Chunk(999, 1, "stdout", 0, 1.0, b"x"), Chunk(a, 1, "log", 0, 1.0, b"y"))
    assert broker.output(999, 1) == []
    assert [c.data for c in broker.output(a, 1)] == [b"y"]


def test_a_stream_goes_on_in_a_file_that_goes_with_its_task(broker: Broker, worker: int) -> None:
    a, b = broker.create([prototype(), prototype()])
    for id in (a, b):
        (task,) = claim(broker, worker)
        descriptor = broker.open_output(id, 1, "stdout")
        os.write(descriptor, b"much")
        os.close(descriptor)
        descriptor = broker.open_output(id, 1, "stdout")
        os.write(descriptor, b" more")
        os.close(descriptor)
        write(broker, Chunk(id, 1, "stdout", 3, 1.0, None))
        broker.finish([end(task)])
    assert broker.output(a, 1)[0].data is None
    with open(broker.output_path(a, 1, "stdout"), "rb") as file:
        assert file.read() == b"much more"
    broker.remove([a])
    assert not os.path.exists(broker.output_path(a, 1, "stdout"))
    assert os.path.exists(broker.output_path(b, 1, "stdout"))


def test_files_of_output_are_as_private_as_the_queue(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    os.close(broker.open_output(a, 1, "stderr"))
    path = broker.output_path(a, 1, "stderr")
    assert os.stat(path).st_mode & 0o077 == 0
    assert os.stat(os.path.dirname(path)).st_mode & 0o077 == 0


def test_files_of_output_go_with_a_reset(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    os.close(broker.open_output(a, 1, "stderr"))
    write(broker, Chunk(a, 1, "stderr", 3, 1.0, None))
    broker.reset()
    assert not os.path.exists(broker.output_path(a, 1, "stderr"))


def test_removing_a_task_whose_file_is_lost_is_no_error(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    write(broker, Chunk(a, 1, "stdout", 0, 1.0, None))
    broker.remove([a])
    assert broker.last_id() is None


# Settings


def test_settings_have_defaults_until_they_are_set(make_broker: Callable[[], Broker]) -> None:
    here, there = make_broker(), make_broker()
    assert set(here.settings()) == set(SETTINGS)
    assert here.settings()["grace"] == 5.0
    here.set_settings({"grace": 0.5, "poll": 2})
    here.set_settings({"grace": 1.5})
    assert (there.settings()["grace"], there.settings()["poll"]) == (1.5, 2.0)


@pytest.mark.parametrize(
    "wrong", [{"graze": 1}, {"poll": 1, "": 1}, {"grace": 0}, {"grace": -1}, {"poll": float("nan")}]
)
def test_a_wrong_setting_is_refused_and_nothing_set(
    broker: Broker, wrong: dict[str, float]
) -> None:
    before = broker.settings()
    with pytest.raises(UsageError):
        broker.set_settings(wrong)
    assert broker.settings() == before


# Workers


def test_workers_are_listed_until_they_are_dismissed(broker: Broker) -> None:
    one, two = enlist(broker, name="one"), enlist(broker, name="two", kind="xargs")
    assert one != two
    assert [(w.id, w.name, w.kind) for w in broker.workers()] == [
        (one, "one", "worker"),
        (two, "two", "xargs"),
    ]
    broker.dismiss(one)
    assert [w.id for w in broker.workers()] == [two]
    (dismissed,) = broker.workers([one])
    assert dismissed.ended_at is not None
    assert broker.workers([]) == []


def test_ids_of_workers_are_never_used_again(broker: Broker) -> None:
    first = enlist(broker)
    broker.dismiss(first)
    assert enlist(broker) > first


class Sleeper:
    def __init__(self) -> None:
        self.woken = 0

    def wake_for_work(self) -> None:
        self.woken += 1


def test_new_work_wakes_the_workers_of_this_process(broker: Broker, worker: int) -> None:
    sleeper = Sleeper()
    broker.register_worker(sleeper)
    (a,) = broker.create([prototype()])
    assert sleeper.woken == 1
    (b,) = broker.create([prototype(after=(a,))])
    run(broker, worker, a)
    assert sleeper.woken >= 2, "an end that lets another run is new work"
    woken = sleeper.woken
    broker.cancel([b], 15, 1.0)
    assert sleeper.woken == woken
    broker.retry([b])
    assert sleeper.woken == woken + 1


def test_a_worker_is_held_weakly(broker: Broker) -> None:
    sleeper = Sleeper()
    broker.register_worker(sleeper)
    woken = sleeper.__dict__
    del sleeper
    gc.collect()
    broker.create([prototype()])
    assert woken["woken"] == 0
