"""Own the form of every other object: its own `copyreg` or `__reduce_ex__(4)` answer, with names.

The answer is what pickle would write: a callable, its arguments, then state, list items, pairs of
a dict, and who sets the state; or a string, for an object that is found by its name. It is read
in pickle's order. Protocol 4, since 5 would hand out buffers.
"""

from __future__ import annotations

import copyreg
from typing import TYPE_CHECKING, Any

from aque import names
from aque.codec import plain
from aque.codec.walk import checked, refuse
from aque.errors import CodecError, describe

if TYPE_CHECKING:
    from aque.codec.walk import Path, Reader, Writer

_PARTS = frozenset(("call", "args", "state", "items", "pairs", "setter"))


def write(value: object, path: Path, writer: Writer) -> Any:
    """Write what the object says it is made from."""
    answer = _answer(value, path)
    if isinstance(answer, str):
        return {"$reduce": _name_at(value, answer, path)}
    if type(answer) is not tuple or not 2 <= len(answer) <= 6 or type(answer[1]) is not tuple:
        raise refuse(path, f"a {type(value).__name__} does not say how it can be made again")
    call, args, state, items, pairs, setter = answer + (None,) * (6 - len(answer))
    form = {"call": writer.write(call, path), "args": _write_args(value, args, path, writer)}
    if state is not None:
        form["state"] = _write_state(state, path, writer)
    if items is not None:
        form["items"] = writer.write(list(items), path)
    if pairs is not None:
        form["pairs"] = [
            [writer.write(part, (path, "[%s]", key)) for part in (key, item)] for key, item in pairs
        ]
    if setter is not None:
        form["setter"] = writer.write(setter, path)
    return {"$reduce": form}


def _answer(value: Any, path: Path) -> Any:
    reducer = copyreg.dispatch_table.get(type(value))
    try:
        return value.__reduce_ex__(4) if reducer is None else reducer(value)
    except Exception as error:
        raise refuse(
            path,
            f"a {type(value).__name__} has no text form ({describe(error)}); pass what it "
            "can be made from, or register its type with codec.register",
        ) from error


def _name_at(value: object, name: str, path: Path) -> str:
    try:
        return names.name_of(value, name)
    except CodecError as error:
        raise refuse(path, str(error)) from None


def _write_args(value: object, args: Any, path: Path, writer: Writer) -> list[Any]:
    """Write the arguments; the items of a tuple's subclass are shown by their own places."""
    shift = 1 if isinstance(value, tuple) else 0
    steps = (index - shift for index in range(len(args)))
    return [
        writer.write(arg, path if isinstance(arg, type) else (path, "[%s]" if shift else "(%s)", i))
        for i, arg in zip(steps, args)
    ]


def _write_state(state: Any, path: Path, writer: Writer) -> Any:
    if type(state) is dict:
        return plain.write_dict(state, path, writer, ".%s")
    if type(state) is tuple and len(state) == 2 and type(state[1]) is dict:
        return {"$tuple": [_write_state(part, path, writer) for part in state]}
    return writer.write(state, path)


def read(payload: Any, reader: Reader) -> Any:
    """Make the object, by calling what the form names: only for text that is trusted."""
    assert reader.trusted
    if type(payload) is str:
        return names.resolve(payload)
    form = checked(payload, dict, "$reduce")
    if not {"call", "args"} <= form.keys() <= _PARTS:
        raise CodecError("$reduce does not hold its parts")
    call = reader.read(form["call"])
    if not callable(call):
        raise CodecError("$reduce does not hold a function or class to call")
    made = call(*reader.read_items(form["args"], "$reduce"))
    _fill(made, form, reader)
    return made


def _fill(made: Any, form: dict[str, Any], reader: Reader) -> None:
    if "items" in form:
        items = reader.read_items(form["items"], "$reduce")
        if hasattr(made, "extend"):
            made.extend(items)
        else:
            for item in items:
                made.append(item)
    for pair in form.get("pairs", ()):
        key, item = reader.read_items(pair, "$reduce")
        made[key] = item
    if "state" in form:
        state = reader.read(form["state"])
        if "setter" in form:
            reader.read(form["setter"])(made, state)
        else:
            _set_state(made, state)


def _set_state(made: Any, state: Any) -> None:
    """Hand over the state as pickle does: a dict for `__dict__`, and one for slots if a pair."""
    setter = getattr(made, "__setstate__", None)
    if setter is not None:
        setter(state)
        return
    slots = None
    if isinstance(state, tuple) and len(state) == 2:
        state, slots = state
    if state:
        made.__dict__.update(state)
    for name, value in (slots or {}).items():
        setattr(made, name, value)
