"""Own the forms of enums and dataclasses: a class by its name, and what is in the object."""

from __future__ import annotations

import copyreg
import sys
from typing import TYPE_CHECKING, Any

from aque import lookup, names
from aque.codec import inert
from aque.codec.attributes import attributes_of, is_made_by_class, set_attributes
from aque.codec.walk import checked, parts, refuse
from aque.errors import CodecError
from aque.record import Fields

if TYPE_CHECKING:
    from aque.codec.walk import Path, Reader, Writer

MAX_FLAG_BITS = 1024  # enum takes quadratic time over the bits of a flag
_OWN_ANSWERS = ("__reduce_ex__", "__reduce__", "__getstate__", "__setstate__")


def name_at(kind: type, path: Path) -> str:
    """Return the name of a class, or refuse the value at `path`."""
    try:
        return names.name_of(kind)
    except CodecError as error:
        raise refuse(path, str(error)) from None


def is_member(value: object) -> bool:
    """Tell whether `value` is a member of an enum, or a combination of a flag's."""
    enum = sys.modules.get("enum")
    if enum is None or not isinstance(value, enum.Enum):
        return False
    return _is_named_member(value) or (
        isinstance(value, enum.Flag) and value._value_.bit_length() <= MAX_FLAG_BITS
    )


def write_member(value: Any, path: Path) -> Any:
    """Write a member by its name, and a combination of flags by its value."""
    name = name_at(type(value), path)
    if _is_named_member(value):
        return {"$enum": [name, value._name_]}
    return {"$flag": [name, value._value_]}


def _is_named_member(value: Any) -> bool:
    return type(value)._member_map_.get(value._name_) is value


def is_plain_dataclass(kind: type) -> bool:
    """Tell whether objects of this class are no more than their attributes."""
    return (
        lookup.in_class(kind, "__dataclass_fields__") is not None
        and kind not in copyreg.dispatch_table
        and all(is_made_by_class(base) for base in kind.__mro__[:-1])
        and not any(_has_own(kind, answer) for answer in _OWN_ANSWERS)
    )


def _has_own(kind: type, method: str) -> bool:
    """Tell whether the class has its own method, other than what dataclasses gives slots."""
    found = lookup.in_class(kind, method)
    return (
        found is not lookup.in_class(object, method)
        and getattr(found, "__module__", None) != "dataclasses"
    )


def write_dataclass(value: object, path: Path, writer: Writer) -> Any:
    """Write all attributes, those that `__post_init__` or a cache added among them."""
    name = name_at(type(value), path)
    written = {
        field: writer.write(item, (path, ".%s", field))
        for field, item in attributes_of(value).items()
    }
    return {"$dataclass": [name, written]}


def _read_enum(payload: Any, reader: Reader) -> Any:
    name, member = parts(payload, 2, "$enum")
    members = lookup.in_class(_read_enum_class(name, reader), "_member_map_")
    if type(member) is not str or member not in members:
        raise CodecError(f"{name} has no member {member!r}")
    return members[member]


def _read_flag(payload: Any, reader: Reader) -> Any:
    name, value = parts(payload, 2, "$flag")
    cls = _read_enum_class(name, reader)
    number = checked(value, int, "$flag")
    if not issubclass(cls, sys.modules["enum"].Flag) or number.bit_length() > MAX_FLAG_BITS:
        raise CodecError(f"{name} has no flags {value!r}")
    if not reader.trusted and not _is_stock_flag(cls):
        raise CodecError(
            f"{name} has its own way to make flags, and is made only from your own user's tasks"
        )
    return cls(number)


def _read_enum_class(name: Any, reader: Reader) -> Any:
    cls = read_class(name, reader, "$enum")
    enum = sys.modules.get("enum")
    if enum is None or not issubclass(cls, enum.Enum):
        raise CodecError(f"{name} is not an enum")
    return cls


def _is_stock_flag(cls: type) -> bool:
    enum = sys.modules["enum"]
    return type(cls) is enum.EnumMeta and all(
        lookup.in_class(cls, method) in (None, lookup.in_class(enum.Flag, method))
        for method in ("_missing_", "_create_pseudo_member_", "__setattr__")
    )


def _read_dataclass(payload: Any, reader: Reader) -> Any:
    name, tree = parts(payload, 2, "$dataclass")
    cls = read_class(name, reader, "$dataclass")
    fields = lookup.in_class(cls, "__dataclass_fields__")
    if type(fields) is Fields:
        fields = fields.of(cls)
    if type(fields) is not dict or not all(map(is_made_by_class, cls.__mro__[:-1])):
        raise CodecError(f"{name} is not a dataclass")
    values = {key: reader.read(item) for key, item in checked(tree, dict, "$dataclass").items()}
    if not reader.trusted and (inert.has_destructor(cls) or not values.keys() <= fields.keys()):
        raise CodecError(
            f"{name} has a destructor or attributes besides its fields, "
            "and is made only from your own user's tasks"
        )
    made: object = object.__new__(cls)
    set_attributes(made, values)
    return made


def read_class(name: Any, reader: Reader, tag: str) -> type:
    """Return the class that is called `name`."""
    found = names.resolve(checked(name, str, tag), reader.trusted)
    if not issubclass(type(found), type):
        raise CodecError(f"{name} is not a class")
    if not reader.trusted and not inert.has_stock_metaclass(found):
        raise CodecError(f"{name} has a metaclass, and is used only by your own user's tasks")
    return found  # type: ignore[no-any-return]


READERS = {"$enum": _read_enum, "$flag": _read_flag, "$dataclass": _read_dataclass}
