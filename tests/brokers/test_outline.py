"""What a broker tells those who keep all tasks in view."""

from __future__ import annotations

import time

import pytest
from support import child, claimable, enlist, group, prototype, requirements, run

from aque.brokers.base import Broker
from aque.brokers.questions import Condition, Entry, Selection
from aque.prototype import Earlier


def test_the_outline_has_each_task_with_its_rank_as_it_changed_last(broker: Broker) -> None:
    worker = enlist(broker)
    parent, first, second, _ = broker.create(
        [group(status="creating"), child(Earlier(0)), child(Earlier(0)), prototype()]
    )
    broker.commit([parent])
    run(broker, worker, second, "error")
    outline = broker.outline(0.0, None)
    assert outline.entries == [
        Entry(first, "pending", parent, 1, False),
        Entry(4, "pending", None, 1, True),
        Entry(parent, "pending", None, 2, True),
        Entry(second, "error", parent, 0, False),
    ]
    assert broker.outline(0.0, None, outline.number).entries == ()


def test_the_outline_tells_what_changed_went_and_got_something_above_it(broker: Broker) -> None:
    worker = enlist(broker)
    one, two, three = broker.create([prototype(), prototype(), prototype()])
    number = broker.outline(0.0, None).number
    run(broker, worker, one)
    broker.remove([three])
    (four,) = broker.create([prototype(after=(two,))])
    changed = broker.outline(0.0, None, number)
    assert changed.entries == [
        Entry(one, "success", None, 0, True),
        Entry(4, "pending", None, 1, True),
    ]
    assert (changed.removed, changed.beneath) == ([three], [two])
    assert {e.id: e.is_top for e in broker.outline(0.0, None).entries} == {
        1: True,
        2: False,
        four: True,
    }


def test_the_outline_leaves_out_what_ended_long_ago_and_others(broker: Broker) -> None:
    worker = enlist(broker)
    old, _ = broker.create([prototype(), prototype(requirements=requirements(user="somebody"))])
    (mine,) = broker.create([prototype()])
    run(broker, worker, old, ended_at=time.time() - 100)
    ids = [entry.id for entry in broker.outline(time.time() - 50, requirements().user).entries]
    assert ids == [mine]


def test_tasks_are_ranked_by_what_was_asked_for(broker: Broker) -> None:
    worker = enlist(broker)
    broker.create(
        [prototype(name="b"), prototype(name="a", priority=5), prototype(name="c", priority=2000)]
    )
    now = time.time()
    run(broker, worker, 1, ended_at=now + 100, user_time=1.0, system_time=0.0, max_rss=5)
    run(broker, worker, 3, ended_at=now + 50, user_time=9.0, system_time=0.0, max_rss=7)
    expected = {
        "state": [2, 3, 1], "id": [3, 2, 1], "time": [1, 3, 2], "cpu": [3, 1, 2],
        "memory": [3, 1, 2], "priority": [3, 1, 2], "name": [2, 1, 3],
    }  # fmt: skip
    assert {order: broker.ranked(Selection(), order) for order in expected} == expected
    assert broker.ranked(Selection([Condition("name", "=", "c")]), "id") == [3]


def test_words_are_looked_for_in_names_and_commands_in_any_case(broker: Broker) -> None:
    broker.create([prototype(name="Shot 7"), prototype(args='["render","shot8"]')])
    found = {
        words: broker.ranked(Selection(words=words), "id")
        for words in (("shot",), ("RENDER", "shot"), ("%",), ("shot", "7"))
    }
    assert found == {("shot",): [2, 1], ("RENDER", "shot"): [2], ("%",): [], ("shot", "7"): [1]}


@pytest.mark.parametrize("priority", [-5, 5000])
def test_a_priority_is_changed_while_a_task_has_not_ended(broker: Broker, priority: int) -> None:
    worker = enlist(broker)
    broker.create([prototype(), prototype(), prototype()])
    run(broker, worker, 3)
    assert broker.prioritize([2, 3], priority) == [2]
    assert claimable(broker, worker) == ([1, 2] if priority < 0 else [2, 1])
