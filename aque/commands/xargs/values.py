"""Own how the arguments of options are read, in GNU's words where GNU has them.

Everything here raises ValueError with the text that a person is to see.
"""

from __future__ import annotations

import os
import re

#: How every message about an option ends, but those about a delimiter.
TRY_HELP = "Try 'aque-xargs --help' for more information."

# Compiled when first used: that takes longer than to read an option.
_NUMBER = r"[ \t\n\v\f\r]*[+-]?[0-9]+"
#: What strtoul(3) takes: blanks, a sign, and for hexadecimal a prefix that digits must follow.
_OCTAL = rb"(?:[ \t\n\v\f\r]*([+-]?)([0-7]+))?"
_HEXADECIMAL = rb"(?:[ \t\n\v\f\r]*([+-]?)(?:0[xX](?=[0-9a-fA-F]))?([0-9a-fA-F]+))?"
_HALT = r"(now|soon),fail=([0-9]{1,18})(%?)"
_ESCAPES = {
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
    b"\\": b"\\",
}


def number(text: str, option: str, least: int, most: int | None = None) -> int:
    """Read a whole number from `least` to `most`."""
    value = integer(text, option)
    complaint = _out_of_range(text, value, option, (least, most))
    if complaint:
        raise ValueError(f"{complaint}\n{TRY_HELP}")
    return value


def clamped(text: str, option: str, least: int, most: int) -> tuple[int, str]:
    """Read a whole number, moved into the range, and the warning about that or ''."""
    value = integer(text, option)
    complaint = _out_of_range(text, value, option, (least, most))
    return min(max(value, least), most), complaint


def integer(text: str, option: str) -> int:
    """Read a whole number of any size."""
    if not re.fullmatch(_NUMBER, text, re.ASCII):
        raise ValueError(f'invalid number "{text}" for {option} option\n{TRY_HELP}')
    return int(text)


def halt(text: str) -> tuple[bool, int, float]:
    """Read when to halt: whether now, at how many failures, and at how many percent."""
    match = re.fullmatch(_HALT, text, re.ASCII)
    if match is None or not float(match[2]) or (match[3] and float(match[2]) > 100):
        raise ValueError(
            f'invalid condition "{text}" for --halt option; write soon,fail=1 or now,fail=20%'
        )
    now, number = match[1] == "now", float(match[2])
    return (now, 0, number) if match[3] else (now, int(number), 0.0)


def _out_of_range(text: str, value: int, option: str, bounds: tuple[int, int | None]) -> str:
    least, most = bounds
    if value < least:
        return f"value {text} for {option} option should be >= {least}"
    if most is not None and value > most:
        return f"value {text} for {option} option should be <= {most}"
    return ""


def delimiter(text: str) -> bytes:
    """Read -d: one byte, or an escape sequence that stands for one."""
    raw = os.fsencode(text)
    if len(raw) == 1:
        return raw
    if not raw.startswith(b"\\"):
        raise ValueError(
            f"Invalid input delimiter specification {text}: the delimiter must be either "
            "a single character or an escape sequence starting with \\."
        )
    letter = raw[1:2]
    if letter in _ESCAPES:  # GNU does not look at what follows
        return _ESCAPES[letter]
    if letter == b"x":
        return _code(text, raw[2:], _HEXADECIMAL, 16)
    if letter.isdigit():
        return _code(text, raw[1:], _OCTAL, 8)
    raise ValueError(f"Invalid escape sequence {text} in input delimiter specification.")


def _code(text: str, digits: bytes, grammar: bytes, base: int) -> bytes:
    match = re.match(grammar, digits)
    assert match is not None, "the grammar matches nothing too"
    sign, figures = match.groups()
    value = int(figures or b"0", base)
    complaint = f"Invalid escape sequence {text} in input delimiter specification; "
    if value > 0xFF or (value and sign == b"-"):
        most = f"{0xFF:x}" if base == 16 else f"{0xFF:o}"
        raise ValueError(f"{complaint}character values must not exceed {most}.")
    if match.end() < len(digits):
        rest = os.fsdecode(digits[match.end() :])
        raise ValueError(f"{complaint}trailing characters {rest} not recognised.")
    return bytes([value])
