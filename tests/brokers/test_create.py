"""The contract: putting tasks in, and committing groups that are being put together."""

from __future__ import annotations

import time

import pytest
from support import child, claim, claimable, enlist, group, prototype, requirements, run, status

from aque import states
from aque.brokers.base import Broker
from aque.brokers.questions import Edge
from aque.errors import (
    DependencyCycleError,
    DependencyResolutionError,
    StateError,
)
from aque.prototype import AFTER, AFTER_ANY, CHILD, Earlier, Prototype
from aque.task import DEFAULT_PRIORITY


def test_ids_come_in_order_and_are_never_used_again(broker: Broker) -> None:
    first = broker.create([prototype(), prototype()])
    broker.remove(first)
    second = broker.create([prototype(), prototype()])
    assert first == sorted(first)
    assert min(second) > max(first)


def test_nothing_created_is_no_error(broker: Broker) -> None:
    assert broker.create([]) == []


def test_a_task_is_stored_as_it_was_submitted(broker: Broker) -> None:
    given = {
        "name": "shot 7 \u2603", "func": '"os:getpid"', "args": "[1]", "kwargs": '{"a": 2}',
        "extra": "null", "priority": -5, "duration": 2.5, "due_at": 4e9, "cwd": "/tmp",
        "umask": 0o027, "import_path": "/lib", "interpreter": "/bin/python3", "stdin": "/dev/null",
        "stdout": "/tmp/o", "stderr": "/tmp/e", "timeout": 1.5, "retries": 3, "retry_delay": 0.5,
        "keep_background": True,
    }  # fmt: skip
    needs = {"user": "u", "host": "h*", "platform": "p", "cpus": 0.25,
             "memory": 1 << 40, "limits": '{"nuke":2}', "mounts": "m"}  # fmt: skip
    broker.set_limits({"nuke": 10})
    (id,) = broker.create(
        [Prototype(pattern="generic", requirements=requirements(**needs, reserved=7), **given)]
    )
    (task,) = broker.fetch([id])
    assert {key: getattr(task, key) for key in given} == given
    assert {key: getattr(task, key) for key in needs} == needs
    assert (task.reserved, task.status, task.attempt, task.waiting) == (7, states.PENDING, 0, 0)
    assert abs(task.created_at - time.time()) < 60


@pytest.mark.parametrize("text", ["", "a\0b", "line\nline", "\U0001f600", "'; DROP TABLE task; --"])
def test_any_text_comes_back_as_it_was(broker: Broker, text: str) -> None:
    (id,) = broker.create([prototype(name=text, args=text, cwd=text)])
    (task,) = broker.fetch([id])
    assert (task.name, task.args, task.cwd) == (text, text, text)


def test_defaults_are_those_of_the_records(broker: Broker) -> None:
    (id,) = broker.create([prototype()])
    (task,) = broker.fetch([id])
    assert (task.priority, task.cpus, task.retries) == (DEFAULT_PRIORITY, 1.0, 0)
    assert task.environment is None


def test_the_standard_input_stored_with_a_task_is_bytes(broker: Broker) -> None:
    data = bytes(range(256)) * 100
    with_input, without = broker.create([prototype(stdin_value=data), prototype()])
    assert broker.stdin_value(with_input) == data
    assert broker.stdin_value(without) is None


def test_ten_thousand_tasks_are_created_in_one_call(broker: Broker) -> None:
    environ = {"PATH": "/bin"}
    ids = broker.create([prototype(environ=environ) for _ in range(10_000)])
    assert broker.existing(ids[0], ids[-1]) == ids


# Shared rows


def test_equal_environments_are_stored_once(broker: Broker) -> None:
    ids = broker.create([prototype(environ={"A": "1", "B": "2"})])
    ids += broker.create([prototype(environ={"B": "2", "A": "1"}), prototype(environ={"A": "1"})])
    first, second, other = (task.environment for task in broker.fetch(ids))
    assert first == second != other
    assert first is not None
    assert broker.environ(first) == {"A": "1", "B": "2"}


def test_environments_made_on_the_fly_are_not_confused(broker: Broker) -> None:
    ids: list[int] = []
    for n in range(50):
        ids += broker.create([prototype(environ={"N": str(n)})])
    found = [broker.environ(task.environment or 0)["N"] for task in broker.fetch(ids)]
    assert found == [str(n) for n in range(50)]


def test_an_environment_that_is_no_utf8_comes_back(broker: Broker) -> None:
    environ = {"A": "caf\udce9", "B": "x\ny"}
    (id,) = broker.create([prototype(environ=environ)])
    assert broker.environ(broker.fetch([id])[0].environment or 0) == environ


# Dependencies


def test_a_dependency_may_be_an_id_or_earlier_in_the_call(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    b, c = broker.create([prototype(after=(a,)), prototype(after_any=(Earlier(0), a))])
    assert broker.edges([b, c]) == [
        Edge(b, a, AFTER),
        Edge(c, a, AFTER_ANY),
        Edge(c, b, AFTER_ANY),
    ]
    assert [task.waiting for task in broker.fetch([a, b, c])] == [0, 1, 2]
    assert claimable(broker, worker) == [a]


def test_a_dependency_given_twice_counts_once(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    (b,) = broker.create([prototype(after=(a, a))])
    assert broker.fetch([b])[0].waiting == 1
    run(broker, worker, a)
    assert claimable(broker, worker) == [b]


@pytest.mark.parametrize("how", [states.SUCCESS, states.ERROR])
def test_a_dependency_of_both_kinds_is_waited_for_once_and_for_all(
    broker: Broker, worker: int, how: str
) -> None:
    (a,) = broker.create([prototype()])
    b, c = broker.create([prototype(after=(a,), after_any=(a,)), group(after=(a,), after_any=(a,))])
    run(broker, worker, a, how)
    expected = states.PENDING if how == states.SUCCESS else states.ERROR
    assert broker.statuses([b, c]) == {b: expected, c: how}
    assert claimable(broker, worker) == ([b] if how == states.SUCCESS else [])


def test_a_dependency_that_has_ended_is_not_waited_for(broker: Broker, worker: int) -> None:
    good, bad = broker.create([prototype(), prototype()])
    run(broker, worker, good)
    run(broker, worker, bad, states.ERROR)
    b, c = broker.create([prototype(after=(good,)), prototype(after_any=(bad,))])
    assert claimable(broker, worker) == [b, c]


def test_a_dependency_that_has_failed_fails_at_once_and_names_the_first_cause(
    broker: Broker, worker: int
) -> None:
    (bad,) = broker.create([prototype()])
    run(broker, worker, bad, states.ERROR)
    (b,) = broker.create([prototype(after=(bad,))])
    (c,) = broker.create([prototype(after=(b,))])
    for task in broker.fetch([b, c]):
        assert (task.status, task.cause) == (states.ERROR, bad)
        assert str(bad) in (task.error or "")
        assert task.started_at is None


def test_a_failure_runs_through_a_chain_of_the_same_call(broker: Broker, worker: int) -> None:
    (bad,) = broker.create([prototype()])
    run(broker, worker, bad, states.ERROR)
    ids = broker.create(
        [group(), child(Earlier(0), after=(bad,)), prototype(after=(Earlier(0),)),
         prototype(after_any=(Earlier(2),))]
    )  # fmt: skip
    assert [status(broker, id) for id in ids] == ["error", "error", "error", "pending"]
    assert {task.cause for task in broker.fetch(ids[:3])} == {bad}
    assert claimable(broker, worker) == [ids[3]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"after": (999,)},
        {"after_any": (999,)},
        {"parent": 999},
        {"after": (Earlier(5),)},
        {"after": (Earlier(1),)},
        {"parent": Earlier(7)},
        {"after": (Earlier(-1),)},
        {"after": (0,)},
        {"after": (-3,)},
        {"after": (2**63 - 1,)},
    ],
)
def test_what_does_not_exist_cannot_be_waited_for_and_nothing_is_stored(
    broker: Broker, wrong: dict[str, object]
) -> None:
    number = broker.changes().number
    with pytest.raises(DependencyResolutionError):
        broker.create([prototype(environ={"A": "1"}), prototype(**wrong)])
    assert broker.last_id() is None
    assert broker.changes().number == number


def test_a_call_that_fails_late_keeps_nothing_of_it(broker: Broker, worker: int) -> None:
    (a,) = broker.create([group(status=states.CREATING)])
    with pytest.raises(DependencyResolutionError):
        broker.create([child(a), child(a), prototype(after=(999,))])
    assert broker.count_children([a]) == {}
    assert broker.fetch([a])[0].waiting == 0
    (b,) = broker.create([prototype()])
    assert claimable(broker, worker) == [b]


# Parents


def test_a_child_takes_over_what_it_does_not_say_itself(broker: Broker) -> None:
    environ = {"A": "1"}
    (top,) = broker.create(
        [group(status=states.CREATING, priority=7, cwd="/srv", environ=environ, umask=0o077,
               import_path="/i", requirements=requirements(cpus=3, memory=5, host="h"))]
    )  # fmt: skip
    (middle,) = broker.create([child(top, pattern=None, status=states.CREATING)])
    (plain,) = broker.create([child(middle)])
    (own,) = broker.create(
        [child(middle, priority=0, cwd="/own", environ={}, umask=0, import_path="/j",
               requirements=requirements(cpus=0))]
    )  # fmt: skip
    inherited, said = broker.fetch([plain, own])
    assert (inherited.priority, inherited.cwd, inherited.umask) == (7, "/srv", 0o077)
    assert (inherited.import_path, inherited.cpus, inherited.memory) == ("/i", 3, 5)
    assert inherited.host == "h"
    assert broker.environ(inherited.environment or 0) == environ
    assert (said.priority, said.cwd, said.umask, said.import_path) == (0, "/own", 0, "/j")
    assert (said.cpus, said.memory, said.host) == (0, 0, None)
    assert broker.environ(said.environment or 0) == {}


def test_a_parent_and_its_children_come_in_one_call(broker: Broker, worker: int) -> None:
    parent, one, two = broker.create([group(), child(Earlier(0)), child(Earlier(0))])
    assert broker.fetch([parent])[0].waiting == 2
    assert claimable(broker, worker) == [one, two]
    assert {(e.task, e.kind) for e in broker.dependents([one, two])} == {(parent, CHILD)}


def test_a_parent_that_runs_something_itself_comes_in_one_call_too(
    broker: Broker, worker: int
) -> None:
    parent, one = broker.create([prototype(environ={"A": "1"}), child(Earlier(0))])
    environment = broker.fetch([one])[0].environment
    assert environment is not None
    assert broker.environ(environment) == {"A": "1"}
    assert claimable(broker, worker) == [one]
    run(broker, worker, one)
    assert claimable(broker, worker) == [parent]


def test_a_child_of_what_has_begun_or_ended_is_refused(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    (claimed,) = claim(broker, worker)
    with pytest.raises(StateError, match=str(a)):
        broker.create([child(a)])
    broker.requeue([(a, claimed.attempt)], "again")
    run(broker, worker, a)
    with pytest.raises(StateError, match=str(a)):
        broker.create([child(a)])


def test_a_child_cannot_wait_for_its_parent(broker: Broker) -> None:
    (a,) = broker.create([group(status=states.CREATING)])
    with pytest.raises(DependencyCycleError, match=str(a)):
        broker.create([child(a, after=(a,))])
    with pytest.raises(DependencyCycleError):
        broker.create([group(), child(Earlier(0), after_any=(Earlier(0),))])
    assert broker.count_children([a]) == {}


def test_a_child_cannot_wait_for_what_waits_for_an_ancestor(broker: Broker) -> None:
    top = broker.create([group(status=states.CREATING)])[0]
    middle = broker.create([child(top, pattern=None, status=states.CREATING)])[0]
    (later,) = broker.create([prototype(after_any=(top,))])
    (latest,) = broker.create([prototype(after=(later,))])
    for dependency in (top, later, latest):
        with pytest.raises(DependencyCycleError):
            broker.create([child(middle, after=(dependency,))])
    beside, _ = broker.create([prototype(), child(middle, after=(Earlier(0),))])
    assert status(broker, beside) == states.PENDING


# Groups


def test_a_group_of_nothing_succeeds_at_once(broker: Broker) -> None:
    (a,) = broker.create([group()])
    (task,) = broker.fetch([a])
    assert task.status == states.SUCCESS
    assert task.ended_at is not None


def test_groups_of_groups_of_nothing_succeed_at_once(broker: Broker) -> None:
    ids = broker.create([group(), child(Earlier(0), pattern=None), group(after=(Earlier(0),))])
    assert set(broker.statuses(ids).values()) == {states.SUCCESS}


def test_a_group_succeeds_with_the_last_that_it_waits_for(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    parent, one = broker.create([group(after=(a,)), child(Earlier(0))])
    run(broker, worker, one)
    assert status(broker, parent) == states.PENDING
    run(broker, worker, a)
    assert status(broker, parent) == states.SUCCESS


def test_a_failed_child_fails_its_parent_once_all_have_ended(broker: Broker, worker: int) -> None:
    parent, one, two = broker.create([group(), child(Earlier(0)), child(Earlier(0))])
    after, after_any = broker.create([prototype(after=(parent,)), prototype(after_any=(parent,))])
    run(broker, worker, one, states.ERROR)
    assert status(broker, parent) == states.PENDING
    run(broker, worker, two)
    (task,) = broker.fetch([parent])
    assert (task.status, task.cause) == (states.ERROR, one)
    assert status(broker, after) == states.ERROR
    assert claimable(broker, worker) == [after_any]


def test_a_failed_dependency_ends_a_group_only_after_its_children(
    broker: Broker, worker: int
) -> None:
    (a,) = broker.create([prototype()])
    parent, one = broker.create([group(after=(a,)), child(Earlier(0))])
    run(broker, worker, a, states.ERROR)
    assert status(broker, parent) == states.PENDING
    run(broker, worker, one)
    assert status(broker, parent) == states.ERROR


def test_half_a_group_never_ends(broker: Broker, worker: int) -> None:
    (parent,) = broker.create([group(status=states.CREATING)])
    one, two = broker.create([child(parent), child(parent)])
    run(broker, worker, one)
    run(broker, worker, two)
    assert status(broker, parent) == states.CREATING
    (three,) = broker.create([child(parent)])
    broker.commit([parent])
    assert status(broker, parent) == states.PENDING
    run(broker, worker, three)
    assert status(broker, parent) == states.SUCCESS


@pytest.mark.parametrize("how", [states.SUCCESS, states.ERROR])
def test_a_group_that_is_through_ends_when_it_is_committed(
    broker: Broker, worker: int, how: str
) -> None:
    (parent,) = broker.create([group(status=states.CREATING)])
    (one,) = broker.create([child(parent)])
    (after,) = broker.create([prototype(after=(parent,))])
    run(broker, worker, one, how)
    assert status(broker, parent) == states.CREATING
    broker.commit([parent])
    assert status(broker, parent) == how
    assert claimable(broker, worker) == ([after] if how == states.SUCCESS else [])


def test_a_task_in_creating_never_runs_before_it_is_committed(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype(status=states.CREATING)])
    assert claimable(broker, worker) == []
    broker.commit([a])
    assert claimable(broker, worker) == [a]


def test_a_commit_comes_too_late_for_what_ended_or_is_gone(broker: Broker, worker: int) -> None:
    (a, gone) = broker.create([prototype(), prototype()])
    run(broker, worker, a)
    broker.remove([gone])
    broker.commit([a, gone])
    assert status(broker, a) == states.SUCCESS


def test_a_task_on_hold_waits_whatever_else_is_done(broker: Broker, worker: int) -> None:
    (a,) = broker.create([prototype()])
    held, empty = broker.create(
        [prototype(status=states.PAUSED, after=(a,)), group(status=states.PAUSED)]
    )
    run(broker, worker, a)
    assert claimable(broker, worker) == []
    assert broker.statuses([held, empty]) == {held: states.PAUSED, empty: states.PAUSED}


def test_the_owner_of_a_group_finds_it_until_it_is_committed(broker: Broker, worker: int) -> None:
    other = enlist(broker)
    mine, theirs = broker.create(
        [group(status=states.CREATING, owner=worker), group(status=states.CREATING, owner=other)]
    )
    assert broker.owned(worker) == [mine]
    broker.commit([mine])
    assert broker.owned(worker) == []
    assert broker.owned(other) == [theirs]
