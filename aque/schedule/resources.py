"""Own cpus, memory and slots: what is free, and what a kind of task takes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aque.task import Requirements

#: Sums of fractions of a cpu are compared with this tolerance: ten tenths are one.
_EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class Resources:
    """An amount of what tasks hold: `cpus` a number, `memory` bytes, `slots` a number of tasks."""

    cpus: float
    memory: int
    slots: int

    def fits(self, need: Requirements) -> bool:
        """Whether there is room; for what needs nothing even where more than all is held."""
        has_cpus = not need.cpus or need.cpus <= self.cpus + _EPSILON
        return self.slots >= 1 and has_cpus and (not need.memory or need.memory <= self.memory)

    def without(self, need: Requirements) -> Resources:
        return Resources(self.cpus - need.cpus, self.memory - need.memory, self.slots - 1)

    def capped(self, cpus: float, memory: int) -> Resources:
        """Return these, but no more than `cpus` and `memory`."""
        return replace(self, cpus=min(self.cpus, cpus), memory=min(self.memory, memory))
