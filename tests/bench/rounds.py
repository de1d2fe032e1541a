"""Own how contenders are compared: in turns, so that what disturbs one disturbs all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from time import perf_counter, sleep
from typing import TypeVar

__all__ = ["interleave", "median", "percentile", "timed"]

T = TypeVar("T")


def interleave(
    contenders: Mapping[str, Callable[[], T]], rounds: int, warm: int = 1, pause: float = 0.0
) -> dict[str, list[T]]:
    """Return what each contender gave in each round; who begins changes from round to round.

    The first `warm` rounds do not count. Before each turn `pause` seconds pass.
    """
    given: dict[str, list[T]] = {name: [] for name in contenders}
    names = list(contenders)
    for number in range(warm + rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            sleep(pause)
            value = contenders[name]()
            if number >= warm:
                given[name].append(value)
    return given


def timed(act: Callable[[], object]) -> float:
    """Return how many seconds an act takes."""
    begin = perf_counter()
    act()
    return perf_counter() - begin


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` of all do not exceed."""
    ranked = sorted(values)
    return ranked[max(0, -int(-len(ranked) * percent // 100) - 1)]
