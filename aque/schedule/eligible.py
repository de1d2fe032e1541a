"""Own whether a worker may ever run a kind of task, whatever is free now, and if not, why.

One function serves the claim and the explanation, so that they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING

from aque import trust
from aque.mounts import Mount
from aque.record import record
from aque.requirements import REQUIREMENT_KEYS, Requirements
from aque.schedule import hosts
from aque.schedule.mounts import parse
from aque.schedule.resources import Resources

if TYPE_CHECKING:
    from aque.report import WorkerRecord
    from aque.task import Task


_needs = attrgetter(*REQUIREMENT_KEYS)


@record(frozen=True)
class Claimant:
    """A worker: who it is, what its host is known by, and what it may use.

    `free` is what its own tasks leave of its share, `host` what its host has in all, `share` what
    it may use of that. An `is_exclusive` worker takes only what is reserved for it.
    """

    worker: int
    user: str
    is_exclusive: bool
    free: Resources
    host: Resources
    names: frozenset[str] = frozenset()
    platform: str = ""
    share: Resources | None = None
    #: How many tasks may be claimed to wait behind running ones, and of which kinds.
    behind: int = 0
    behind_kinds: frozenset[Requirements] = frozenset()
    #: How many more for each that the claim itself begins, by what both need.
    behind_new: Mapping[Requirements, int] = MappingProxyType({})
    #: What its host has mounted; None where nobody knows.
    mounts: frozenset[Mount] | None = None

    @property
    def whole(self) -> Resources:
        """What it could use if nothing ran."""
        if self.share is None:
            return self.host
        return self.host.capped(self.share.cpus, self.share.memory)


def may_run(need: Requirements, claimant: Claimant) -> bool:
    """Whether this worker may ever run such tasks, were it idle and large enough."""
    return next(obstacles(need, claimant), None) is None


def obstacles(need: Requirements, claimant: Claimant) -> Iterator[str]:
    """Yield what keeps a worker from such tasks, in words, the gravest first."""
    if need.reserved is not None or claimant.is_exclusive:
        if need.reserved != claimant.worker:
            yield "it is reserved for another worker" if need.reserved else "it runs only its own"
        return
    if not trust.may_run_as(claimant.user, need.user):
        yield f"it runs tasks of {claimant.user}, not of {need.user}"
    if need.host is not None and not hosts.matches(need.host, claimant.names):
        yield f"its host does not match {need.host}"
    if need.platform is not None and not hosts.matches(need.platform, [claimant.platform]):
        yield f"its platform is {claimant.platform}, not {need.platform}"
    if claimant.mounts is not None:
        for mount in parse(need.mounts).said:
            if mount not in claimant.mounts:
                yield f"{mount.source} ({mount.type}) is not mounted on {mount.point} there"


def unknown(need: Requirements, claimant: Claimant) -> Sequence[Mount]:
    """Return the mounts that a worker's host must have, where nobody knows whether it does."""
    return parse(need.mounts).said if claimant.mounts is None and need.reserved is None else ()


# Of what the queue knows


def need_of(task: Task) -> Requirements:
    """Return what a task asks of where it runs."""
    return Requirements(*_needs(task))


def claimant_of(
    worker: WorkerRecord, free: Resources, mounts: frozenset[Mount] | None = None
) -> Claimant:
    """Return a worker as the claim would see it."""
    whole = Resources(worker.cpus, worker.memory, worker.slots)
    return Claimant(
        worker.id, worker.user, worker.kind != "worker", free, whole,
        frozenset(worker.names.split()), worker.platform, mounts=mounts,
    )  # fmt: skip
