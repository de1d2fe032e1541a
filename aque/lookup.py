"""Own looking up a name in what is loaded without running anything: no getattr, no import.

getattr may run a module's or a metaclass's own code, so the dictionaries are read themselves.
"""

from __future__ import annotations

from types import MethodType, ModuleType
from typing import Any

from aque.errors import CodecError

_MRO = type.__dict__["__mro__"]
_CLASS_DICT = type.__dict__["__dict__"]
_MODULE_DICT: Any = vars(ModuleType)["__dict__"]


def in_class(cls: type, attribute: str) -> Any:
    """Return what stands under `attribute` in the class or its bases, unbound; None if nothing.

    It runs no code of the class or of its metaclass.
    """
    for base in _MRO.__get__(cls):
        namespace = _CLASS_DICT.__get__(base)
        if attribute in namespace:
            return namespace[attribute]
    return None


def attribute(holder: object, part: str, name: str) -> object:
    found = None
    if issubclass(type(holder), ModuleType):
        found = _MODULE_DICT.__get__(holder).get(part)
    elif issubclass(type(holder), type):
        found = _unbound(in_class(holder, part), holder)  # type: ignore[arg-type]
    if found is None:
        raise CodecError(f"{name} cannot be found in what is loaded here")
    return found


def walk(module: ModuleType, qualname: str) -> object:
    found: object = module
    try:
        for part in qualname.split("."):
            found = attribute(found, part, qualname)
    except CodecError:
        return None
    return found


def _unbound(found: object, cls: object) -> object:
    """Do what the class itself would for a plain, static or class method, and nothing else."""
    if type(found) is staticmethod:
        return found.__func__
    if type(found) is classmethod:
        return MethodType(found.__func__, cls)
    if type(found) is type(dict.__dict__["fromkeys"]):
        return found.__get__(None, cls)  # type: ignore[attr-defined]
    return found
