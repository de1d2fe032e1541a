"""Own the files of a queue: those in which output goes on, and those that workers lock.

All are in the directory beside it, which somebody may delete at any time.
"""

from __future__ import annotations

import os

from aque.brokers.sqlite import beside
from aque.errors import BrokerError
from aque.location import Location


def output_path(directory: str, id: int, attempt: int, stream: str) -> str:
    return os.path.join(directory, "output", f"{int(id)}-{int(attempt)}-{stream}")


def life_path(directory: str, token: str) -> str:
    return os.path.join(directory, "workers", os.path.basename(token))


def open_to_append(path: str, location: Location) -> int:
    """Open the file of a stream that is too large for the queue."""
    _make_directories(path, location)
    return beside.open_file(path, location.path, os.O_WRONLY | os.O_APPEND)


def make_life(path: str, location: Location) -> int:
    try:
        _make_directories(path, location)
        return beside.create_file(path, location.path)
    except OSError as error:
        raise BrokerError(
            f"cannot make {path}: {error.strerror}; see to {location.directory}, then try again"
        ) from error


def _make_directories(path: str, location: Location) -> None:
    for directory in (location.directory, os.path.dirname(path)):
        beside.make_directory(directory, location.path)
