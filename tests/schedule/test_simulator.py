"""The policy over time: thousands of random tasks, several workers of a host, a virtual clock.

The simulator is the host and the queue; every decision is made by `chooser`, the function that
claims are made with. Each worker is asked whenever something began or ended, as its bells have it.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

import pytest

from aque.brokers.claims import Candidate, Limit
from aque.mounts import Mount
from aque.requirements import Requirements, limits_text, parse_limits
from aque.schedule import mounts
from aque.schedule.choose import PATIENCE, Line, chooser, order
from aque.schedule.eligible import Claimant
from aque.schedule.resources import Resources

CPUS, MEMORY = 16.0, 64
LIMITS = {"nuke": 3, "disk": 8}
FAST = Mount("xfs", "/dev/fast", "/fast")
SLOW = Mount("ext4", "/dev/slow", "/slow")
FILER = Mount("nfs4", "filer:/film", "/film")
#: Seconds that a task runs at most.
LONGEST = 120.0


@dataclass(frozen=True)
class Job:
    """A task and what the policy cannot see of it: when it comes, and how long it will run."""

    id: int
    need: Requirements
    arrival: float
    runs: float
    priority: int = 1000
    duration: float = 0.0

    @property
    def candidate(self) -> Candidate:
        return Candidate(self.id, self.priority, self.duration)


@dataclass
class Member:
    """A worker: its share of the host, its memory of the line, and what it runs."""

    id: int
    share: Resources
    line: Line = field(default_factory=Line)
    running: dict[int, Job] = field(default_factory=dict)

    def claimant(self) -> Claimant:
        free = self.share
        for job in self.running.values():
            free = free.without(job.need)
        host = Resources(CPUS, MEMORY, 1)
        return Claimant(self.id, "me", False, free, host, share=self.share)


class Table:
    """What a claim may choose from."""

    def __init__(self, now: float, pending: Iterable[Job], running: Iterable[Job]) -> None:
        self.now = now
        self._running = list(running)
        self._jobs: dict[Requirements, list[Job]] = {}
        for job in pending:
            self._jobs.setdefault(job.need, []).append(job)
        self.kinds = dict(enumerate(self._jobs))

    def heads(self, kind: int, count: int) -> Sequence[Candidate]:
        jobs = self._jobs[self.kinds[kind]]
        return heapq.nsmallest(count, (job.candidate for job in jobs), key=order)

    def used(self) -> tuple[float, int]:
        return (
            sum(job.need.cpus for job in self._running),
            sum(job.need.memory for job in self._running),
        )

    def limits(self) -> Mapping[str, Limit]:
        used = tokens(self._running)
        return {name: Limit(count, used[name]) for name, count in LIMITS.items()}

    def running_mounts(self) -> Sequence[tuple[str, int]]:
        counts = Counter(job.need.mounts for job in self._running)
        return [(text, count) for text, count in counts.items() if text is not None]

    def io_scale(self, job: Job) -> int:
        """Say how late the mounts of a task put it, by the rule as it is written down."""
        used = mounts.parse(job.need.mounts).all
        busiest = max(
            (
                sum(mount in mounts.parse(j.need.mounts).all for j in self._running)
                for mount in used
            ),
            default=0,
        )
        return busiest + 1 if busiest else int(FILER in used)


def tokens(jobs: Iterable[Job]) -> Counter[str]:
    used: Counter[str] = Counter()
    for job in jobs:
        used.update(parse_limits(job.need.limits))
    return used


class Simulation:
    """A host whose workers run jobs; checks at each instant what must always hold."""

    def __init__(self, jobs: Sequence[Job], members: Sequence[Member]) -> None:
        self._members = members
        self._to_come = sorted(jobs, key=lambda job: (job.arrival, job.id), reverse=True)
        self._pending: dict[int, Job] = {}
        self._ends: list[tuple[float, int, Member]] = []
        self._first: dict[int, tuple[int, float]] = {}
        self.now = 0.0
        self.started: dict[int, float] = {}

    def run(self) -> dict[int, float]:
        """Run all to the end; return when each has started."""
        while self._to_come or self._ends:
            self._advance()
            for member in self._members:
                self._claim(member)
            self._check_capacity()
        assert not self._pending, f"never started: {sorted(self._pending)[:9]}"
        return self.started

    def _advance(self) -> None:
        self.now = min(
            self._to_come[-1].arrival if self._to_come else float("inf"),
            self._ends[0][0] if self._ends else float("inf"),
        )
        while self._to_come and self._to_come[-1].arrival <= self.now:
            job = self._to_come.pop()
            self._pending[job.id] = job
        while self._ends and self._ends[0][0] <= self.now:
            _, id, member = heapq.heappop(self._ends)
            del member.running[id]

    def _running(self) -> list[Job]:
        return [job for member in self._members for job in member.running.values()]

    def _claim(self, member: Member) -> None:
        claimant = member.claimant()
        if not self._pending or claimant.free.slots < 1:
            return
        table = Table(self.now, self._pending.values(), self._running())
        self._check_choice(claimant, member, table, list(chooser(claimant, member.line)(table)))

    def _check_choice(
        self, claimant: Claimant, member: Member, table: Table, chosen: list[int]
    ) -> None:
        """Walk the whole line: each that fits is taken, but for what is kept for who waited."""
        used_cpus, used_memory = table.used()
        free = claimant.free.capped(CPUS - used_cpus, MEMORY - used_memory)
        left = {name: limit.capacity - limit.used for name, limit in table.limits().items()}
        free = Resources(free.cpus, free.memory, free.slots, left)
        whole = Resources(claimant.whole.cpus, claimant.whole.memory, 1, LIMITS)
        expected: list[int] = []
        blocked: Job | None = None
        for job in sorted(
            self._pending.values(), key=lambda job: order(job.candidate, table.io_scale(job))
        ):
            if free.slots < 1:
                break
            if free.fits(job.need):
                expected.append(job.id)
                free = free.without(job.need)
            elif blocked is None and not whole.lacks(job.need):
                blocked = job
                if self._has_waited(member, job):
                    free = free.keeping(job.need)
        if blocked is None:
            self._first.pop(member.id, None)
        assert chosen == expected
        for id in chosen:
            self._start(member, self._pending.pop(id))

    def _has_waited(self, member: Member, job: Job) -> bool:
        first, since = self._first.get(member.id, (None, 0.0))
        if first != job.id:
            since = self.now
            self._first[member.id] = job.id, since
        return self.now - since >= PATIENCE

    def _start(self, member: Member, job: Job) -> None:
        member.running[job.id] = job
        self.started[job.id] = self.now
        heapq.heappush(self._ends, (self.now + job.runs, job.id, member))

    def _check_capacity(self) -> None:
        running = self._running()
        assert sum(job.need.cpus for job in running) <= CPUS + 1e-6
        assert sum(job.need.memory for job in running) <= MEMORY
        for name, used in tokens(running).items():
            assert used <= LIMITS[name], name
        for member in self._members:
            jobs = member.running.values()
            assert sum(job.need.cpus for job in jobs) <= member.share.cpus + 1e-6
            assert sum(job.need.memory for job in jobs) <= member.share.memory
            assert len(jobs) <= member.share.slots


WHOLE = Resources(CPUS, MEMORY, 256)
SHARES = {
    "one worker": [WHOLE],
    "three whole": [WHOLE] * 3,
    "shares": [WHOLE, Resources(4.0, 16, 8), Resources(0.5, 64, 3)],
}


def members(shares: Sequence[Resources]) -> list[Member]:
    return [Member(number, share) for number, share in enumerate(shares, 1)]


def random_need(random: Random) -> Requirements:
    wanted = random.choice(
        [{}] * 4 + [{"nuke": 1}, {"nuke": 2}, {"disk": 3}, {"disk": 5, "nuke": 1}]
    )
    return Requirements(
        "me",
        cpus=random.choice([0.0, 0.1, 0.25, 1 / 3, 0.5, 1.0, 1.0, 2.0, 4.0, 8.0, 16.0]),
        memory=random.choice([0, 0, 0, 1, 4, 16, 48]),
        limits=limits_text(wanted),
        mounts=random.choice(
            [None, None, mounts.to_text([], [FAST]), mounts.to_text([SLOW], [FAST]),
             mounts.to_text([FILER], []), mounts.to_text([], [SLOW, FILER])]
        ),
    )  # fmt: skip


def random_jobs(random: Random, count: int, over: float) -> list[Job]:
    needs = [random_need(random) for _ in range(12)]
    return [
        Job(
            id, random.choice(needs), random.uniform(0, over), random.uniform(0.1, LONGEST),
            random.choice([1000, 1000, 1000, 1001, 900, -5]), random.choice([0.0, 0.0, 9.0]),
        )
        for id in range(1, count + 1)
    ]  # fmt: skip


@pytest.mark.parametrize("shares", SHARES.values(), ids=SHARES)
@pytest.mark.parametrize("seed", range(2))
def test_random_tasks_run_in_order_within_capacity_and_none_is_left(
    seed: int, shares: Sequence[Resources]
) -> None:
    jobs = random_jobs(Random(seed), 350, 4000.0)
    assert len(Simulation(jobs, members(shares)).run()) == len(jobs)


@pytest.mark.parametrize("shares", [SHARES["one worker"], SHARES["three whole"]], ids=["1", "3"])
@pytest.mark.parametrize(
    "big",
    [{"cpus": 16.0}, {"memory": 64, "cpus": 1.0}, {"cpus": 0.0, "limits": '{"nuke":3}'}],
    ids=["cpus", "memory", "tokens"],
)
def test_a_stream_of_small_tasks_never_starves_a_big_one(
    shares: Sequence[Resources], big: Mapping[str, object]
) -> None:
    random = Random(1)
    small = Requirements("me", cpus=1.0, memory=4, limits='{"nuke":1}')
    stream = [Job(id, small, id * 0.5, random.uniform(5, 30)) for id in range(2, 460)]
    arrival = 40.0
    late = Job(1, Requirements("me", **big), arrival, 10.0)  # type: ignore[arg-type]
    started = Simulation([late, *stream], members(shares)).run()
    # tokens first, then cpus: what runs may have to end twice
    assert started[1] <= arrival + PATIENCE + 3 * 30.0


def test_several_big_tasks_in_a_row_all_get_their_turn() -> None:
    small = Requirements("me", cpus=1.0)
    stream = [Job(id, small, id * 0.5, 20.0) for id in range(100, 700)]
    big = [Job(id, Requirements("me", cpus=16.0), 50.0, 10.0) for id in range(1, 6)]
    started = Simulation([*big, *stream], members([WHOLE, WHOLE])).run()
    turns = [started[id] for id in range(1, 6)]
    assert turns == sorted(turns)
    assert turns[-1] <= 50.0 + 5 * (PATIENCE + 20.0 + 10.0)


def test_nothing_idles_behind_what_has_not_waited_long() -> None:
    """A big task that is first in line leaves the host to the small ones for its first minute."""
    hour = [Job(1, Requirements("me", cpus=10.0), 0.0, 50.0)]
    big = [Job(2, Requirements("me", cpus=16.0), 1.0, 10.0)]
    small = [Job(id, Requirements("me", cpus=1.0), 2.0 + id, 5.0) for id in range(3, 40)]
    started = Simulation([*hour, *big, *small], members([WHOLE])).run()
    assert all(started[job.id] == job.arrival for job in small)
    assert started[2] == 50.0


def test_who_waits_for_a_licence_leaves_the_cpus_to_others() -> None:
    """They could not be used before there is one; then they are kept as well."""
    holder = Job(1, Requirements("me", cpus=1.0, limits='{"nuke":3}'), 0.0, 300.0)
    waiting = Job(2, Requirements("me", cpus=16.0, limits='{"nuke":1}'), 1.0, 10.0)
    small = [Job(id, Requirements("me", cpus=1.0), 2.0 + id, 5.0) for id in range(3, 500)]
    started = Simulation([holder, waiting, *small], members([WHOLE])).run()
    assert all(started[job.id] == job.arrival for job in small if job.arrival < 300.0)
    assert started[2] <= 300.0 + 5.0


def test_of_equal_tasks_those_on_idle_disks_go_first() -> None:
    def on(id: int, *used: Mount, arrival: float = 1.0, runs: float = 10.0) -> Job:
        need = Requirements("me", cpus=8.0, mounts=mounts.to_text([], used))
        return Job(id, need, arrival, runs)

    long = on(1, SLOW, arrival=0.0, runs=100.0)
    jobs = [long, on(2, SLOW), on(3, FILER), on(4, FAST), on(5)]
    started = Simulation(jobs, members([Resources(CPUS, MEMORY, 2)])).run()
    assert [started[id] for id in (1, 4, 5, 3, 2)] == [0.0, 1.0, 11.0, 21.0, 31.0]
