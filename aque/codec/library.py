"""Own the forms of the standard library's everyday types: dates and times, zones, paths.

A module is looked up in sys.modules to write (a value of it cannot be there otherwise), and
imported to read only when the text is trusted.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aque import scripts
from aque.codec.walk import checked, parts
from aque.errors import CodecError

if TYPE_CHECKING:
    from aque.codec.walk import Path, Reader, Writer

_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_PATHS = ("PurePosixPath", "PureWindowsPath", "PosixPath", "WindowsPath")


def writer_of(kind: type) -> Callable[[Any, Path, Writer], Any] | None:
    """Return what writes values of exactly this type, if it is one of these."""
    module = kind.__module__.partition(".")[0]
    write = _WRITERS.get(f"{module}:{kind.__name__}")
    if write is None or getattr(sys.modules.get(module), kind.__name__, None) is not kind:
        return None
    return write


def _write_datetime(value: Any, path: Path, writer: Writer) -> Any:
    text = value.replace(tzinfo=None, fold=0).isoformat()
    return {"$datetime": [text, value.fold, writer.write(value.tzinfo, (path, ".%s", "tzinfo"))]}


def _write_time(value: Any, path: Path, writer: Writer) -> Any:
    text = value.replace(tzinfo=None, fold=0).isoformat()
    return {"$time": [text, value.fold, writer.write(value.tzinfo, (path, ".%s", "tzinfo"))]}


def _write_date(value: Any, path: Path, writer: Writer) -> Any:
    return {"$date": value.isoformat()}


def _write_timedelta(value: Any, path: Path, writer: Writer) -> Any:
    return {"$timedelta": [value.days, value.seconds, value.microseconds]}


def _write_timezone(value: Any, path: Path, writer: Writer) -> Any:
    offset, *name = value.__getinitargs__()
    name = [writer.write(text, path) for text in name]
    return {"$timezone": [[offset.days, offset.seconds, offset.microseconds], *name]}


def _write_zone(value: Any, path: Path, writer: Writer) -> Any:
    if value.key is None:
        from aque.codec import reduction

        return reduction.write(value, path, writer)
    return {"$zone": value.key}


def _write_path(value: Any, path: Path, writer: Writer) -> Any:
    return {"$path": [type(value).__name__, writer.write(str(value), path)]}


def _read_datetime(payload: Any, reader: Reader) -> Any:
    text, fold, zone = parts(payload, 3, "$datetime")
    made = _datetime(reader).datetime.fromisoformat(checked(text, str, "$datetime"))
    return made.replace(fold=checked(fold, int, "$datetime"), tzinfo=reader.read(zone))


def _read_time(payload: Any, reader: Reader) -> Any:
    text, fold, zone = parts(payload, 3, "$time")
    made = _datetime(reader).time.fromisoformat(checked(text, str, "$time"))
    return made.replace(fold=checked(fold, int, "$time"), tzinfo=reader.read(zone))


def _read_date(payload: Any, reader: Reader) -> Any:
    return _datetime(reader).date.fromisoformat(checked(payload, str, "$date"))


def _read_timedelta(payload: Any, reader: Reader) -> Any:
    numbers = [checked(n, int, "$timedelta") for n in parts(payload, 3, "$timedelta")]
    return _datetime(reader).timedelta(*numbers)


def _read_timezone(payload: Any, reader: Reader) -> Any:
    offset, *name = checked(payload, list, "$timezone")
    name = [checked(reader.read(text), str, "$timezone") for text in name]
    return _datetime(reader).timezone(_read_timedelta(offset, reader), *name)


def _datetime(reader: Reader) -> Any:
    return scripts.load("datetime", reader.trusted)


def _read_zone(payload: Any, reader: Reader) -> Any:
    zoneinfo = scripts.load("zoneinfo", reader.trusted)
    key = checked(payload, str, "$zone")
    if not reader.trusted and not _is_installed_zone(key, zoneinfo.TZPATH):
        raise CodecError(f"{key!r} is not a time zone of this machine")
    return zoneinfo.ZoneInfo(key)


def _is_installed_zone(key: str, places: tuple[str, ...]) -> bool:
    """Tell whether the zone is a plain file: past that, ZoneInfo imports from tzdata."""
    return bool(_ZONE.fullmatch(key)) and any(
        os.path.isfile(os.path.join(place, key)) for place in places
    )


def _read_path(payload: Any, reader: Reader) -> Any:
    kind, text = parts(payload, 2, "$path")
    if kind not in _PATHS:
        raise CodecError(f"$path holds no kind of path that is known: {kind!r}")
    pathlib = scripts.load("pathlib", reader.trusted)
    return getattr(pathlib, kind)(checked(reader.read(text), str, "$path"))


_WRITERS = {
    "datetime:datetime": _write_datetime,
    "datetime:time": _write_time,
    "datetime:date": _write_date,
    "datetime:timedelta": _write_timedelta,
    "datetime:timezone": _write_timezone,
    "zoneinfo:ZoneInfo": _write_zone,
    **{f"pathlib:{name}": _write_path for name in _PATHS},
}
READERS = {
    "$datetime": _read_datetime,
    "$time": _read_time,
    "$date": _read_date,
    "$timedelta": _read_timedelta,
    "$timezone": _read_timezone,
    "$zone": _read_zone,
    "$path": _read_path,
}
