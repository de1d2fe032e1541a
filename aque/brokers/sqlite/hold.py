"""Own pause and resume, where what is running is stopped, and the change of a priority."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from aque import bell, states
from aque.brokers.sqlite import graph, steer
from aque.brokers.sqlite.transaction import Transaction

_WITH_STATUS = "SELECT id FROM task WHERE status = '{}' AND id IN ({{}})"
_PENDING = _WITH_STATUS.format(states.PENDING)
_PAUSED = _WITH_STATUS.format(states.PAUSED)
_GOING = """
SELECT id FROM task WHERE status = 'running' AND stopped_at IS NULL AND cancel_at IS NULL
AND id IN ({})
"""
_STOPPED = "SELECT id FROM task WHERE status = 'running' AND stopped_at IS NOT NULL AND id IN ({})"
_UNFINISHED = f"SELECT id FROM task WHERE status {graph.UNFINISHED} AND id IN ({{}})"
_HOLD = "UPDATE task SET status = ?, changed = ? WHERE id IN ({})"
_STOP = "UPDATE task SET stopped_at = ?, changed = ? WHERE id IN ({})"
_PRIORITIZE = "UPDATE task SET priority = ?, changed = ? WHERE id IN ({})"


def pause(tx: Transaction, ids: Sequence[int]) -> list[int]:
    tx.expect(len(ids))
    held, stopped = _found(tx, _PENDING, ids), _found(tx, _GOING, ids)
    _change(tx, _HOLD, states.PAUSED, held)
    _change(tx, _STOP, tx.now, stopped)
    steer.signal(tx, stopped, signal.SIGSTOP)
    return sorted(held + stopped)


def resume(tx: Transaction, ids: Sequence[int]) -> list[int]:
    tx.expect(len(ids))
    freed, continued = _found(tx, _PAUSED, ids), _found(tx, _STOPPED, ids)
    _change(tx, _HOLD, states.PENDING, freed)
    graph.settle(tx, freed)
    _change(tx, _STOP, None, continued)
    steer.signal(tx, continued, signal.SIGCONT)
    tx.rings.add(bell.READY)
    return sorted(freed + continued)


def prioritize(tx: Transaction, ids: Sequence[int], priority: int) -> list[int]:
    tx.expect(len(ids))
    found = _found(tx, _UNFINISHED, ids)
    _change(tx, _PRIORITIZE, priority, found)
    tx.rings.add(bell.READY)
    return sorted(found)


def _found(tx: Transaction, sql: str, ids: Sequence[int]) -> list[int]:
    return [id for (id,) in tx.rows_in(sql, ids)]


def _change(tx: Transaction, sql: str, value: str | float | None, ids: Sequence[int]) -> None:
    if ids:
        tx.execute_in(sql, (value, tx.next_changed()), ids)
