"""Own what many tasks share and is stored once: environments, and requirements.

Each counts the tasks that use it, and goes with the last.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import astuple, fields, replace
from functools import lru_cache
from typing import Any

from aque.brokers.sqlite.transaction import Transaction
from aque.requirements import Requirements

_REQUIREMENTS = (
    "SELECT "
    + ", ".join(f'"{field.name}"' for field in fields(Requirements))
    + " FROM requirements WHERE id = ?"
)


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
    insert = "INSERT INTO environment (hash, content, uses) VALUES (?, ?, 0)"
    return int(tx.execute(insert, (digest, content)).lastrowid or 0)


def store_requirements(tx: Transaction, requirements: Requirements) -> int:
    key = _key(requirements)
    rows = tx.rows("SELECT id FROM requirements WHERE key = ?", (key,))
    if rows:
        return int(rows[0][0])
    insert = (
        'INSERT INTO requirements ("user", "group", host, platform, cpus, memory, limits, mounts,'
        " worker, key, uses) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)"
    )
    return int(tx.execute(insert, (*astuple(requirements), key)).lastrowid or 0)


@lru_cache(maxsize=1000)
def _key(requirements: Requirements) -> str:
    return json.dumps(astuple(requirements), separators=(",", ":"))


def fetch_requirements(tx: Transaction, id: int) -> Requirements:
    (row,) = tx.rows(_REQUIREMENTS, (id,))
    return Requirements(*row)


def change_requirements(tx: Transaction, id: int, **changes: Any) -> int:
    """Move one task's use of requirements `id` to ones changed so; return the id of those."""
    changed = store_requirements(tx, replace(fetch_requirements(tx, id), **changes))
    tx.execute("UPDATE requirements SET uses = uses - 1 WHERE id = ?", (id,))
    tx.execute("UPDATE requirements SET uses = uses + 1 WHERE id = ?", (changed,))
    return changed
