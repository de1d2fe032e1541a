"""Own the Prototype: a task as it is submitted, with what it says of others.

Runners under Python 3.9 import this module, hence no slots.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Union

from aque import states
from aque.record import keys, make, record
from aque.requirements import Requirements

#: What one edge of the graph asks of the dependency before the task may run.
AFTER = "after"  # it must succeed

AFTER_ANY = "after-any"  # it must end

CHILD = "child"  # it must end, and its failure becomes its parent's


@record(frozen=True)
class Earlier:
    """A dependency on the prototype at `index` of the same submission."""

    index: int


Reference = Union[int, Earlier]


@record(frozen=True)
class Prototype:
    """A task as it is submitted. None means: as the parent has it, else the default.

    Values are encoded already. Instants are Unix seconds, durations seconds, sizes bytes.
    """

    pattern: str | None = None
    func: str | None = None
    args: str | None = None
    kwargs: str | None = None
    extra: str | None = None
    name: str | None = None
    status: str = states.PENDING
    priority: int | None = None
    duration: float = 0.0
    due_at: float | None = None
    parent: Reference | None = None
    after: tuple[Reference, ...] = ()
    after_any: tuple[Reference, ...] = ()
    requirements: Requirements | None = None
    #: Without requirements of its own, a child has its parent's with these fields changed.
    needs: Mapping[str, Any] | None = None
    cwd: str | None = None
    environ: Mapping[str, str] | None = None
    umask: int | None = None
    import_path: str | None = None
    interpreter: str | None = None
    stdin: str | None = None
    stdin_value: bytes | None = None
    stdout: str | None = None
    stderr: str | None = None
    timeout: float | None = None
    retries: int = 0
    retry_delay: float = 0.0
    keep_background: bool = False
    owner: int | None = None


_PROTOTYPE = {key: getattr(Prototype, key) for key in keys(Prototype)}


def prototype(**given: Any) -> Prototype:
    """Make a Prototype, faster than by its class; a key that is none is not noticed."""
    return make(Prototype, _PROTOTYPE, given)
