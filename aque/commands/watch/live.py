"""Own the watch on a terminal: what is shown, and what a key does to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from aque import states
from aque.brokers.questions import ORDERS, Selection
from aque.commands import details, lines, listing, options, why
from aque.commands.tree import ASCII, CHILDREN, DEPENDENCIES, UNICODE
from aque.commands.watch import acts, cells, header, keys, pager
from aque.commands.watch.below import Below
from aque.commands.watch.page import Page
from aque.commands.watch.prompt import Prompt
from aque.commands.watch.roll import TOPS, Roll, by_status
from aque.commands.watch.screen import Screen
from aque.commands.watch.view import View
from aque.errors import (
    AqueError,
    BrokerError,
    FullError,
    LockTimeoutError,
    UnwritableError,
    UsageError,
)
from aque.queue import Queue
from aque.task import Task
from aque.worker.meter import Meter, Usage

#: Seconds that one that was killed is seen to its end.
_KILLING = 60.0
#: A screen of fewer rows has a head of one.
_SMALL = 12
#: What keeps somebody from changing a queue that can be looked at all the same.
_UNCHANGED = (UnwritableError, LockTimeoutError, FullError)
_SORTS = {order[0]: order for order in ORDERS}
#: Columns around the orders where they are asked for.
_FRAME = 10
_FILTER = "show only (words, a state, KEY=VALUE): "


class Live:
    """A screen on a queue; `within` are the tasks it is about."""

    def __init__(self, queue: Queue, screen: Screen, within: Selection, interval: float) -> None:
        self._queue = queue
        self._screen = screen
        self._interval = interval
        self._roll = Roll(queue.broker, within.ended_since or 0.0, listing.user_of(within))
        self._head = header.Header(queue.broker)
        self._meter = Meter()
        self._used: dict[int, Usage] = {}
        self._recover, self._recover_until = options.recovery(queue), 0.0
        self._prompt = Prompt(screen, self._draw, self._look, interval)
        art = UNICODE if screen.terminal.has_unicode else ASCII
        self._below = Below(queue.broker, self._roll)
        self._page = Page(queue.broker, self._below, art, self._roll.listing(TOPS))
        self._view = View(queue.broker, self._roll, self._page, within, self._weights)

    def run(self) -> None:
        """Show it until it is left."""
        due = 0.0
        while True:
            now = time.monotonic()
            if now >= due or self._roll.is_reading:
                self._look()
                due = now + self._interval
            self._draw()
            key = self._screen.key(0.0 if self._roll.is_reading else due - time.monotonic())
            if key is not None and keys.ACTS.get(key) == "quit":
                return
            if key is not None and self._press(key):
                due = 0.0

    # Looking

    def _look(self) -> None:
        if time.monotonic() < self._recover_until:
            with suppress(*_UNCHANGED):
                self._recover()  # whoever ran what was killed may be dead
        has_changed = self._roll.update()
        self._head.look()
        self._page.height = max(1, self._screen.height - len(self._head_rows()) - 2)
        self._view.update(has_changed)
        lost = self._page.draw()
        if lost is not None and not self._prompt.said:
            self._prompt.say(f"task {lost.id} was selected, and is out of sight now")
        self._used = self._meter.look(self._measured(), self._head.local())

    def _measured(self) -> list[Task]:
        """Return the tasks to be measured: those seen, and where it is sorted by that all."""
        seen = [line.task for line in self._page.lines if line.task is not None]
        if self._view.order not in ("cpu", "memory"):
            return [task for task in seen if task.status == states.RUNNING]
        broker = self._queue.broker
        return [task for worker in self._head.local() for task in broker.running(worker)]

    def _weights(self, order: str) -> dict[int, float]:
        if order == "cpu":
            return {id: used.cpu or 0.0 for id, used in self._used.items()}
        if order == "memory":
            return {id: float(used.peak) for id, used in self._used.items()}
        return {}

    # Drawing

    def _draw(self) -> None:
        screen, now = self._screen, time.time()
        screen.begin()
        head = self._head_rows()
        head[-1] = [*head[-1], (self._seen(), "")]
        for y, row in enumerate(head):
            screen.put(y, row)
        shown, dead, above = self._page.lines, self._head.dead, len(head) + 1
        wide = max([2, *(len(str(line.task.id)) for line in shown if line.task)])
        screen.put(above - 1, [(cells.head(wide, screen.terminal), "")], "head")
        for number, line in enumerate(shown):
            id = line.task.id if line.task else 0
            children = by_status(self._roll.children.get(id, ()))
            row = cells.row(line, wide, screen.terminal, now, self._used.get(id), children, dead)
            screen.put(above + number, row, "cursor" if number == self._page.cursor else "")
        if not shown:
            screen.put(above, [(self._nothing(), "")])
        said = self._prompt.said
        last = (said, "bold") if said else (keys.footer(self._page.is_tree), "")
        screen.put(screen.height - 1, [last])
        screen.finish()

    def _head_rows(self) -> list[cells.Row]:
        """Return the head; where a screen is small of it only what the queue holds."""
        counts = by_status(self._roll.counts)
        rows = list(self._head.rows(counts, self._roll.rate(), self._screen.width))
        return rows if self._screen.height >= _SMALL else [rows[2]]

    def _seen(self) -> str:
        """Say what part of the queue is seen, where it is not all."""
        said = ["still reading"] if self._roll.is_reading else []
        said += self._view.said()
        if len(self._page.listing) > self._page.height:
            said.append(f"{self._page.at + 1:,} of {len(self._page.listing):,}")
        return f"; {', '.join(said)}" if said else ""

    def _nothing(self) -> str:
        if self._view.is_part:
            return "no such tasks (Esc goes back)"
        if self._queue.broker.last_id() is None:
            return "nothing here; aque-submit echo hello makes a first task"
        return "nothing now; --all shows older tasks, -x other users'"

    # Keys

    def _press(self, key: str) -> bool:
        """Do what a key says; whether it is time to look again."""
        act = keys.ACTS.get(key)
        if act is None:
            return key == "resize"
        try:
            done: Callable[[], object] = getattr(self, f"_{act}")
            return done() is not False
        except AqueError as error:
            if isinstance(error, BrokerError) and not isinstance(error, _UNCHANGED):
                raise
            self._prompt.say(str(error))
            return True

    def _up(self) -> bool:
        return self._move(-1)

    def _down(self) -> bool:
        return self._move(1)

    def _page_up(self) -> bool:
        return self._move(1 - self._page.height)

    def _page_down(self) -> bool:
        return self._move(self._page.height - 1)

    def _move(self, by: int) -> bool:
        self._page.move(by)
        return False

    def _home(self) -> bool:
        self._page.go_home()
        return False

    def _end(self) -> bool:
        self._page.go_to_end()
        return False

    def _fold(self) -> bool:
        self._page.fold()
        return False

    def _unfold(self) -> bool:
        if self._page.selected is not None:
            self._page.folded.discard(self._page.selected.id)
            self._page.draw()
        return False

    def _enter(self) -> None:
        line = self._page.line
        if line.of:
            self._view.enter(*line.of)
        elif line.task and line.task.id in self._roll.children:
            self._view.enter(line.task.id, CHILDREN)
        elif line.task and self._below.count_dependencies([line.task.id])[line.task.id]:
            self._view.enter(line.task.id, DEPENDENCIES)
        elif line.task:
            self._prompt.say("it has no children; o shows what it has written")

    def _leave(self) -> None:
        self._view.leave()

    def _tree(self) -> None:
        self._view.toggle()
        if self._view.is_some:
            self._prompt.say("a list, as with each --status, --filter or IDS")

    def _filter_by(self) -> None:
        question, text = _FILTER, self._view.filter
        while (answer := self._prompt.read(question, text)) is not None:
            try:
                self._view.narrow(answer)
                return
            except UsageError as error:
                question, text = f"{error}: ", answer

    def _sort(self) -> None:
        named = ", ".join(f"{key} {order}" for key, order in _SORTS.items())
        if len(named) + _FRAME > self._screen.width:
            named = "/".join(_SORTS)
        key = self._prompt.choose(f"sort by {named}:", "".join(_SORTS))
        if key is not None:
            self._view.sort(_SORTS[key])

    def _kill(self) -> None:
        self._act(acts.kill)
        self._recover_until = time.monotonic() + _KILLING

    def _retry(self) -> None:
        self._act(acts.retry)

    def _pause(self) -> None:
        self._act(acts.pause)

    def _prioritize(self) -> None:
        self._act(acts.prioritize)

    def _chosen(self) -> Task | None:
        """Return the task that a key is for; a sum of many is said to be none."""
        line = self._page.line
        if line.of:
            self._prompt.say(f"a sum; Enter lists these {line.of[1]}")
        return line.task

    def _act(self, act: Callable[[Queue, Task, acts.Asking], str]) -> None:
        selected = self._chosen()
        if selected is not None:
            (task,) = self._queue.broker.fetch([selected.id])  # the list may be older
            self._prompt.say(act(self._queue, task, self._prompt))

    def _output(self) -> None:
        selected = self._chosen()
        if selected is None:
            return
        question = f"output of task {selected.id}: a all, o stdout, e stderr, l log?"
        key = self._prompt.choose(question, "aoel")
        if key is not None:
            pager.show_output(self._screen, self._queue.broker, selected, key, self._interval)

    def _why(self) -> None:
        selected = self._chosen()
        if selected is not None:
            broker, id = self._queue.broker, selected.id
            title = f"task {id}: {lines.label(selected)}"

            def look() -> list[str]:
                (task,) = broker.fetch([id])
                if task.status == states.ERROR:
                    return list(details.describe(broker, task))
                return why.describe(broker, id)

            pager.Pager(self._screen, pager.Told(title, look), self._interval).show()

    def _help(self) -> None:
        shown = list(keys.help_lines())
        told = pager.Told("aque-status --watch", lambda: shown)
        pager.Pager(self._screen, told, self._interval).show()
