"""Own waiting for tasks to end: on the bell, with a poll for whatever was not heard."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from aque import bell, listening, states
from aque.brokers.base import Broker
from aque.errors import TaskNotFoundError

#: So many ids are asked for one by one; for more, all that changed is asked for.
_FEW = 100


def wait_complete(
    broker: Broker,
    ids: Sequence[int],
    timeout: float | None = None,
    any_one: bool = False,
    on_poll: Callable[[], object] | None = None,
) -> dict[int, str]:
    """Wait until all these tasks have ended, or with `any_one` one of them; return all statuses.

    After `timeout` seconds return them as they are. `on_poll` is called at the begin and about each
    second. Raises TaskNotFoundError for a task that does not exist or is removed meanwhile.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    listener = broker.listen_again(bell.DONE)
    watch = _Watch(broker, ids)
    pace = listening.Pace()
    poll_at, seen = 0.0, -1
    while True:
        now = time.monotonic()
        if on_poll is not None and now >= poll_at:
            poll_at = now + bell.POLL
            on_poll()
        if watch.look() and (any_one or not watch.unfinished):
            return watch.statuses
        if listener.fileno() < 0 and seen != (seen := broker.changes().number):
            listener.heard_something()
        if deadline is not None and time.monotonic() >= deadline:
            return watch.statuses
        listener.wait(None if deadline is None else deadline - time.monotonic())
        pace.keep()


class _Watch:
    """The statuses of some tasks, kept up to date by looking at what changed."""

    def __init__(self, broker: Broker, ids: Sequence[int]) -> None:
        self._broker = broker
        self._number: int | None = None
        self.unfinished = set(ids)
        self.statuses: dict[int, str] = {}

    def look(self) -> bool:
        """Look again; say whether any has ended."""
        is_few = len(self.unfinished) <= _FEW
        if self._number is None or is_few:
            self._number = None if is_few else self._broker.changes().number
            changed = self._broker.statuses(sorted(self.unfinished))
            gone = self.unfinished - changed.keys()
        else:
            changes = self._broker.changes(self._number)
            self._number = changes.number
            changed = {id: changes.statuses[id] for id in self.unfinished & changes.statuses.keys()}
            gone = self.unfinished & set(changes.removed)
        for id in sorted(gone):
            raise TaskNotFoundError(f"there is no task {id}")
        self.statuses.update(changed)
        ended = {id for id, status in changed.items() if status in states.COMPLETE_STATES}
        self.unfinished -= ended
        return len(self.unfinished) < len(self.statuses) or not self.statuses
