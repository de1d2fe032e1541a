"""The contract: whatever is done to a graph in whatever order, its counters and its order hold."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support import claimable, end, enlist, prototype, requirements, take

from aque import states
from aque.brokers.base import Broker
from aque.brokers.questions import Edge
from aque.errors import AqueError, DependencyCycleError, DependencyResolutionError, StateError
from aque.prototype import AFTER, CHILD, Earlier, Prototype, Reference
from aque.states import CANCELLED, COMPLETE_STATES, CREATING, PENDING, RUNNING, SUCCESS
from aque.task import Task

#: Counted from the newest, so that graphs are dense and small failures travel far.
Index = st.integers(0, 5)
#: Drawn evenly from a seed: left to itself Hypothesis draws mostly graphs without edges.
Seed = st.integers(0, 1 << 32)
Ends = st.sampled_from([SUCCESS, SUCCESS, states.ERROR, CANCELLED, PENDING])


class Program(RuleBasedStateMachine):
    """A random program that uses a queue, and checks what must always hold."""

    broker: Broker
    check_storage: Callable[[Broker], None]

    def __init__(self) -> None:
        super().__init__()
        self.broker.reset()
        self.worker = enlist(self.broker)
        self.tasks: dict[int, Task] = {}
        self.edges: list[Edge] = []
        self.number = self.broker.changes().number

    # What a program does

    @initialize(seed=Seed)
    def begin(self, seed: int) -> None:
        self.create(6, seed)

    @rule(count=st.integers(1, 4), seed=Seed)
    def create(self, count: int, seed: int) -> None:
        random = Random(seed)
        prototypes: list[Prototype] = []
        for number in range(count):
            known: list[Reference] = [*self.tasks, *map(Earlier, range(number))]
            prototypes.append(self.prototype(random, known[-6:]))
        self.attempt(lambda: self.broker.create(prototypes))

    def prototype(self, random: Random, known: list[Reference]) -> Prototype:
        fields: dict[str, Any] = {}
        parent = random.choice(known) if known and random.random() < 0.25 else None
        if parent is None or random.random() < 0.3:
            cpus = random.randint(1, 2)
            fields["requirements"] = requirements(cpus=cpus)
            fields["environ"] = {"CPUS": str(cpus)}
        else:
            fields["requirements"] = None
        if random.random() < 0.3:
            due_at = random.choice((None, None, 1.0, 1e12))
            fields.update(pattern=None, args=None, due_at=due_at)
        for key in ("after", "after_any"):
            count = random.choice((0, 0, 1, 2)) if known else 0
            chosen = random.sample(known, min(count, len(known)))
            fields[key] = tuple(one for one in chosen if one != parent or random.random() < 0.1)
        status = random.choice([PENDING] * 8 + [states.PAUSED, CREATING])
        return prototype(status=status, parent=parent, **fields)

    @precondition(lambda self: self.having(CREATING))
    @rule(index=Index)
    def commit(self, index: int) -> None:
        self.broker.commit([self.pick(index, CREATING).id])

    @rule(count=st.integers(1, 3))
    def claim(self, count: int) -> None:
        self.broker.claim(self.worker, take(count))

    @precondition(lambda self: self.having(RUNNING))
    @rule(index=Index, status=Ends)
    def finish(self, index: int, status: str) -> None:
        assert self.broker.finish([end(self.pick(index, RUNNING), status)]) == [True]

    @rule(index=Index, status=Ends)
    def run(self, index: int, status: str) -> None:
        ready = self.ready()
        if ready:
            chosen = ready[index % len(ready)].id
            (task,) = self.broker.claim(self.worker, lambda offer: [chosen]).tasks
            self.broker.finish([end(task, status)])

    @precondition(lambda self: self.having(RUNNING))
    @rule(index=Index)
    def requeue(self, index: int) -> None:
        task = self.pick(index, RUNNING)
        assert self.broker.requeue([(task.id, task.attempt)], "again") == [True]

    @precondition(lambda self: self.tasks)
    @rule(index=Index)
    def cancel(self, index: int) -> None:
        self.broker.cancel([self.pick(index).id], 15, 1.0)

    @precondition(lambda self: self.tasks)
    @rule(index=Index)
    def cancel_waiting(self, index: int) -> None:
        self.broker.cancel_waiting([self.pick(index).id])

    @precondition(lambda self: self.tasks)
    @rule(indices=st.lists(Index, min_size=1, max_size=3), resumes=st.booleans())
    def pause(self, indices: list[int], resumes: bool) -> None:
        ids = sorted({self.pick(index).id for index in indices})
        if resumes:
            could = [t.id for t in self.having(states.PAUSED)]
            could += [t.id for t in self.having(RUNNING) if t.stopped_at is not None]
            assert self.broker.resume(ids) == sorted(set(could) & set(ids))
        else:
            could = [task.id for task in self.having(PENDING)]
            could += [t.id for t in self.having(RUNNING) if not (t.stopped_at or t.cancel_at)]
            assert self.broker.pause(ids) == sorted(set(could) & set(ids))

    @precondition(lambda self: self.having(RUNNING))
    @rule(index=Index, due_at=st.sampled_from([1.0, 1e12]))
    def fail_and_try_again(self, index: int, due_at: float) -> None:
        task = self.pick(index, RUNNING)
        assert self.broker.finish([end(task, PENDING, due_at=due_at)]) == [True]

    @precondition(lambda self: self.having(*COMPLETE_STATES))
    @rule(indices=st.lists(Index, min_size=1, max_size=3))
    def retry(self, indices: list[int]) -> None:
        ids = [self.pick(index, *COMPLETE_STATES).id for index in indices]
        self.attempt(lambda: self.broker.retry(ids))

    @rule(index=Index)
    def retry_what_failed_itself(self, index: int) -> None:
        failed = [task.id for task in self.having(*COMPLETE_STATES) if task.exit_status]
        if failed:
            self.attempt(lambda: self.broker.retry([failed[index % len(failed)]]))

    @precondition(lambda self: self.tasks)
    @rule(indices=st.lists(Index, min_size=1, max_size=3))
    def remove(self, indices: list[int]) -> None:
        ids = [self.pick(index).id for index in indices]
        self.attempt(lambda: self.broker.remove(ids))

    def attempt(self, act: Callable[[], object]) -> None:
        """Act; where that is refused, nothing may have changed."""
        try:
            act()
        except (StateError, DependencyCycleError, DependencyResolutionError):
            assert self.look() == self.tasks
            assert self.broker.changes().number == self.number

    def having(self, *statuses: str) -> list[Task]:
        return [task for task in self.tasks.values() if task.status in statuses]

    def pick(self, index: int, *statuses: str) -> Task:
        """Pick one of these statuses, counted from the newest."""
        tasks = self.having(*(statuses or states.STATES))
        return tasks[-1 - index % len(tasks)]

    def look(self) -> dict[int, Task]:
        return {task.id: task for task in self.broker.search()}

    # What must hold

    @invariant()
    def holds(self) -> None:
        offered = claimable(self.broker, self.worker)  # which lets end what is due
        before, self.tasks = self.tasks, self.look()
        self.edges = self.broker.edges(list(self.tasks))
        below: dict[int, list[Edge]] = {id: [] for id in self.tasks}
        for edge in self.edges:
            below[edge.task].append(edge)
        for task in self.tasks.values():
            self.check_counter(task, below[task.id])
            self.check_attempt(task)
            self.check_transition(before.get(task.id), task, below[task.id])
        assert sorted(offered) == [task.id for task in self.ready()]
        self.check_changes(before)
        self.check_storage(self.broker)

    def ready(self) -> list[Task]:
        """Return the tasks that could be claimed."""
        return [
            task
            for task in self.having(PENDING)
            if not task.waiting and not task.is_group and (task.due_at or 0.0) < 1e12
        ]

    def is_unfinished(self, id: int) -> bool:
        return id in self.tasks and not self.tasks[id].is_complete

    def check_counter(self, task: Task, below: list[Edge]) -> None:
        unfinished = [edge for edge in below if self.is_unfinished(edge.dependency)]
        if task.status in states.WAITING_STATES:
            assert task.waiting == len(unfinished), task
        if task.status in (PENDING, states.PAUSED) and (task.cause or task.cancel_at):
            assert any(edge.kind == CHILD for edge in unfinished), f"it should have ended: {task}"
        if task.status == PENDING and task.is_group and task.due_at is None:
            assert unfinished, f"it should have succeeded: {task}"

    def check_attempt(self, task: Task) -> None:
        process = (task.worker, task.pid, task.session, task.started_at, task.stopped_at)
        outcome = (task.exit_status, task.exit_signal, task.error, task.user_time, task.max_rss)
        if task.status in states.WAITING_STATES:
            assert not any(process), f"it has what its last attempt had: {task}"
        if task.status == RUNNING:
            assert outcome == (None,) * 5, f"it shows how its last attempt ended: {task}"

    def check_transition(self, before: Task | None, task: Task, below: list[Edge]) -> None:
        if before is not None and before.status != task.status:
            assert (before.status, task.status) in states.TRANSITIONS or self.is_two_at_once(
                before, task
            )
        if task.status != RUNNING:
            assert task.stopped_at is None or task.is_complete
        started = task.attempt > (before.attempt if before else 0)
        if started and task.status in (RUNNING, SUCCESS):
            self.check_all_succeeded(below)
        elif task.is_complete and (before is None or before.status in states.WAITING_STATES):
            assert not [e for e in below if e.kind == CHILD and self.is_unfinished(e.dependency)]
            if task.status == SUCCESS:
                assert task.is_group
                self.check_all_succeeded(below)

    def is_two_at_once(self, before: Task, task: Task) -> bool:
        """A claim, commit, requeue or retry may be followed, in one step, by an end."""
        via = [to for start, to in states.TRANSITIONS if start == before.status]
        return any((to, task.status) in states.TRANSITIONS for to in via)

    def check_all_succeeded(self, below: list[Edge]) -> None:
        for edge in below:
            dependency = self.tasks.get(edge.dependency)
            if dependency is None:
                assert edge.kind == CHILD
            elif edge.kind in (AFTER, CHILD):
                assert dependency.status == SUCCESS, edge
            else:
                assert dependency.is_complete, edge

    def check_changes(self, before: dict[int, Task]) -> None:
        changes = self.broker.changes(self.number)
        self.number = changes.number
        for id in before.keys() - self.tasks.keys():
            assert id in changes.removed
        for id, task in self.tasks.items():
            if id not in before or before[id].status != task.status:
                assert changes.statuses[id] == task.status

    def teardown(self) -> None:
        """Nothing is stuck: what is let go on comes to an end."""
        self.tasks = self.look()
        self.broker.commit([task.id for task in self.having(CREATING)])
        self.broker.cancel([task.id for task in self.having(states.PAUSED)], 15, 1.0)
        timed = [task.id for task in self.having(CREATING, PENDING) if task.due_at]
        self.broker.cancel(timed, 15, 1.0)
        self.broker.finish([end(task) for task in self.having(RUNNING)])
        while claimed := self.broker.claim(self.worker, take(100)).tasks:
            self.broker.finish([end(task) for task in claimed])
        left = [task for task in self.look().values() if not task.is_complete]
        assert not left


#: It takes long, and the graph is the same however a file keeps its journal.
@pytest.mark.parametrize("make_broker", ["sqlite"], indirect=True)
@pytest.mark.parametrize("steps", [8, 40])
def test_any_program_leaves_a_graph_in_order(
    broker: Broker, check_storage: Callable[[Broker], None], steps: int
) -> None:
    class OnThisBroker(Program):
        pass

    OnThisBroker.broker = broker
    OnThisBroker.check_storage = staticmethod(check_storage)
    run_state_machine_as_test(
        OnThisBroker,
        settings=settings(
            derandomize=True,
            database=None,
            deadline=None,
            max_examples=800 // steps,
            stateful_step_count=steps,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_refusals_are_errors_of_aque() -> None:
    for error in (StateError, DependencyCycleError, DependencyResolutionError):
        assert issubclass(error, AqueError)
