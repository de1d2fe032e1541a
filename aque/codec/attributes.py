"""Own an object's attributes, read and set past its class: no property, no `__setattr__` runs.

What is set is the instance's dictionary and its slots, so frozen dataclasses and classes with
slots are filled in like any other.
"""

from __future__ import annotations

from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any

from aque import lookup
from aque.errors import CodecError

_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made by a class statement, or by an extension as if


def attributes_of(obj: object) -> dict[str, Any]:
    """Return what is set in the instance's dictionary and in the slots of its class."""
    found: dict[str, Any] = dict(_dictionary(obj) or {})
    for base in type(obj).__mro__:
        for name, slot in vars(base).items() if is_made_by_class(base) else ():
            if type(slot) is MemberDescriptorType and name not in found:
                try:
                    found[name] = slot.__get__(obj)
                except AttributeError:  # never set
                    continue
    return found


def set_attributes(obj: object, values: dict[str, Any]) -> None:
    """Set each attribute in its slot or else in the instance's dictionary."""
    dictionary = _dictionary(obj)
    for name, value in values.items():
        descriptor = lookup.in_class(type(obj), name)
        if type(descriptor) in _SETTABLE and name[:2] != "__":
            descriptor.__set__(obj, value)
        elif dictionary is None:
            raise CodecError(f"{type(obj).__name__} has no attribute {name}")
        else:
            dictionary[name] = value


def is_made_by_class(cls: type) -> bool:
    """Tell whether the class is made at run time, rather than built into Python."""
    return bool(cls.__flags__ & _HEAP_TYPE)


def _dictionary(obj: object) -> dict[str, Any] | None:
    descriptor = lookup.in_class(type(obj), "__dict__")
    if type(descriptor) is not GetSetDescriptorType:
        return None
    found: dict[str, Any] = descriptor.__get__(obj)
    return found


_SETTABLE = (MemberDescriptorType, GetSetDescriptorType)
