"""Own the form of a future among arguments: its task's id, and at call time that task's result.

Writing one notes it, so that whoever submits can make a dependency of it. Reading asks `results`,
which only a task that is about to be called has; anywhere else such an argument has no value yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aque.codec.walk import checked, refuse
from aque.errors import CodecError

if TYPE_CHECKING:
    from aque.codec.walk import Path, Reader, Writer

#: Known by their names, since this layer lies below theirs.
_FUTURES = frozenset(("aque.futures:Future", "aque.pending:Pending"))


def is_future(kind: type) -> bool:
    return f"{kind.__module__}:{kind.__name__}" in _FUTURES


def write(value: Any, path: Path, writer: Writer) -> Any:
    if writer.futures is None:
        raise refuse(path, "a future can stand among the arguments of a task only; give its result")
    writer.futures.append(value)
    return {"$result": value.id}


def read(payload: Any, reader: Reader) -> Any:
    id = checked(payload, int, "$result")
    if reader.results is None:
        raise CodecError(f"the result of task {id} is put in its place when the task is called")
    return reader.results(id)
