"""Own what SQLite and the system say where a queue cannot be used, in aque's own errors."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from aque.errors import BrokerError, FullError, ReplacedError, UnwritableError, UsageError

#: How SQLite says that what our statements name is not in the schema, or the other way round. Its
#: version is right, or it would have been migrated, or refused; so it is between two versions.
_LACKS = ("no such table", "no such column", "has no column named", "NOT NULL constraint failed")

#: What to do about a file that is damaged.
WAY_OUT = (
    "stop the workers, then go back to a copy made by --backup (aque-init --restore FILE), or have "
    "`sqlite3 QUEUE .recover` read what it can into a new file"
)


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Turn SQLite's and the system's errors into ours, which name the queue and the next step."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        if _is_lacking(str(error)):
            raise _translate(error, path) from error
        raise  # an invariant of the schema: a defect of aque, not of the queue's place
    except sqlite3.DatabaseError as error:
        raise _translate(error, path) from error
    except UnicodeDecodeError as error:  # what SQLite says quotes a damaged file
        said = sqlite3.DatabaseError(error.object.decode(errors="backslashreplace"))
        raise _translate(said, path) from error
    except UnicodeEncodeError as error:
        raise UsageError(f"{error.object!r} is not text that a queue can hold") from error
    except OverflowError as error:
        raise UsageError(f"a number is too large for a queue ({error})") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(path) from error
        if error.errno == errno.ENOENT and not os.path.lexists(path):
            raise replaced(path) from error
        raise BrokerError(f"cannot use the queue {path}: {error.strerror or error}") from error


def replaced(path: str) -> ReplacedError:
    return ReplacedError(
        f"{path} was moved, removed or replaced while it was open; "
        "put it back, or start anew with what is there now"
    )


def _full(path: str) -> FullError:
    return FullError(
        f"no room left to write to {path}; free some (aque-doctor names the largest output), "
        "then try again"
    )


def _is_full(path: str) -> bool:
    try:
        return os.statvfs(os.path.dirname(path)).f_bavail == 0
    except OSError:
        return False


def _is_lacking(text: str) -> bool:
    return any(lack in text for lack in _LACKS)


def _translate(error: sqlite3.DatabaseError, path: str) -> BrokerError:
    text = str(error)
    if "disk is full" in text or ("disk I/O" in text and _is_full(path)):
        return _full(path)
    if "malformed" in text:
        return BrokerError(f"{path} is damaged ({text}); {WAY_OUT}")
    if "not a database" in text:
        return BrokerError(f"{path} is not an aque queue ({text}); name another with --broker")
    if "readonly" in text or "unable to open" in text:
        directory = os.path.dirname(path)
        return UnwritableError(f"cannot write to {directory} ({text}); name another with --broker")
    if _is_lacking(text):
        return BrokerError(
            f"{path} was made by an unfinished version of aque, and this one cannot read it "
            f"({text}); move it away to begin anew, or name another with --broker"
        )
    return BrokerError(f"cannot use the queue {path}: {text}")
