"""Own the forms in which tasks are written for programs: one JSON document, CSV, a pattern."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from aque.commands import rendering
from aque.commands.lost import Dead
from aque.errors import UsageError
from aque.task import Task

Writer = Callable[[Iterable[Task], Dead], None]


def writer(as_json: bool, csv_fields: str | None, pattern: str | None) -> Writer | None:
    """Return what writes tasks to standard output in the form asked for; None if none was."""
    if as_json + (csv_fields is not None) + (pattern is not None) > 1:
        raise UsageError("--json, --csv and --format exclude each other; give one")
    if as_json:
        return _write_json
    if csv_fields is not None:
        keys = [rendering.check_key(key.strip()) for key in csv_fields.split(",")]
        return lambda tasks, dead: _write_csv(keys, _records(tasks, dead))
    if pattern is not None:
        form = rendering.formatter(pattern)
        return lambda tasks, dead: _write_lines(map(form, _records(tasks, dead)))
    return None


def error_handler() -> str:
    """Return the name of what passes bytes that are no text through, and escapes all else."""
    codecs.register_error("aque", _pass_bytes)
    return "aque"


def _pass_bytes(error: UnicodeError) -> tuple[bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    numbers = map(ord, error.object[error.start : error.end])
    passed = [
        bytes([n - 0xDC00]) if 0xDC80 <= n < 0xDD00 else chr(n).encode("ascii", "backslashreplace")
        for n in numbers
    ]
    return b"".join(passed), error.end


def _write_json(tasks: Iterable[Task], dead: Dead) -> None:
    separator = "["
    for task in tasks:
        sys.stdout.write(separator + rendering.to_json(task, dead))
        separator = ",\n "
    sys.stdout.write("[]\n" if separator == "[" else "]\n")


def _write_csv(keys: Sequence[str], records: Iterable[dict[str, Any]]) -> None:
    import csv

    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(keys)
    table.writerows([record[key] for key in keys] for record in records)


def _write_lines(texts: Iterable[str]) -> None:
    for text in texts:
        sys.stdout.write(text + "\n")


def _records(tasks: Iterable[Task], dead: Dead) -> Iterator[dict[str, Any]]:
    """Return records as they are, or where a terminal reads them, safe for it."""
    write = rendering.to_safe_record if sys.stdout.isatty() else rendering.to_record
    return (write(task, dead) for task in tasks)
