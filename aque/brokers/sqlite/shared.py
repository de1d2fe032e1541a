"""Own what many tasks share and is stored once: environments, and requirements.

The tasks that use each are counted, and it goes with the last.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aque.brokers.sqlite.transaction import Rows, Transaction
from aque.record import replace, values
from aque.requirements import REQUIREMENT_KEYS, Requirements

#: The tables, which are also the columns of a task that name a row of them.
KINDS = ("environment", "requirements")

_COLUMNS = ", ".join(f'"{key}"' for key in REQUIREMENT_KEYS)
_FETCH = f"SELECT {_COLUMNS} FROM requirements WHERE id = ?"
_STORE = f"""
INSERT INTO requirements (key, {_COLUMNS}) VALUES ({", ".join("?" * (1 + len(REQUIREMENT_KEYS)))})
"""


class Memory:
    """What a broker remembers from one creation to the next: the environment it stored last.

    Its content and hash take longer to make than all the rest of a submit.
    """

    def __init__(self) -> None:
        self._environ: dict[str, str] = {}
        self._hashed = "", ""

    def hashed(self, environ: Mapping[str, str]) -> tuple[str, str]:
        """Return the text of an environment, and the hash of that."""
        if environ != self._environ or not self._hashed[0]:
            content = json.dumps(dict(environ), sort_keys=True, separators=(",", ":"))
            digest = _sha256(content.encode())
            self._environ, self._hashed = dict(environ), (content, digest)
        return self._hashed


def _sha256(content: bytes) -> str:
    """Hash by Python's own module where there is one, as random.py does: OpenSSL loads slowly."""
    for name in ("_sha2", "_sha256", "hashlib"):
        try:
            return str(importlib.import_module(name).sha256(content).hexdigest())
        except ImportError:
            continue
    raise AssertionError("hashlib is always there")


def store_environment(tx: Transaction, content: str, digest: str) -> int:
    rows = tx.rows("SELECT id FROM environment WHERE hash = ?", (digest,))
    if rows:
        return int(rows[0][0])
    insert = "INSERT INTO environment (hash, content) VALUES (?, ?)"
    return _counted(tx, "environment", tx.execute(insert, (digest, content)).lastrowid)


def store_requirements(tx: Transaction, requirements: Requirements) -> int:
    key = _key(requirements)
    rows = tx.rows("SELECT id FROM requirements WHERE key = ?", (key,))
    if rows:
        return int(rows[0][0])
    made = tx.execute(_STORE, (key, *values(requirements))).lastrowid
    return _counted(tx, "requirements", made)


def _counted(tx: Transaction, kind: str, id: int | None) -> int:
    """Return the id of a new row, whose uses are counted from now on."""
    assert id is not None
    tx.execute("INSERT INTO uses VALUES (?, ?, 0)", (kind, id))
    return id


def use(tx: Transaction, kind: str, id: int, count: int) -> None:
    """Count so many uses of a row more, or fewer."""
    tx.execute("UPDATE uses SET count = count + ? WHERE kind = ? AND id = ?", (count, kind, id))


def drop_unused(tx: Transaction) -> None:
    for kind in KINDS:
        unused = "SELECT id FROM uses WHERE kind = ? AND count = 0"
        tx.execute(f"DELETE FROM {kind} WHERE id IN ({unused})", (kind,))
    tx.execute("DELETE FROM uses WHERE count = 0")


@lru_cache(maxsize=1000)
def _key(requirements: Requirements) -> str:
    return json.dumps(values(requirements), separators=(",", ":"))


def fetch_requirements(rows: Rows, id: int) -> Requirements:
    (row,) = rows(_FETCH, (id,))
    return Requirements(*row)


def change_requirements(tx: Transaction, id: int, count: int, **changes: Any) -> int:
    """Move so many uses of requirements `id` to ones changed so; return the id of those."""
    changed = store_requirements(tx, replace(fetch_requirements(tx.rows, id), **changes))
    use(tx, "requirements", id, -count)
    use(tx, "requirements", changed, count)
    return changed
