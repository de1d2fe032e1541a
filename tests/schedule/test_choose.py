"""The choice of what to run next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aque.brokers.claims import Candidate, Limit
from aque.requirements import Requirements
from aque.schedule.choose import PATIENCE, Claimant, Line, chooser
from aque.schedule.resources import Resources

ME = 7
PLENTY = Resources(1e9, 1 << 60, 1000)


class Table:
    """An offer of tasks that are (id, priority, duration), by what they need."""

    now = 0.0

    def __init__(
        self,
        tasks: Mapping[Requirements, Sequence[tuple[int, int, float]]],
        used: tuple[float, int] = (0.0, 0),
    ) -> None:
        self.kinds = dict(enumerate(tasks, 1))
        self._heads = {kind: sorted(tasks[need], key=order) for kind, need in self.kinds.items()}
        self._used = used
        self.known: Mapping[str, Limit] = {}
        self.behind: set[int] = set()

    def heads(self, kind: int, count: int) -> Sequence[Candidate]:
        return [Candidate(*task) for task in self._heads[kind][:count]]

    def used(self) -> tuple[float, int]:
        return self._used

    def leave_behind(self, id: int) -> None:
        self.behind.add(id)

    def limits(self) -> Mapping[str, Limit]:
        return self.known


def order(task: tuple[int, int, float]) -> tuple[int, float, int]:
    return (-task[1], -task[2], task[0])


def need(**fields: object) -> Requirements:
    return Requirements(**{"user": "me", **fields})  # type: ignore[arg-type]


def claimant(
    free: Resources = PLENTY, host: Resources = PLENTY, is_exclusive: bool = False
) -> Claimant:
    return Claimant(ME, "me", is_exclusive, free, host)


def choose(offer: Table, who: Claimant) -> list[int]:
    return list(chooser(who)(offer))


def test_others_wait_only_behind_one_that_the_claim_begins() -> None:
    """Idle runners would take three more each, of what their last calls needed."""
    free = Resources(2.0, 1 << 30, 4)
    who = replace(claimant(free, free), behind_new={need(cpus=1): 3})
    begun = Table({need(cpus=1): ids(*range(1, 20))})
    assert choose(begun, who) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert begun.behind == {3, 4, 5, 6, 7, 8}
    full = Table({need(cpus=1): ids(*range(1, 20))}, used=(2.0, 0))
    assert choose(full, who) == []
    other = Table({need(cpus=0.5): ids(*range(1, 20))})
    assert choose(other, who) == [1, 2, 3, 4]


def ids(*numbers: int) -> list[tuple[int, int, float]]:
    return [(number, 1000, 0.0) for number in numbers]


@pytest.mark.parametrize(
    ("what", "tasks", "who", "expected"),
    [
        ("nothing is there", {}, claimant(), []),
        ("no slot is free", {need(): ids(1)}, claimant(Resources(4, 100, 0)), []),
        ("fewer than none are free", {need(): ids(1)}, claimant(Resources(4, 100, -2)), []),
        ("priority", {need(): [(1, 5, 0.0), (2, 6, 0.0)]}, claimant(), [2, 1]),
        ("the longest first", {need(): [(1, 5, 1.0), (2, 5, 2.0)]}, claimant(), [2, 1]),
        ("then the oldest", {need(): ids(2, 1)}, claimant(), [1, 2]),
        (
            "order over all kinds",
            {need(cpus=1): [(1, 5, 0.0), (4, 2, 0.0)], need(cpus=2): [(2, 4, 0.0), (3, 3, 0.0)]},
            claimant(),
            [1, 2, 3, 4],
        ),
        ("as many as slots", {need(): ids(1, 2, 3)}, claimant(Resources(9, 0, 2)), [1, 2]),
        ("as many as cpus", {need(): ids(1, 2, 3)}, claimant(Resources(2.9, 0, 9)), [1, 2]),
        ("as memory is", {need(memory=4): ids(1, 2)}, claimant(Resources(9, 7, 9)), [1]),
        (
            "what does not fit lets others go",
            {need(cpus=8): [(1, 9, 0.0)], need(cpus=1): ids(2)},
            claimant(Resources(4, 0, 9)),
            [2],
        ),
        (
            "what fits no more lets smaller ones go",
            {need(cpus=3): ids(1, 2), need(cpus=1): ids(3)},
            claimant(Resources(4, 0, 9)),
            [1, 3],
        ),
        (
            "ten tenths are one cpu",
            {need(cpus=0.1): ids(*range(1, 12))},
            claimant(Resources(1.0, 0, 99)),
            list(range(1, 11)),
        ),
        (
            "three thirds are one cpu",
            {need(cpus=1 / 3): ids(1, 2, 3, 4)},
            claimant(Resources(1.0, 0, 99)),
            [1, 2, 3],
        ),
        ("another's", {need(user="you"): ids(1)}, claimant(), []),
        ("reserved for me", {need(reserved=ME): ids(1)}, claimant(), [1]),
        ("reserved for another", {need(reserved=8): ids(1)}, claimant(), []),
        (
            "only what is reserved",
            {need(reserved=ME): ids(1), need(): ids(2), need(reserved=8): ids(3)},
            claimant(is_exclusive=True),
            [1],
        ),
        ("what needs nothing", {need(cpus=0): ids(1, 2)}, claimant(Resources(0, 0, 9)), [1, 2]),
        (
            "what needs nothing where less than nothing is free",
            {need(cpus=0): ids(1), need(): ids(2)},
            claimant(Resources(-1, -1, 9)),
            [1],
        ),
    ],
)  # fmt: skip
def test_what_is_chosen(
    what: str,
    tasks: Mapping[Requirements, Sequence[tuple[int, int, float]]],
    who: Claimant,
    expected: list[int],
) -> None:
    assert choose(Table(tasks), who) == expected, what


def test_what_others_run_on_the_host_is_not_free() -> None:
    tasks = {need(cpus=1, memory=10): ids(1, 2, 3)}
    host = Resources(4.0, 100, 0)
    assert choose(Table(tasks, used=(2.0, 0)), claimant(host=host)) == [1, 2]
    assert choose(Table(tasks, used=(0.0, 85)), claimant(host=host)) == [1]
    assert choose(Table(tasks, used=(9.0, 0)), claimant(host=host)) == []


def test_what_takes_nothing_is_not_held_up_by_a_host_that_is_full() -> None:
    tasks = {need(cpus=0): ids(1), need(cpus=1): ids(2)}
    host = Resources(1.0, 100, 0)
    assert choose(Table(tasks, used=(4.0, 200)), claimant(host=host)) == [1]


def test_a_share_caps_what_the_host_has_free() -> None:
    tasks = {need(): ids(1, 2, 3)}
    who = claimant(free=Resources(1.0, 100, 9), host=Resources(64.0, 100, 0))
    assert choose(Table(tasks), who) == [1]


# Limits

NUKE = '{"nuke":1}'


def limited(tasks: Mapping[Requirements, Sequence[tuple[int, int, float]]], **limits: Limit) -> Any:
    table = Table(tasks)
    table.known = limits
    return table


def test_no_more_tokens_are_taken_than_are_left() -> None:
    tasks = {need(limits=NUKE): ids(1, 2, 3)}
    assert choose(limited(tasks, nuke=Limit(10, 8)), claimant()) == [1, 2]
    assert choose(limited(tasks, nuke=Limit(10, 10)), claimant()) == []
    assert choose(limited(tasks, nuke=Limit(1, 5)), claimant()) == []


def test_several_kinds_share_a_limit() -> None:
    tasks = {
        need(limits='{"nuke":2}'): [(1, 9, 0.0), (2, 7, 0.0)],
        need(limits='{"nuke":1,"maya":1}'): [(3, 8, 0.0), (4, 6, 0.0)],
    }
    limits = {"nuke": Limit(4, 0), "maya": Limit(9, 0)}
    assert choose(limited(tasks, **limits), claimant()) == [1, 3, 4]


def test_all_limits_of_a_task_must_have_room() -> None:
    tasks = {need(limits='{"maya":1,"nuke":1}'): ids(1)}
    assert choose(limited(tasks, nuke=Limit(1, 0), maya=Limit(1, 1)), claimant()) == []


def test_a_limit_that_is_gone_lets_nothing_run() -> None:
    assert choose(limited({need(limits=NUKE): ids(1)}), claimant()) == []


def test_a_limit_that_is_used_up_lets_others_go() -> None:
    tasks = {need(limits=NUKE): [(1, 9, 0.0)], need(): ids(2)}
    assert choose(limited(tasks, nuke=Limit(1, 1)), claimant()) == [2]


# Where, and whose


@pytest.mark.parametrize(
    ("fields", "may"),
    [
        ({"host": "render*"}, True),
        ({"host": "sim*"}, False),
        ({"platform": "linux"}, True),
        ({"platform": "darwin"}, False),
    ],
)
def test_only_what_may_run_here_is_chosen(fields: dict[str, str], may: bool) -> None:
    who = replace(claimant(), names=frozenset({"render7"}), platform="linux")
    tasks = {need(**fields): [(1, 9, 0.0)], need(): ids(2)}
    assert choose(Table(tasks), who) == ([2, 1] if may else [2])


# Patience

BIG, SMALL = need(cpus=4), need(cpus=1)
TWO_FREE = claimant(Resources(2, 0, 9), Resources(4, 100, 1))


def at(now: float, line: Line, tasks: Any, who: Claimant = TWO_FREE, **limits: Limit) -> list[int]:
    table = limited(tasks, **limits)
    table.now = now
    return list(chooser(who, line)(table))


def test_room_is_kept_for_the_head_of_the_line_once_its_patience_is_over() -> None:
    line = Line()
    tasks = {BIG: ids(1), SMALL: ids(2, 3)}
    assert at(100, line, tasks) == [2, 3]
    assert at(100 + PATIENCE - 0.1, line, tasks) == [2, 3]
    assert at(100 + PATIENCE, line, tasks) == []
    assert at(500, line, tasks, claimant(Resources(4, 0, 9), Resources(4, 100, 1))) == [1]


def test_what_takes_none_of_it_passes_what_room_is_kept_for() -> None:
    line = Line()
    tasks = {BIG: ids(1), SMALL: ids(2), need(cpus=0): ids(3)}
    at(0, line, tasks)
    assert at(PATIENCE, line, tasks) == [3]


def test_what_is_more_than_it_needs_is_not_kept() -> None:
    line = Line()
    who = claimant(Resources(4, 10, 9), Resources(4, 100, 1))
    tasks = {need(cpus=2, memory=50): ids(1), SMALL: ids(2, 3, 4)}
    at(0, line, tasks, who)
    assert at(PATIENCE, line, tasks, who) == [2, 3]


def test_a_new_head_of_the_line_begins_its_own_wait() -> None:
    line = Line()
    tasks = {BIG: ids(1), SMALL: ids(2)}
    at(0, line, tasks)
    more = {BIG: [(1, 1000, 0.0), (9, 2000, 0.0)], SMALL: ids(2)}
    assert at(PATIENCE, line, more) == [2]
    assert at(2 * PATIENCE, line, more) == []


def test_nothing_is_kept_for_what_the_worker_could_never_run() -> None:
    for field, value in (("cpus", 5.0), ("memory", 1000), ("limits", '{"nuke":3}')):
        line = Line()
        tasks = {need(**{field: value}): ids(1), SMALL: ids(2, 3)}
        at(0, line, tasks, nuke=Limit(2, 0))
        assert at(2 * PATIENCE, line, tasks, nuke=Limit(2, 0)) == [2, 3], field
    line, who = Line(), replace(TWO_FREE, share=Resources(2, 100, 9))
    at(0, line, {BIG: ids(1), SMALL: ids(2)}, who)
    assert at(2 * PATIENCE, line, {BIG: ids(1), SMALL: ids(2)}, who) == [2]


def test_tokens_are_kept_for_who_waits_for_more_of_them() -> None:
    line = Line()
    tasks = {need(cpus=0, limits='{"nuke":4}'): ids(1), need(cpus=0, limits=NUKE): ids(2)}
    assert at(0, line, tasks, nuke=Limit(4, 2)) == [2]
    assert at(PATIENCE, line, tasks, nuke=Limit(4, 2)) == []
    assert at(PATIENCE + 1, line, tasks, nuke=Limit(4, 0)) == [1]


def test_the_wait_of_who_can_run_after_all_is_forgotten() -> None:
    line = Line()
    tasks = {BIG: ids(1), SMALL: ids(2)}
    at(0, line, tasks)
    assert not line.is_empty
    at(1, line, {SMALL: ids(2)})
    assert line.is_empty
    assert at(PATIENCE, line, tasks) == [2]


needs = st.builds(
    need,
    user=st.sampled_from(["me", "me", "you"]),
    cpus=st.sampled_from([0.0, 0.1, 0.25, 1 / 3, 0.5, 1.0, 1.5, 3.0, 8.0]),
    memory=st.sampled_from([0, 0, 1, 7, 50]),
    reserved=st.sampled_from([None, None, None, ME, 8]),
)
lists = st.lists(
    st.tuples(st.integers(-2, 2), st.sampled_from([0.0, 0.5, 9.0])), min_size=1, max_size=6
)


@st.composite
def offers(draw: st.DrawFn) -> tuple[Table, dict[int, Requirements], dict[int, tuple[int, float]]]:
    kinds = draw(st.dictionaries(needs, lists, max_size=6))
    number, tasks, need_of, rank_of = 0, {}, {}, {}
    for kind, drafts in kinds.items():
        tasks[kind] = []
        for priority, duration in drafts:
            number += 1
            tasks[kind].append((number, priority, duration))
            need_of[number], rank_of[number] = kind, (priority, duration)
    used = draw(st.tuples(st.sampled_from([0.0, 0.5, 3.0, 9.0]), st.integers(0, 80)))
    return Table(tasks, used), need_of, rank_of


claimants = st.builds(
    claimant,
    free=st.builds(Resources, st.floats(0, 9), st.integers(0, 90), st.integers(0, 8)),
    host=st.builds(Resources, st.floats(0, 9), st.integers(0, 90), st.just(0)),
    is_exclusive=st.booleans(),
)


@given(offers(), claimants)
def test_never_more_is_chosen_than_fits_and_in_strict_order(
    offered: tuple[Table, dict[int, Requirements], dict[int, tuple[int, float]]], who: Claimant
) -> None:
    table, need_of, rank_of = offered
    chosen = choose(table, who)
    mine = {
        id
        for id, need in need_of.items()
        if need.reserved == ME
        or (need.reserved is None and need.user == "me" and not who.is_exclusive)
    }
    assert len(set(chosen)) == len(chosen)
    assert set(chosen) <= mine
    assert chosen == naive(
        sorted(mine, key=lambda id: order((id, *rank_of[id]))), need_of, who, table
    )


def naive(
    line: list[int], need_of: dict[int, Requirements], who: Claimant, table: Table
) -> list[int]:
    """Walk the whole line once, and take what fits."""
    used_cpus, used_memory = table.used()
    if not any(need_of[id].cpus or need_of[id].memory for id in line):
        used_cpus, used_memory = 0.0, 0
    cpus = min(who.free.cpus, who.host.cpus - used_cpus)
    memory = min(who.free.memory, who.host.memory - used_memory)
    chosen: list[int] = []
    for id in line:
        need = need_of[id]
        fits = (not need.cpus or need.cpus <= cpus + 1e-9) and need.memory <= max(memory, 0)
        if fits and len(chosen) < who.free.slots:
            chosen.append(id)
            cpus -= need.cpus
            memory -= need.memory
    return chosen
