"""Own what the fields of a prototype say of where it may run, as Requirements have it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aque import trust
from aque.errors import UsageError
from aque.fields import REQUIREMENTS
from aque.requirements import Requirements, limits_text
from aque.schedule import hosts


def requirements(fields: Mapping[str, Any]) -> Requirements:
    return _needing(trust.user_name(), *given_in(fields).items())


@lru_cache(maxsize=1000)
def _needing(user: str, *needs: tuple[str, Any]) -> Requirements:
    """Return requirements, the same object for the same needs."""
    return Requirements(**{"user": user, **dict(needs)})


def given_in(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the requirements that are given, as the fields of a Requirements."""
    given = {k: v for k, v in fields.items() if k in REQUIREMENTS and v is not None}
    if "cpus" in given:
        given["cpus"] = float(given["cpus"])
    if "memory" in given:
        given["memory"] = int(given["memory"])
    for key in ("host", "platform"):
        if key in given:
            given[key] = hosts.check(given[key])
    if "limits" in given:
        given["limits"] = limits_text(_tokens(given["limits"]))
    return given


def _tokens(limits: Mapping[str, int]) -> Mapping[str, int]:
    if not isinstance(limits, Mapping):
        raise UsageError(f"limits must be a mapping of names to tokens, not {limits!r}")
    for name, tokens in limits.items():
        if not isinstance(name, str) or not name or not isinstance(tokens, int) or tokens < 1:
            raise UsageError(f"limits cannot be {limits!r}; write {{'nuke': 1}}")
    return limits
