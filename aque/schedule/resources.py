"""Own cpus, memory, tokens and slots: what is free, and what a kind of task takes of it."""

from __future__ import annotations

from collections.abc import Mapping

from aque.record import record, replace
from aque.requirements import Requirements, parse_limits

#: Sums of fractions of a cpu are compared with this tolerance: ten tenths are one.
_EPSILON = 1e-9
_NONE: Mapping[str, int] = {}


@record(frozen=True)
class Resources:
    """An amount of what tasks hold.

    `cpus` is a number, `memory` bytes, `slots` a number of tasks, `tokens` a number by the name of
    each limit.
    """

    cpus: float
    memory: int
    slots: int
    tokens: Mapping[str, int] = _NONE

    def fits(self, need: Requirements) -> bool:
        """Whether there is room; for what needs nothing even where more than all is held."""
        return self.slots >= 1 and not self.lacks(need)

    def lacks(self, need: Requirements) -> list[str]:
        """Return what there is too little of: "cpus", "memory", or names of limits."""
        lacking = []
        if need.cpus and need.cpus > self.cpus + _EPSILON:
            lacking.append("cpus")
        if need.memory and need.memory > self.memory:
            lacking.append("memory")
        if need.limits is not None:
            wanted = parse_limits(need.limits)
            lacking += [name for name, count in wanted.items() if count > self.tokens.get(name, 0)]
        return lacking

    def without(self, need: Requirements) -> Resources:
        """Return what is left when a task has taken what it needs."""
        tokens = self.tokens
        if need.limits is not None:
            wanted = parse_limits(need.limits)
            tokens = {name: count - wanted.get(name, 0) for name, count in tokens.items()}
        return Resources(self.cpus - need.cpus, self.memory - need.memory, self.slots - 1, tokens)

    def keeping(self, need: Requirements) -> Resources:
        """Return what others may take while what is free is kept for a task that needs more.

        Tokens are kept always, cpus and memory only once there are tokens enough: until then the
        task could not use them.
        """
        kept = self.without(need)
        tokens = {name: max(0, count) for name, count in kept.tokens.items()}
        if any(count < 0 for count in kept.tokens.values()):
            return replace(self, tokens=tokens)
        return Resources(max(0.0, kept.cpus), max(0, kept.memory), self.slots, tokens)

    def capped(self, cpus: float, memory: int) -> Resources:
        """Return these, but no more than `cpus` and `memory`."""
        return Resources(min(self.cpus, cpus), min(self.memory, memory), self.slots, self.tokens)
