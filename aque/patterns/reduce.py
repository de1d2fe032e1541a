"""The pattern that folds the results of its dependencies: functools.reduce(func, results, *args).

The results come in the order in which the dependencies were submitted.
"""

from __future__ import annotations

import functools
from typing import Any

from aque import codec, context, task
from aque.errors import UsageError
from aque.patterns import Call
from aque.prototype import AFTER_ANY


def run(call: Call) -> Any:
    if call.func is None:
        raise UsageError(f"task {call.id} has no function to reduce with")
    return functools.reduce(call.func, _results(call.id), *call.args)


def _results(id: int) -> list[Any]:
    broker = context.current_broker()
    wanted = sorted({e.dependency for e in broker.edges([id]) if e.kind != AFTER_ANY})
    return [_result(dependency) for dependency in broker.fetch(wanted)]


def _result(dependency: task.Task) -> Any:
    return None if dependency.result is None else codec.decode(dependency.result)
