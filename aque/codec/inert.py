"""Own the question whether a decoded value can be used by built-in code without running its own.

A tagged form makes objects without calling anything of theirs, but to put one into a set runs its
`__hash__`, to give it to OSError may run its `__index__`, and to drop it runs its `__del__`.
"""

from __future__ import annotations

import sys
from types import BuiltinFunctionType, FunctionType
from typing import Any

from aque import lookup

_INERT = frozenset((type(None), bool, int, float, complex, str, bytes, bytearray))
_NESTED = frozenset((tuple, list, frozenset))
_NAMED = frozenset((type, FunctionType, BuiltinFunctionType))
_LIBRARY = frozenset(("builtins", "enum", "datetime", "zoneinfo", "pathlib", "pathlib._local"))


def is_inert_key(value: object) -> bool:
    """Tell whether hashing and comparing `value` runs only Python's own code."""
    kind = type(value)
    if kind in _INERT or kind in _NAMED or kind is frozenset:
        return True
    if kind is tuple:
        return all(is_inert_key(item) for item in value)  # type: ignore[attr-defined]
    if type(kind) is type or _is_enum(kind):
        return all(_definer(kind, name) in _LIBRARY for name in ("__hash__", "__eq__"))
    return False


def is_inert_argument(value: Any) -> bool:
    """Tell whether a built-in exception can look into `value` without running code of its own."""
    kind = type(value)
    if kind in _NESTED:
        return all(is_inert_argument(item) for item in value)
    return kind in _INERT or issubclass(kind, BaseException)


def has_destructor(cls: type) -> bool:
    """Tell whether an object of the class runs code when it is dropped."""
    return lookup.in_class(cls, "__del__") is not None


def has_stock_metaclass(cls: type) -> bool:
    """Tell whether asking the class for an attribute runs only Python's own code."""
    abc = sys.modules.get("abc")
    return type(cls) is type or _is_enum(cls) or (abc is not None and type(cls) is abc.ABCMeta)


def _is_enum(kind: type) -> bool:
    enum = sys.modules.get("enum")
    return enum is not None and type(kind) is enum.EnumMeta


def _definer(kind: type, name: str) -> str:
    """Return the module of the first base that defines the method."""
    for base in kind.__mro__:
        if name in vars(base):
            return base.__module__
    return "builtins"
