"""Own `aque-status --watch`: a queue over the whole screen, or where there is none, as text."""

from __future__ import annotations

from aque.brokers.questions import Selection
from aque.commands import ending
from aque.queue import Queue


def show(queue: Queue, within: Selection, interval: float, color: str) -> int:
    """Show the tasks of a selection until it is left, anew each `interval` seconds."""
    from aque.commands.watch import printed, screen, signals

    if not screen.is_possible():
        return printed.show(queue, within, interval, color)
    from aque.commands.watch.live import Live

    try:
        with screen.Screen(color) as opened:
            Live(queue, opened, within, interval).run()
    except signals.Ended as ended:
        return ending.by_signal(ended.number)
    return 0
