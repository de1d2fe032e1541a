"""Own the types that users have registered a text form for.

This is the one exception to the rule against mutable module state: a type's form must be known
wherever its values turn up, in every process, and nobody passes a registry down to a decoder.
It only grows, and only by `register`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from aque import names, scripts
from aque.codec import plain
from aque.errors import CodecError, describe

if TYPE_CHECKING:
    from aque.codec.walk import Path, Reader, Writer

    V = TypeVar("V")

    class Form(NamedTuple):
        type: type
        name: str
        encode: Callable[[Any], object]
        decode: Callable[[Any], object]


_BY_TYPE: dict[type, Form] = {}
_BY_NAME: dict[str, Form] = {}


def register(
    type: type[V], name: str, encode: Callable[[V], object], decode: Callable[[Any], V]
) -> None:
    """Write values of exactly `type` as `encode(value)`, and read them back with `decode`.

    `encode` returns any value the codec knows; `name` stands in the text and must never change.
    Call it where the type or `decode` is defined: that module is imported when a value turns
    up in a process that has not seen it. Registering again replaces, as a reloaded module does.
    """
    if type in plain.SCALARS or type in plain.CONTAINERS:
        raise CodecError(f"{type.__name__} has a text form already, which cannot be replaced")
    known = _BY_NAME.get(name)
    if known is not None and _place(known[0]) != _place(type):
        raise CodecError(f"{name!r} is registered for {_place(known[0])} already")
    _BY_TYPE[type] = _BY_NAME[name] = (type, name, encode, decode)  # type: ignore[assignment]


def is_registered(kind: type) -> bool:
    """Tell whether values of exactly this type have a form of the user's."""
    return kind in _BY_TYPE


def write(value: object, path: Path, writer: Writer) -> Any:
    """Write a value of a registered type, with the module to import where it is not known."""
    _, name, encode, decode = _BY_TYPE[type(value)]
    try:
        payload = encode(value)
    except Exception as error:
        from aque.codec.walk import refuse

        raise refuse(path, f"cannot be encoded: {describe(error)}") from error
    return {"$type": [name, _home(decode, type(value)), writer.write(payload, path)]}


def read(payload: Any, reader: Reader) -> Any:
    """Read a value of a registered type."""
    from aque.codec.walk import parts

    name, home, tree = parts(payload, 3, "$type")
    if name not in _BY_NAME and home is not None:
        scripts.load(home)
    if name not in _BY_NAME:
        raise CodecError(f"no type is registered as {name!r}; import the module that does it")
    return _BY_NAME[name][3](reader.read(tree))


def _place(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _home(decode: object, kind: type) -> Any:
    for obj in (decode, kind):
        try:
            return names.name_of(obj).rpartition(":")[0]
        except CodecError:
            continue
    return None
