"""The pattern of many short calls in one task: [func(*each) for each in args]."""

from __future__ import annotations

from typing import Any

from aque.errors import UsageError
from aque.patterns import Call


def run(call: Call) -> list[Any]:
    if call.func is None:
        raise UsageError(f"task {call.id} has no function to map")
    return [call.func(*each, **call.kwargs) for each in call.args]
