"""What the tests of the codec encode: it must be importable, since names lead here."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
from typing import Any, ClassVar, NamedTuple

CALLS: list[str] = []  # what hostile text got to run


def add(a: int, b: int = 1) -> int:
    return a + b


def decorate(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


@decorate
def decorated(a: int) -> int:
    return a


nameless = lambda: None  # noqa: E731


def make_local() -> Any:
    def local() -> None: ...

    return local


class Plain:
    def __init__(self, x: object) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment]

    def method(self) -> object:
        return self.x

    @classmethod
    def make(cls, x: object) -> Plain:
        return cls(x)

    @staticmethod
    def static(x: int) -> int:
        return x

    class Inner:
        pass


class Child(Plain):
    pass


class Slotted:
    __slots__ = ("x", "y")

    def __init__(self, x: object) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slotted) and other.x == self.x and not hasattr(other, "y")

    __hash__ = None  # type: ignore[assignment]


class Stateful:
    def __init__(self, x: object) -> None:
        self.x = x
        self.open_file = object()

    def __getstate__(self) -> object:
        return ("state", self.x)

    def __setstate__(self, state: Any) -> None:
        self.x = state[1]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stateful) and other.x == self.x

    __hash__ = None  # type: ignore[assignment]


class KeywordOnly(tuple):  # type: ignore[type-arg]
    def __new__(cls, *items: int, unit: str) -> KeywordOnly:
        made = super().__new__(cls, items)
        made.unit = unit
        return made

    def __getnewargs_ex__(self) -> Any:
        return tuple(self), {"unit": self.unit}


class Sentinel:
    def __reduce__(self) -> str:
        return "MISSING"


MISSING = Sentinel()


class Text(str):
    pass


class Number(int):
    pass


class Items(list):  # type: ignore[type-arg]
    pass


class Table(dict):  # type: ignore[type-arg]
    pass


class Point(NamedTuple):
    x: int
    y: Any = None


class Colour(enum.Enum):
    RED = 1
    ALSO_RED = 1
    ODD = ("a", 2)


class Level(enum.IntEnum):
    LOW = 1


class Name(str, enum.Enum):  # noqa: UP042
    A = "a"


class Access(enum.Flag):
    R = 4
    W = 2
    X = 1


class OddFlag(enum.Flag):
    A = 1
    B = 2

    @classmethod
    def _missing_(cls, value: object) -> Any:
        CALLS.append("_missing_")
        return super()._missing_(value)


@dataclasses.dataclass
class Data:
    x: Any
    y: int = 0
    shared: ClassVar[int] = 3

    def __post_init__(self) -> None:
        CALLS.append("__post_init__")
        self.cached = self.y * 2


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: Any
    more: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class FrozenSlotted:
    __slots__ = ("x", "y")
    x: Any
    y: Any


@dataclasses.dataclass
class OfDict(dict):  # type: ignore[type-arg]
    x: int = 0


@dataclasses.dataclass
class OwnState:
    x: int

    def __getstate__(self) -> object:
        return {"x": self.x + 100}

    def __setstate__(self, state: Any) -> None:
        self.x = state["x"] - 100


@dataclasses.dataclass
class Trap:
    """Runs code whenever anybody touches it."""

    x: Any = None

    def __hash__(self) -> int:
        CALLS.append("__hash__")
        return 1

    def __eq__(self, other: object) -> bool:
        CALLS.append("__eq__")
        return True

    def __iter__(self) -> Any:
        CALLS.append("__iter__")
        return iter(())

    def __getitem__(self, index: int) -> Any:
        CALLS.append("__getitem__")
        raise IndexError

    def __index__(self) -> int:
        CALLS.append("__index__")
        return 1

    def __setattr__(self, name: str, value: object) -> None:
        CALLS.append("__setattr__")

    def __bool__(self) -> bool:
        CALLS.append("__bool__")
        return True


@dataclasses.dataclass
class Bomb:
    x: Any = None

    def __del__(self) -> None:
        CALLS.append("__del__")


class TrapError(Exception):
    def __init__(self, *args: object) -> None:
        CALLS.append("__init__")
        super().__init__(*args)

    def __setattr__(self, name: str, value: object) -> None:
        CALLS.append("__setattr__")

    def __str__(self) -> str:
        CALLS.append("__str__")
        return ""


class Meta(type):
    def __getattribute__(cls, name: str) -> Any:
        CALLS.append("metaclass")
        return super().__getattribute__(name)


class WithMeta(metaclass=Meta):
    field = 1


@dataclasses.dataclass
class WithMetaData(metaclass=Meta):
    x: int = 0


class WithMetaError(Exception, metaclass=Meta):
    pass


class Liar:
    """Answers for itself with whatever it was given."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __reduce__(self) -> Any:
        return self.answer


def run(*args: object) -> None:
    CALLS.append("run")


class NeedsArguments(Exception):
    """Breaks pickle: its constructor wants more than it hands to super()."""

    def __init__(self, code: int, *, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class TwoArguments(ValueError):
    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.a, self.b = a, b

    def __str__(self) -> str:
        return f"{self.a} and {self.b}"


class SlottedError(Exception):
    __slots__ = ("code",)

    def __init__(self, code: int) -> None:
        super().__init__("slotted")
        self.code = code


class OwnOSError(OSError):
    def __init__(self, path: str) -> None:
        super().__init__(2, "no such thing", path)
        self.extra = path.upper()


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def raised(exc: BaseException) -> BaseException:
    """Return the exception after it was raised and caught, with its traceback."""
    try:
        raise exc
    except BaseException as caught:
        return caught


class Celsius:
    """A type with a registered form."""

    __slots__ = ("degrees", "lock")

    def __init__(self, degrees: float) -> None:
        self.degrees = degrees
        self.lock = (i for i in ())


Counted = collections.Counter
