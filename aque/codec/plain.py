"""Own the forms of the built-in types: numbers, text, bytes, and what holds other values.

A str may hold half a surrogate pair, which JSON keeps; two halves side by side would come back
as one character, so such a text is written in pieces: `$str`. An int past 2,000 bits is written
in hexadecimal, since Python refuses long decimals (sys.set_int_max_str_digits, 640 at least).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aque.errors import CodecError

if TYPE_CHECKING:
    from aque.codec.walk import Path, Reader, Writer

MAX_BITS = 2000
_PAIR = re.compile("(?<=[\ud800-\udbff])(?=[\udc00-\udfff])")
_HEXADECIMAL = re.compile("-?0x[0-9a-f]+")
_FLOATS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


def _write_none_or_bool(value: Any) -> Any:
    return value


def _write_int(value: int) -> Any:
    return value if value.bit_length() <= MAX_BITS else {"$int": hex(value)}


def _write_float(value: float) -> Any:
    return value if value - value == 0 else {"$float": repr(value)}


def _write_complex(value: complex) -> Any:
    return {"$complex": [_write_float(value.real), _write_float(value.imag)]}


def _write_str(value: str) -> Any:
    if value.isascii() or not _PAIR.search(value):
        return value
    return {"$str": _PAIR.split(value)}


def _write_bytes(value: bytes) -> Any:
    return {"$bytes": _base64(value)}


def _write_bytearray(value: bytearray) -> Any:
    return {"$bytearray": _base64(value)}


def _base64(value: Any) -> str:
    import binascii  # few commands hold bytes

    return binascii.b2a_base64(value, newline=False).decode("ascii")


def _write_list(value: list[Any], path: Path, writer: Writer) -> Any:
    return [writer.write(item, (path, "[%s]", index)) for index, item in enumerate(value)]


def _write_tuple(value: tuple[Any, ...], path: Path, writer: Writer) -> Any:
    return {"$tuple": _write_list(list(value), path, writer)}


def _write_set(value: set[Any], path: Path, writer: Writer) -> Any:
    return {"$set": [writer.write(item, (path, "[%s]", item)) for item in value]}


def _write_frozenset(value: frozenset[Any], path: Path, writer: Writer) -> Any:
    return {"$frozenset": [writer.write(item, (path, "[%s]", item)) for item in value]}


def write_dict(value: dict[Any, Any], path: Path, writer: Writer, form: str = "[%s]") -> Any:
    """Write a dict; `form` is how a path shows its keys: `[%s]`, or `.%s` for attributes."""
    written = {}
    for key, item in value.items():
        if type(key) is not str or key[:1] == "$" or type(_write_str(key)) is not str:
            return {"$dict": _write_pairs(value, path, writer)}
        written[key] = writer.write(item, (path, form, key))
    return written


def _write_pairs(value: dict[Any, Any], path: Path, writer: Writer) -> Any:
    steps: list[Any] = [(path, "[%s]", key) for key in value]
    return [
        [writer.write(key, step), writer.write(item, step)]
        for step, (key, item) in zip(steps, value.items())
    ]


def _read_int(payload: Any, reader: Reader) -> int:
    if type(payload) is not str or not _HEXADECIMAL.fullmatch(payload):
        raise CodecError("$int does not hold a hexadecimal number")
    return int(payload, 16)


def _read_float(payload: Any, reader: Reader) -> float:
    if type(payload) is not str or payload not in _FLOATS:
        raise CodecError("$float holds neither nan, inf nor -inf")
    return _FLOATS[payload]


def _read_complex(payload: Any, reader: Reader) -> complex:
    numbers = reader.read_items(payload, "$complex")
    if [type(number) for number in numbers] != [float, float]:
        raise CodecError("$complex does not hold two floats")
    return complex(*numbers)


def _read_str(payload: Any, reader: Reader) -> str:
    if type(payload) is not list or not all(type(piece) is str for piece in payload):
        raise CodecError("$str does not hold pieces of text")
    return "".join(payload)


def _read_bytes(payload: Any, reader: Reader) -> bytes:
    if type(payload) is not str:
        raise CodecError("$bytes does not hold base64")
    import binascii  # few commands hold bytes

    read = binascii.a2b_base64(payload.encode("ascii"))
    if _base64(read) != payload:
        raise CodecError("$bytes does not hold base64")
    return read


def _read_bytearray(payload: Any, reader: Reader) -> bytearray:
    return bytearray(_read_bytes(payload, reader))


def _read_tuple(payload: Any, reader: Reader) -> tuple[Any, ...]:
    return tuple(reader.read_items(payload, "$tuple"))


def _read_set(payload: Any, reader: Reader) -> set[Any]:
    items = reader.read_items(payload, "$set")
    _check_keys(items, reader)
    return set(items)


def _read_frozenset(payload: Any, reader: Reader) -> frozenset[Any]:
    return frozenset(_read_set(payload, reader))


def _read_dict(payload: Any, reader: Reader) -> dict[Any, Any]:
    if type(payload) is not list:
        raise CodecError("$dict does not hold a list")
    pairs = [reader.read_items(pair, "$dict") for pair in payload]
    if any(len(pair) != 2 for pair in pairs):
        raise CodecError("$dict does not hold pairs")
    _check_keys([key for key, _ in pairs], reader)
    return dict(pairs)


def _check_keys(keys: list[Any], reader: Reader) -> None:
    """Refuse to hash, for somebody else's text, what has a hash of the user's own making."""
    if reader.trusted:
        return
    from aque.codec import inert

    for key in keys:
        if not inert.is_inert_key(key):
            raise CodecError(
                f"a {type(key).__name__} runs code of its own when it is a key or in a set, "
                "so it is decoded only from tasks of your own user"
            )


SCALARS: dict[type, Callable[[Any], Any]] = {
    type(None): _write_none_or_bool,
    bool: _write_none_or_bool,
    int: _write_int,
    float: _write_float,
    complex: _write_complex,
    str: _write_str,
    bytes: _write_bytes,
    bytearray: _write_bytearray,
}
CONTAINERS: dict[type, Callable[[Any, Path, Writer], Any]] = {
    list: _write_list,
    dict: write_dict,
    tuple: _write_tuple,
    set: _write_set,
    frozenset: _write_frozenset,
}
READERS = {
    "$int": _read_int,
    "$float": _read_float,
    "$complex": _read_complex,
    "$str": _read_str,
    "$bytes": _read_bytes,
    "$bytearray": _read_bytearray,
    "$tuple": _read_tuple,
    "$set": _read_set,
    "$frozenset": _read_frozenset,
    "$dict": _read_dict,
}
