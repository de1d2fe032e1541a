"""Own the watch where there is no terminal to take: as text, once an interval, for logs."""

from __future__ import annotations

import time

from aque.brokers.questions import Selection
from aque.commands import lines, listing, terminal
from aque.commands.watch import header
from aque.commands.watch.roll import Roll, by_status
from aque.queue import Queue

#: Columns that the head is written in at a pipe, and tasks that are written each time.
_WIDTH, _TASKS = 100, 20


def show(queue: Queue, within: Selection, interval: float, color: str) -> int:
    """Print the head, what runs and what ended last, until somebody ends it."""
    broker = queue.broker
    user = listing.user_of(within)
    roll = Roll(broker, within.ended_since or 0.0, user)
    head = header.Header(broker)
    screen = terminal.look(color)
    while True:
        while roll.is_reading:
            roll.update()
        head.look()
        rows = head.rows(by_status(roll.counts), roll.rate(), screen.width or _WIDTH)
        texts = ("".join(text for text, _ in row).rstrip() for row in rows)
        said = [screen.fit(text, screen.width) for text in texts]
        shown = [lines.Line(task) for task in broker.select(within, _TASKS)]
        print(
            "\n".join([*said, *lines.layout(shown, screen, time.time(), head.dead), ""]), flush=True
        )
        time.sleep(interval)
        roll.update()
