"""Own pause and resume, where what is running is stopped, and the change of a priority."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from aque import bell
from aque.brokers.sqlite import graph, steer
from aque.brokers.sqlite.transaction import Transaction

_PAUSE = "UPDATE task SET status = 'paused', changed = ? WHERE id = ? AND status = 'pending'"
_RESUME = "UPDATE task SET status = 'pending', changed = ? WHERE id = ? AND status = 'paused'"
_STOP = """
UPDATE task SET stopped_at = ?, changed = ?
WHERE id = ? AND status = 'running' AND stopped_at IS NULL AND cancel_at IS NULL
"""
_CONTINUE = """
UPDATE task SET stopped_at = NULL, changed = ?
WHERE id = ? AND status = 'running' AND stopped_at IS NOT NULL
"""
_PRIORITIZE = """
UPDATE task SET priority = ?, changed = ?
WHERE id = ? AND status IN ('creating', 'pending', 'paused', 'running')
"""


def pause(tx: Transaction, ids: Sequence[int]) -> list[int]:
    held = [id for id in ids if tx.execute(_PAUSE, (tx.next_changed(), id)).rowcount]
    stopped = [id for id in ids if tx.execute(_STOP, (tx.now, tx.next_changed(), id)).rowcount]
    steer.signal(tx, stopped, signal.SIGSTOP)
    return sorted(held + stopped)


def resume(tx: Transaction, ids: Sequence[int]) -> list[int]:
    freed = [id for id in ids if tx.execute(_RESUME, (tx.next_changed(), id)).rowcount]
    graph.ended(tx, [id for id in freed if graph.settle(tx, id)])
    continued = [id for id in ids if tx.execute(_CONTINUE, (tx.next_changed(), id)).rowcount]
    steer.signal(tx, continued, signal.SIGCONT)
    tx.rings.add(bell.READY)
    return sorted(freed + continued)


def prioritize(tx: Transaction, ids: Sequence[int], priority: int) -> list[int]:
    values = [(priority, tx.next_changed(), id) for id in ids]
    tx.rings.add(bell.READY)
    return [row[2] for row in values if tx.execute(_PRIORITIZE, row).rowcount]
