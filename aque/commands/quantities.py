"""Own how durations, sizes, cpus and limits are written: `1d2h3m4.5s`, `4G`, `-4`, `nuke:2`."""

from __future__ import annotations

import math
import re

from aque.errors import UsageError

_DURATION = r"(?=.)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d*)?|\.\d+)s?)?"
_SIZE = r"(\d+(?:\.\d*)?)([KMGT]?)B?"
#: A name, and tokens that are more than none.
_LIMIT = r"([^:]+)(?::(0*[1-9][0-9]{0,17}))?"


def parse_duration(value: float | str) -> float:
    """Return a duration in seconds. Raises UsageError for what is none."""
    match = re.fullmatch(_DURATION, str(value))
    if match is None:
        raise UsageError(f"{value!r} is no duration; write 90, 1.5s, 10m or 1d2h3m4.5s")
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def parse_size(value: int | str) -> int:
    """Return a size in bytes. Raises UsageError for what is none."""
    match = re.fullmatch(_SIZE, str(value), re.IGNORECASE)
    if match is None:
        raise UsageError(f"{value!r} is no size; write 4096, 512M or 4G")
    size = float(match.group(1)) * 1024 ** " KMGT".index(match.group(2).upper() or " ")
    if math.isinf(size):
        raise UsageError(f"a size of {len(match.group(1))} digits is too large; write 512M or 4G")
    return int(size)


def parse_cpus(value: float | str) -> float:
    """Return a number of cpus; -N is one Nth of the machine. Raises UsageError for what is none."""
    try:
        number = float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(
            f"{value!r} is no number of cpus; write 2, 0.5, or -4 for a quarter of all"
        )
    if number >= 0:
        return number
    from aque import surroundings

    return surroundings.count_cpus() / -number


def parse_limit(text: str) -> tuple[str, int]:
    """Return a limit's name, and how many of its tokens. Raises UsageError for what is none."""
    match = re.fullmatch(_LIMIT, text)
    if match is None:
        raise UsageError(f"{text!r} is no limit; write nuke or nuke:2")
    return match[1], int(match[2] or 1)
