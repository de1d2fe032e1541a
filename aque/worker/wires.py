"""Own which pipes of runners the worker's selector listens to."""

from __future__ import annotations

import selectors
from collections.abc import Callable

from aque.worker.runners import Runner


class Wires:
    """The pipes by which busy runners are heard."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector

    def watch(self, runner: Runner, hear: Callable[[], None]) -> None:
        """Have `hear` called when a runner says or writes something."""
        for descriptor in _of(runner):
            if descriptor not in self._selector.get_map():
                self._selector.register(descriptor, selectors.EVENT_READ, hear)

    def unwatch(self, runner: Runner) -> None:
        for descriptor in _of(runner):
            self.drop(descriptor)

    def drop(self, descriptor: int) -> None:
        """Listen no more to one that has ended, or whose output cannot be kept now."""
        if descriptor >= 0 and descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)


def _of(runner: Runner) -> tuple[int, ...]:
    return (runner.answers, runner.records, runner.stdout.descriptor, runner.stderr.descriptor)
