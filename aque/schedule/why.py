"""Own the explanation of why a ready task does not run.

It asks what the claim asks (`obstacles`, `Resources.lacks`), of every live worker, and puts the
answers into words with their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from aque.brokers.claims import Ahead, Candidate, Limit
from aque.requirements import Requirements, parse_limits
from aque.schedule.choose import PATIENCE, order
from aque.schedule.eligible import Claimant, may_run, obstacles, unknown
from aque.schedule.resources import Resources

#: Ids, or workers, named before the rest is counted.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Seat:
    """A live worker: its name, and the ids of the tasks that hold its host's cpus and memory.

    `free` has the tokens left of each limit, `capacities` those there are.
    """

    name: str
    claimant: Claimant
    free: Resources
    holders: Sequence[int]
    capacities: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Situation:
    """All that decides about a ready task: who could run it, the limits, and who is before it.

    `limit_holders` are the ids of the running tasks that hold each limit's tokens. `heads` are the
    best of each kind of ready tasks. `work_left` is the cpu seconds that running tasks are expected
    to take yet, None where that is not known, and `cpus` are those of all hosts. `here` is what a
    worker would be that was started here. `idle` says of each worker that might run the task, but
    starts nothing now, why.
    """

    seats: Sequence[Seat]
    limits: Mapping[str, Limit]
    limit_holders: Mapping[str, Sequence[int]]
    ahead: Ahead
    heads: Sequence[tuple[Candidate, Requirements]] = ()
    work_left: float | None = None
    cpus: float = 0.0
    here: Claimant | None = None
    idle: Sequence[str] = ()

    @property
    def expected_wait(self) -> float | None:
        """The seconds until what runs and what is ahead are through, if all durations are known."""
        if self.work_left is None or self.ahead.work is None or not self.cpus:
            return None
        return (self.work_left + self.ahead.work) / self.cpus


def reasons(id: int, need: Requirements, situation: Situation) -> list[str]:
    """Say why this ready task with these needs does not run, the gravest first."""
    seats = situation.seats
    if not seats:
        return _without_workers(need, situation)
    able = [seat for seat in seats if next(obstacles(need, seat.claimant), None) is None]
    if not able:
        return ["no live worker may run it:", *(_refusal(need, seat) for seat in seats[:_NAMED])]
    found = _limits(need, situation)
    large = [seat for seat in able if not _whole(seat).lacks(_without_limits(need))]
    if not large:
        largest = Resources(
            max(_whole(seat).cpus for seat in able), max(_whole(seat).memory for seat in able), 1
        )
        return [*found, *too_large(need, largest, "the largest worker")]
    roomy = [seat for seat in large if not seat.free.lacks(_without_limits(need))]
    if not roomy:
        found += [_shortage(need, seat) for seat in large[:_NAMED]]
    elif not found:
        found += _kept(id, need, roomy, situation.heads)
    found += _unsure(need, able)
    place = _place(situation)
    return [*found, place if found else f"it is {place} and starts as soon as a slot is free"]


def too_large(need: Requirements, whole: Resources, whose: str) -> list[str]:
    """Say what can never be there, where this is all there is."""
    amounts = {
        "cpus": f"{need.cpus:g} cpus, and {whose} has {whole.cpus:g}",
        "memory": f"{_size(need.memory)} of memory, and {whose} has {_size(whole.memory)}",
    }
    return [f"it needs {amounts[name]}" for name in whole.lacks(_without_limits(need))]


def lacking_tokens(need: Requirements, limits: Mapping[str, Limit]) -> list[str]:
    """Say which limits are not there, or have never tokens enough."""
    found = []
    for name, count in parse_limits(need.limits).items():
        limit = limits.get(name)
        if limit is None:
            found.append(f"there is no limit {name} any more; aque-limit {name}=N makes it")
        elif limit.capacity < count:
            found.append(
                f"it needs {count} of limit {name}, which has {limit.capacity}; "
                f"aque-limit {name}={count} makes it enough"
            )
    return found


def _without_workers(need: Requirements, situation: Situation) -> list[str]:
    """Say that nobody is there, and why one that is started here would not do."""
    if situation.idle and need.reserved is not None:
        return [*situation.idle]
    found = lacking_tokens(need, situation.limits)
    if situation.here is not None:
        found += obstacles(need, situation.here)
        found += too_large(need, situation.here.host, "this host")
    none = "no worker starts anything" if situation.idle else "no worker is running"
    if found:
        said = [f"{none}, and one that is started here cannot run it:", *found]
    else:
        said = [f"{none}; aque-worker starts {'another' if situation.idle else 'one'}"]
    return [*said, *situation.idle]


def _kept(
    id: int,
    need: Requirements,
    seats: Sequence[Seat],
    heads: Sequence[tuple[Candidate, Requirements]],
) -> list[str]:
    """Say for whom every one of these workers may be keeping what the task could have."""
    firsts = [_first_blocked(id, seat, heads) for seat in seats]
    keepers = []
    for seat, first in zip(seats, firsts):
        if first is None or not seat.free.keeping(first[1]).lacks(need):
            return []
        keepers.append(first[0].id)
    then = f"once it has waited {PATIENCE:g} s there, what is free is kept for it"
    return [
        f"task {keeper} is first in line and waits for room; {then}"
        for keeper in dict.fromkeys(keepers)
    ]


def _first_blocked(
    id: int, seat: Seat, heads: Sequence[tuple[Candidate, Requirements]]
) -> tuple[Candidate, Requirements] | None:
    """Return who stands first in a worker's line, before this task, without there being room."""
    whole = replace(_whole(seat), tokens=seat.capacities)
    for candidate, need in sorted(heads, key=lambda head: order(head[0])):
        if candidate.id == id:
            break
        if may_run(need, seat.claimant) and not whole.lacks(need) and seat.free.lacks(need):
            return candidate, need
    return None


def _place(situation: Situation) -> str:
    number = situation.ahead.number + 1
    wait = situation.expected_wait
    expected = f", to start in about {_minutes(wait)}" if wait else ""
    return f"{number}{_ordinal(number)} in line{expected}"


def _refusal(need: Requirements, seat: Seat) -> str:
    return f"worker {seat.name}: {', '.join(obstacles(need, seat.claimant))}"


def _unsure(need: Requirements, seats: Sequence[Seat]) -> list[str]:
    """Say what is not known of the hosts of these workers, where it is of none of them."""
    if not all(unknown(need, seat.claimant) for seat in seats):
        return []
    return [
        f"worker {seat.name}: whether {mount.source} ({mount.type}) is mounted on {mount.point} "
        "there is not known here; ask on its host"
        for seat in seats[:_NAMED]
        for mount in unknown(need, seat.claimant)
    ]


def _limits(need: Requirements, situation: Situation) -> list[str]:
    found = lacking_tokens(need, situation.limits)
    for name, count in parse_limits(need.limits).items():
        limit = situation.limits.get(name)
        if limit is not None and limit.capacity - limit.used < count <= limit.capacity:
            holders = _ids(situation.limit_holders.get(name, ()))
            used = f"{limit.used} of {limit.capacity} used{f' by {holders}' if holders else ''}"
            found.append(f"it needs {count} of limit {name}: {used}")
    return found


def _shortage(need: Requirements, seat: Seat) -> str:
    lacking = seat.free.lacks(_without_limits(need))
    amounts = {
        "cpus": f"needs {need.cpus:g} cpus and {max(0.0, seat.free.cpus):g} are free",
        "memory": f"needs {_size(need.memory)} and {_size(max(0, seat.free.memory))} are free",
    }
    held = f" (held by {_ids(seat.holders)})" if seat.holders else ""
    return f"worker {seat.name}: {', '.join(amounts[name] for name in lacking)}{held}"


def _whole(seat: Seat) -> Resources:
    return seat.claimant.host


def _without_limits(need: Requirements) -> Requirements:
    return replace(need, limits=None)


def _ids(ids: Sequence[int]) -> str:
    named = ", ".join(map(str, ids[:_NAMED]))
    return named + (f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else "")


def _size(number: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if number < 1024:
            return f"{round(number, 2):,.10g} {unit}"
        number /= 1024
    return f"{round(number, 2):,.10g} GiB"


def _minutes(seconds: float) -> str:
    if seconds < 100:
        return f"{max(seconds, 1):.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
