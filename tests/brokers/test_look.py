"""The contract: looking at tasks, and hearing of what changed."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from support import child, claim, end, enlist, group, prototype, requirements, run

from aque import states
from aque.brokers.base import Broker
from aque.brokers.questions import Condition, Edge
from aque.errors import TaskNotFoundError, UsageError
from aque.prototype import AFTER, CHILD, Earlier


def test_tasks_are_fetched_in_the_order_asked_for(broker: Broker) -> None:
    a, b, c = broker.create([prototype(name=name) for name in "abc"])
    assert [task.name for task in broker.fetch([c, a, b, a])] == ["c", "a", "b", "a"]
    assert broker.fetch([]) == []


def test_the_first_missing_task_is_named(broker: Broker) -> None:
    (a,) = broker.create([prototype()])
    with pytest.raises(TaskNotFoundError, match="888"):
        broker.fetch([a, 888, 999])


def test_thousands_are_looked_up_at_once(broker: Broker) -> None:
    ids = broker.create([group(), *[child(Earlier(0)) for _ in range(2500)]])
    assert [task.id for task in broker.fetch(ids)] == ids
    assert len(broker.statuses(ids)) == len(ids)
    assert len(broker.edges(ids)) == len(broker.dependents(ids)) == 2500
    assert broker.count_children(ids) == {ids[0]: {states.PENDING: 2500}}


def test_ids_in_use_are_found_by_range(broker: Broker) -> None:
    assert broker.last_id() is None
    assert broker.existing(0, 2**63 - 1) == []
    a, b, c = broker.create([prototype() for _ in range(3)])
    broker.remove([b])
    assert broker.existing(a, c) == [a, c]
    assert broker.existing(c, a) == []
    assert broker.last_id() == c


def test_statuses_leave_out_what_does_not_exist(broker: Broker, worker: int) -> None:
    a, b = broker.create([prototype(), prototype(status=states.PAUSED)])
    run(broker, worker, a)
    assert broker.statuses([999, b, a]) == {a: states.SUCCESS, b: states.PAUSED}


# Search


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([], "abc"),
        ([("name", "=", "b")], "b"),
        ([("name", "!=", "b")], "ac"),
        ([("name", "~", "[ab]")], "ab"),
        ([("priority", "<", 2)], "a"),
        ([("priority", ">", 1)], "bc"),
        ([("priority", ">", 1), ("priority", "<", 3)], "b"),
        ([("parent", "=", None)], "abc"),
        ([("parent", "!=", None)], ""),
        ([("cpus", "=", 3.0)], "c"),
        ([("host", "=", "h3")], "c"),
        ([("reserved", "=", 3)], "c"),
        ([("status", "=", "pending")], "abc"),
        ([("name", "=", "b' OR 1 --")], ""),
    ],
)
def test_a_search_meets_all_conditions(
    broker: Broker, terms: list[tuple[str, str, object]], expected: str
) -> None:
    broker.create(
        [
            prototype(
                name=name,
                priority=n,
                requirements=requirements(cpus=float(n), host=f"h{n}", reserved=n),
            )
            for n, name in enumerate("abc", 1)
        ]
    )
    found = broker.search([Condition(*term) for term in terms])
    assert "".join(task.name or "" for task in found) == expected


def test_a_search_is_limited_from_either_end(broker: Broker) -> None:
    a, _, c = broker.create([prototype() for _ in range(3)])
    assert [task.id for task in broker.search(limit=1)] == [a]
    assert [task.id for task in broker.search(newest_first=True, limit=1)] == [c]
    assert broker.search(limit=0) == []


def test_a_search_for_a_key_that_is_none_is_refused(broker: Broker) -> None:
    with pytest.raises(UsageError, match="stdin_value; DROP"):
        broker.search([Condition("stdin_value; DROP", "=", 1)])


# Changes


def test_changes_tell_of_each_transition_once(broker: Broker, worker: int) -> None:
    start = broker.changes()
    assert (start.statuses, list(start.removed)) == ({}, [])
    a, b = broker.create([prototype(), prototype()])
    created = broker.changes(start.number)
    assert created.statuses == {a: states.PENDING, b: states.PENDING}
    (task,) = claim(broker, worker)
    claimed = broker.changes(created.number)
    assert claimed.statuses == {a: states.RUNNING}
    broker.finish([end(task)])
    assert broker.changes(claimed.number).statuses == {a: states.SUCCESS}
    assert broker.changes(broker.changes().number).statuses == {}


def test_changes_are_levels(broker: Broker, worker: int) -> None:
    start = broker.changes().number
    (a,) = broker.create([prototype()])
    run(broker, worker, a)
    assert broker.changes(start).statuses == {a: states.SUCCESS}


def test_changes_tell_of_what_failed_by_another(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    parent, one = broker.create([group(), child(Earlier(0), after=(a,))])
    number = broker.changes().number
    run(broker, worker, a, states.ERROR)
    expected = {a: states.ERROR, one: states.ERROR, parent: states.ERROR}
    assert broker.changes(number).statuses == expected
    number = broker.changes().number
    broker.retry([a])
    assert broker.changes(number).statuses == dict.fromkeys(expected, states.PENDING)


def test_changes_tell_of_what_was_removed(broker: Broker, worker: int) -> None:
    a, b = broker.create([prototype(), prototype()])
    number = broker.changes().number
    broker.remove([a])
    changes = broker.changes(number)
    assert list(changes.removed) == [a]
    assert changes.statuses == {}
    broker.remove([b])
    assert list(broker.changes(changes.number).removed) == [b]


def test_a_reset_tells_of_what_is_gone_and_uses_no_id_again(broker: Broker, worker: int) -> None:
    broker.set_settings({"grace": 7})
    ids = broker.create([group(), child(Earlier(0), environ={"A": "1"})])
    number = broker.changes().number
    broker.reset()
    assert broker.last_id() is None
    assert broker.workers() == []
    assert broker.settings()["grace"] == 7
    assert sorted(broker.changes(number).removed) == ids
    assert broker.create([prototype()])[0] > ids[-1]


# The graph


def test_edges_are_seen_from_both_ends(broker: Broker) -> None:
    (a,) = broker.create([prototype()])
    parent, one = broker.create([group(), child(Earlier(0), after=(a,))])
    assert sorted(map(repr, broker.edges([one, parent]))) == sorted(
        map(repr, [Edge(one, a, AFTER), Edge(parent, one, CHILD)])
    )
    assert broker.dependents([a]) == [Edge(one, a, AFTER)]
    assert broker.edges([a]) == []


def test_children_are_counted_and_listed_by_status(broker: Broker, worker: int) -> None:
    (parent,) = broker.create([group(status=states.CREATING)])
    ids = broker.create([child(parent) for _ in range(4)])
    run(broker, worker, ids[1])
    run(broker, worker, ids[2], states.ERROR)
    assert broker.count_children([parent, ids[0]]) == {
        parent: {states.PENDING: 2, states.SUCCESS: 1, states.ERROR: 1}
    }
    assert [task.id for task in broker.children(parent, 3)] == ids[:3]
    wanted = (states.SUCCESS, states.ERROR)
    assert [task.id for task in broker.children(parent, 9, wanted)] == ids[1:3]
    assert broker.children(999, 9) == []


def test_roots_are_what_nothing_stands_above(broker: Broker) -> None:
    (a,) = broker.create([prototype()])
    parent, _, later = broker.create(
        [group(status=states.CREATING), child(Earlier(0)), prototype(after=(a,))]
    )
    tasks, count = broker.roots(0.0, 10, None)
    assert {task.id for task in tasks} == {later, parent}
    assert count == {"pending": 1, "creating": 1}


def test_roots_come_as_they_run_then_wait_then_have_ended(broker: Broker, worker: int) -> None:
    ended, waits, runs, later = broker.create([prototype() for _ in range(4)])
    run(broker, worker, ended)
    broker.claim(worker, lambda offer: [runs])
    tasks, _ = broker.roots(0.0, 10, None)
    assert [task.id for task in tasks] == [runs, later, waits, ended]


def test_roots_are_limited_but_all_counted(broker: Broker) -> None:
    ids = broker.create([prototype() for _ in range(5)])
    tasks, count = broker.roots(0.0, 2, None)
    assert [task.id for task in tasks] == ids[:2:-1]
    assert count == {"pending": 5}


def test_of_many_roots_those_that_failed_last_are_among_the_few(
    broker: Broker, worker: int
) -> None:
    ids = broker.create([prototype() for _ in range(9)])
    for id in ids[:3]:
        run(broker, worker, id, "error")
    broker.claim(worker, lambda offer: [ids[3]])
    tasks, count = broker.roots(0.0, 6, None)
    assert [task.id for task in tasks] == [ids[3], *ids[2::-1], ids[8], ids[7]]
    assert count == {"error": 3, "running": 1, "pending": 5}


def test_roots_that_ended_long_ago_are_left_out(broker: Broker, worker: int) -> None:
    old, new, waits = broker.create([prototype() for _ in range(3)])
    run(broker, worker, old, ended_at=100.0)
    run(broker, worker, new, ended_at=200.0)
    tasks, _ = broker.roots(200.0, 10, None)
    assert [task.id for task in tasks] == [waits, new]


def test_roots_of_one_user_are_that_users(broker: Broker) -> None:
    mine, _ = broker.create([prototype(), prototype(requirements=requirements(user="other"))])
    tasks, count = broker.roots(0.0, 10, requirements().user)
    assert ([task.id for task in tasks], count) == ([mine], {"pending": 1})


# Where it is


def test_a_url_opens_the_same_queue(broker: Broker) -> None:
    from aque import brokers

    (id,) = broker.create([prototype(name="here")])
    again = brokers.from_url(broker.to_url())
    assert again.fetch([id])[0].name == "here"
    assert again.directory == broker.directory
    again.close()


def test_a_closed_broker_opens_anew_where_it_is_needed(broker: Broker) -> None:
    (id,) = broker.create([prototype()])
    broker.close()
    broker.close()
    assert broker.last_id() == id


def test_what_one_wrote_another_reads_at_once(make_broker: Callable[[], Broker]) -> None:
    one, two = make_broker(), make_broker()
    for _ in range(20):
        (id,) = one.create([prototype()])
        assert two.last_id() == id
        two.remove([id])
        assert one.last_id() is None


def test_a_ring_tells_listeners_of_new_work_and_of_ends(
    make_broker: Callable[[], Broker],
) -> None:
    from aque import bell

    here, there = make_broker(), make_broker()
    worker = enlist(there)
    (listener,) = [here.listen(bell.READY, bell.DONE)]
    listener.drain()
    there.create([prototype()])
    deadline = time.monotonic() + 10
    heard: set[str] = set()
    while time.monotonic() < deadline and bell.READY not in heard:
        heard |= listener.wait(1.0)
    assert bell.READY in heard
    (task,) = claim(there, worker)
    listener.drain()
    there.finish([end(task)])
    heard = set()
    while time.monotonic() < deadline and bell.DONE not in heard:
        heard |= listener.wait(1.0)
    assert bell.DONE in heard
    listener.close()


def test_what_is_ahead_of_a_task_is_counted_with_its_work(broker: Broker) -> None:
    need = requirements(cpus=2)
    first, longer, last, free = broker.create(
        [
            prototype(priority=2000, duration=10.0, requirements=need),
            prototype(duration=30.0, requirements=need),
            prototype(requirements=need),
            prototype(requirements=requirements(cpus=0)),
        ]
    )
    tasks = broker.fetch([first, longer, last, free])
    assert [broker.ahead(task) for task in tasks] == [
        (0, 0.0), (1, 20.0), (2, 80.0), (3, None),
    ]  # fmt: skip


def test_the_heads_are_the_best_of_each_kind_that_is_ready(broker: Broker) -> None:
    big, small = requirements(cpus=4), requirements(cpus=1)
    a, b, c, _ = broker.create(
        [
            prototype(requirements=small),
            prototype(requirements=small, priority=2000),
            prototype(requirements=big),
            prototype(requirements=requirements(cpus=3), status=states.PAUSED),
        ]
    )
    assert sorted(broker.heads()) == [((b, 2000, 0.0), small), ((c, 1000, 0.0), big)]
    assert a != b
