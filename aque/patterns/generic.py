"""The pattern of a plain call: func(*args, **kwargs)."""

from __future__ import annotations

from typing import Any

from aque.errors import UsageError
from aque.patterns import Call


def run(call: Call) -> Any:
    if call.func is None:
        raise UsageError(f"task {call.id} has no function to call")
    return call.func(*call.args, **call.kwargs)
