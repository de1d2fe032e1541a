"""Own the explanation of why a ready task does not run.

It asks what the claim asks (`obstacles`, `Resources.lacks`), of every live worker, and puts the
answers into words with their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from aque.brokers.base import Limit
from aque.schedule.eligible import Claimant, obstacles
from aque.schedule.resources import Resources
from aque.task import Requirements, parse_limits

#: Ids, or workers, named before the rest is counted.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Seat:
    """A live worker: its name, and the ids of the tasks that hold its host's cpus and memory."""

    name: str
    claimant: Claimant
    free: Resources
    holders: Sequence[int]


@dataclass(frozen=True, slots=True)
class Situation:
    """All that decides about a ready task: who could run it, the limits, and who is before it.

    `limit_holders` are the ids of the running tasks that hold each limit's tokens.
    """

    seats: Sequence[Seat]
    limits: Mapping[str, Limit]
    limit_holders: Mapping[str, Sequence[int]]
    ahead: int


def reasons(need: Requirements, situation: Situation) -> list[str]:
    """Say why a ready task with these needs does not run, the gravest first."""
    seats = situation.seats
    if not seats:
        return ["no worker is running; aque-worker starts one"]
    able = [seat for seat in seats if next(obstacles(need, seat.claimant), None) is None]
    if not able:
        return ["no live worker may run it:", *(_refusal(need, seat) for seat in seats[:_NAMED])]
    found = _limits(need, situation)
    large = [seat for seat in able if not _whole(seat).lacks(_without_limits(need))]
    if not large:
        return [*found, _too_large(need, able)]
    if not any(not seat.free.lacks(_without_limits(need)) for seat in large):
        found += [_shortage(need, seat) for seat in large[:_NAMED]]
    place = f"{situation.ahead + 1}{_ordinal(situation.ahead + 1)} in line"
    return [*found, place if found else f"it is {place} and starts as soon as a slot is free"]


def _refusal(need: Requirements, seat: Seat) -> str:
    return f"worker {seat.name}: {', '.join(obstacles(need, seat.claimant))}"


def _limits(need: Requirements, situation: Situation) -> list[str]:
    found = []
    for name, count in parse_limits(need.limits).items():
        limit = situation.limits.get(name)
        if limit is None:
            found.append(f"there is no limit {name} any more; aque-limit {name}=N makes it")
        elif limit.capacity - limit.used < count:
            holders = _ids(situation.limit_holders.get(name, ()))
            used = f"{limit.used} of {limit.capacity} used{f' by {holders}' if holders else ''}"
            found.append(f"it needs {count} of limit {name}: {used}")
    return found


def _too_large(need: Requirements, seats: Sequence[Seat]) -> str:
    cpus = max(_whole(seat).cpus for seat in seats)
    memory = max(_whole(seat).memory for seat in seats)
    if need.cpus > cpus:
        return f"it needs {need.cpus:g} cpus, and the largest worker has {cpus:g}"
    return f"it needs {_size(need.memory)} of memory, and the largest worker has {_size(memory)}"


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
            return f"{number:.4g} {unit}"
        number /= 1024
    return f"{number:.4g} GiB"


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
