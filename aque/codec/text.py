"""Own the JSON itself: what is allowed in it beyond what the json module checks."""

from __future__ import annotations

import json
from typing import Any

from aque.errors import CodecError

MAX_DIGITS = 640  # sys.int_info.str_digits_check_threshold: readable whatever the limit set
RUNNING_TAGS = ("$reduce", "$type")


def parse(text: str, trusted: bool) -> tuple[Any, bool]:
    """Return the tree of JSON values in `text`, and whether there can be tags in it."""
    if not isinstance(text, str):
        raise CodecError(f"a {type(text).__name__} is not an encoded value, only a str is")
    if not trusted:
        return _CHECKED.decode(text), True
    return _tree(text), '"$' in text or "\\u0024" in text


def _constant(text: str) -> object:
    raise CodecError(f"{text} is not JSON")


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise CodecError(f"a number of {len(text)} digits is too long")
    return int(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise CodecError("an object has the same key twice")
    for tag in RUNNING_TAGS:
        if tag in made:
            raise CodecError(
                f"a {tag} form runs code when it is decoded, "
                "so it is decoded only from tasks of your own user"
            )
    return made


def _tree(text: str) -> Any:
    """Decode in half the time where the value is all there is, with no blanks around it."""
    try:
        tree, end = _scan(text, 0)
    except StopIteration:
        end = -1
    return tree if end == len(text) else _PLAIN.decode(text)


_PLAIN = json.JSONDecoder(parse_constant=_constant)
_scan = json.scanner.make_scanner(_PLAIN)  # type: ignore[attr-defined]
_CHECKED = json.JSONDecoder(parse_constant=_constant, parse_int=_integer, object_pairs_hook=_object)
quote = json.encoder.encode_basestring_ascii
print_tree = json.JSONEncoder(check_circular=False, allow_nan=False, separators=(",", ":")).encode
