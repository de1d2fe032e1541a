"""Own what a record is: a frozen dataclass whose class costs little to make.

`dataclass` writes and compiles the source of five methods for each class, 2.5 ms for one of sixty
fields; all our records together were a tenth of the time of `aque-submit true`. A record shares its
methods with all others. It has fields, defaults and annotations as any dataclass, so `fields`,
`replace` and `asdict` of the standard library work on it; it takes no default factories.

Runners under Python 3.9 import this module, hence no slots.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from dataclasses import dataclass as _dataclass

__all__ = ["keys", "record"]

TYPE_CHECKING = False  # typing itself is slow to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass as record
    from typing import Any

else:

    def record(*, frozen: bool) -> Callable[[type], type]:
        """Make a class a record: `@record(frozen=True)`."""
        assert frozen
        return _record


def keys(cls: type) -> tuple[str, ...]:
    """Return the names of a record's fields, in their order."""
    return tuple(cls.__dict__["__dataclass_fields__"])


def _record(cls: type) -> type:
    made: Any = _dataclass(init=False, repr=False, eq=False)(cls)
    names = keys(made)
    defaults = {name: made.__dict__[name] for name in names if name in made.__dict__}
    required = names[: len(names) - len(defaults)]
    assert not defaults.keys() & set(required), "fields with defaults come last"
    blank = {**dict.fromkeys(required), **defaults}

    def __init__(self: Any, *values: Any, **given: Any) -> None:
        fields = self.__dict__
        fields.update(blank)
        if values:
            _refuse_repeated(cls, names, values, given)
            fields.update(zip(names, values))
        fields.update(given)
        if len(fields) > len(names):
            raise TypeError(f"{cls.__name__} has no {', '.join(given.keys() - set(names))}")
        for name in required[len(values) :]:
            if name not in given:
                raise TypeError(f"{cls.__name__} needs {name}")

    made.__init__ = __init__
    made.__repr__, made.__eq__, made.__hash__ = _repr, _eq, _hash
    made.__setattr__ = made.__delattr__ = _refuse
    return cls


def _refuse_repeated(cls: type, names: tuple[str, ...], values: Any, given: Any) -> None:
    if len(values) > len(names) or not given.keys().isdisjoint(names[: len(values)]):
        raise TypeError(f"{cls.__name__} is given too many values")


def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={self.__dict__[name]!r}" for name in keys(type(self)))
    return f"{type(self).__qualname__}({shown})"


def _eq(self: object, other: object) -> Any:
    return self.__dict__ == other.__dict__ if type(self) is type(other) else NotImplemented


def _hash(self: Any) -> int:
    return hash(tuple(map(self.__dict__.__getitem__, keys(type(self)))))


def _refuse(self: object, name: str, *value: object) -> None:
    raise FrozenInstanceError(f"cannot change {name} of a {type(self).__name__}")
