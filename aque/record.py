"""Own what a record is: a frozen dataclass whose class costs little to make.

`dataclass` writes and compiles the source of five methods for each class, 2.5 ms for one of sixty
fields, and to import it takes 5 ms more: with all our records that was a fifth of the time of a
short command. A record shares its methods with all others, and the standard library's `fields` and
`asdict` work on it all the same: what they ask for is made when they ask. It takes no default
factories.

Runners under Python 3.9 import this module, hence no slots.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["keys", "make", "record", "replace", "values"]

T = TypeVar("T")

if TYPE_CHECKING:
    from dataclasses import dataclass as record
    from dataclasses import replace

else:

    def record(*, frozen: bool) -> Callable[[type], type]:
        """Make a class a record: `@record(frozen=True)`."""
        assert frozen
        return _record

    def replace(one: Any, **changes: Any) -> Any:
        """Return a record like this one but for the changes."""
        return type(one)(**{**one.__dict__, **changes})


def make(cls: type[T], fields: Any, changes: Any) -> T:
    """Make a record of all its fields, by key in their order, and changes of them.

    Nothing is checked: it takes a fifth of the time of a call with 30 fields.
    """
    made = object.__new__(cls)
    made.__dict__.update(fields)
    made.__dict__.update(changes)
    return made


def keys(cls: type) -> tuple[str, ...]:
    """Return the names of a record's fields, in their order."""
    names: tuple[str, ...] = cls.__match_args__  # type: ignore[attr-defined]
    return names


def values(one: object) -> tuple[Any, ...]:
    """Return what a record holds, in the order of its fields."""
    return tuple(one.__dict__.values())


def _record(cls: Any) -> type:
    names = tuple(cls.__annotations__)
    cls.__match_args__ = names  # type: ignore[misc]
    defaults = {name: cls.__dict__[name] for name in names if name in cls.__dict__}
    required = names[: len(names) - len(defaults)]
    assert not defaults.keys() & set(required), "fields with defaults come last"
    blank = {**dict.fromkeys(required), **defaults}

    def __init__(self: Any, *values: Any, **given: Any) -> None:
        fields = self.__dict__
        if not given and len(required) <= len(values) <= len(names):  # in half the time
            if len(values) < len(names):
                fields.update(blank)
            fields.update(zip(names, values))
            return
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

    cls.__init__ = __init__
    cls.__repr__, cls.__eq__, cls.__hash__ = _repr, _eq, _hash
    cls.__setattr__ = cls.__delattr__ = _refuse
    cls.__dataclass_fields__ = Fields()
    return cls  # type: ignore[no-any-return]


class Fields:
    """The fields of a record as dataclasses has them, made when they are first asked for."""

    def __get__(self, one: object, cls: type) -> dict[str, Any]:
        return self.of(cls)

    def of(self, cls: type) -> dict[str, Any]:
        from dataclasses import field, make_dataclass
        from functools import partial

        known = vars(cls)
        made: Any = make_dataclass(cls.__name__, [
            # By a factory, since dataclass refuses what has no hash.
            (name, kind, field(default_factory=partial(known.get, name))) if name in known
            else (name, kind)
            for name, kind in cls.__annotations__.items()
        ])  # fmt: skip
        fields: dict[str, Any] = made.__dataclass_fields__
        cls.__dataclass_fields__ = fields  # type: ignore[attr-defined]
        return fields


def _refuse_repeated(cls: type, names: tuple[str, ...], values: Any, given: Any) -> None:
    if len(values) > len(names) or not given.keys().isdisjoint(names[: len(values)]):
        raise TypeError(f"{cls.__name__} is given too many values")


def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={self.__dict__[name]!r}" for name in keys(type(self)))
    return f"{type(self).__qualname__}({shown})"


def _eq(self: object, other: object) -> Any:
    return self.__dict__ == other.__dict__ if type(self) is type(other) else NotImplemented


def _hash(self: Any) -> int:
    return hash(values(self))


def _refuse(self: object, name: str, *value: object) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot change {name} of a {type(self).__name__}")
