"""Own the order in which the forms past the built-in types are tried, and the table of all tags."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from aque import names
from aque.codec import exceptions, library, objects, reduction, references, registry
from aque.codec.walk import refuse
from aque.errors import CodecError

if TYPE_CHECKING:
    from aque.codec.walk import Path, Reader, Writer


def write(value: Any, path: Path, writer: Writer) -> Any:
    """Write a value of any type that is not built in."""
    kind = type(value)
    if references.is_future(kind):
        return references.write(value, path, writer)
    if registry.is_registered(kind):
        return registry.write(value, path, writer)
    form = library.writer_of(kind)
    if form is not None:
        return form(value, path, writer)
    if _is_named(value, kind):
        return _write_name(value, path)
    if issubclass(kind, BaseException):
        return exceptions.write(value, path, writer)
    if objects.is_member(value):
        return objects.write_member(value, path)
    if objects.is_plain_dataclass(kind):
        return objects.write_dataclass(value, path, writer)
    return reduction.write(value, path, writer)


def _is_named(value: object, kind: type) -> bool:
    """Tell whether it is a class or a function; a method bound to an instance is a value."""
    if issubclass(kind, type):
        return True
    if kind not in names.FUNCTION_KINDS:
        return False
    holder = getattr(value, "__self__", None)
    return holder is None or isinstance(holder, (type, ModuleType))


def _write_name(value: object, path: Path) -> Any:
    try:
        return {"$name": names.name_of(value)}
    except CodecError as error:
        raise refuse(path, str(error)) from None


def _read_name(payload: Any, reader: Reader) -> Any:
    if type(payload) is not str:
        raise CodecError("$name does not hold a name")
    found = names.resolve(payload, reader.trusted)
    if not callable(found):
        raise CodecError(f"{payload} is neither a function nor a class")
    return found


READERS = {
    "$name": _read_name,
    "$result": references.read,
    "$type": registry.read,
    "$reduce": reduction.read,
    "$exception": exceptions.read,
    **library.READERS,
    **objects.READERS,
}
