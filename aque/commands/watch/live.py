"""Own the watch on a terminal: what is shown, and what a key does to it."""

from __future__ import annotations

import time
from collections.abc import Callable

from aque import states
from aque.brokers.questions import ORDERS, Condition, Selection
from aque.commands import details, lines, listing, options, terminal, why
from aque.commands.tree import ASCII, UNICODE
from aque.commands.watch import acts, cells, header, keys, narrowing, pager
from aque.commands.watch.below import Below
from aque.commands.watch.page import Page
from aque.commands.watch.prompt import Prompt
from aque.commands.watch.roll import ALL, TOPS, Ranked, Roll, by_status
from aque.commands.watch.screen import Screen
from aque.errors import AqueError, BrokerError
from aque.queue import Queue
from aque.record import replace
from aque.task import Task
from aque.worker.meter import Meter, Usage

#: Seconds that what was said of an act stays, and that one that was killed is seen to its end.
_SAID, _KILLING = 5.0, 60.0
#: Rows above and below the list.
_ABOVE, _UNDER = 5, 1
_SORTS = {order[0]: order for order in ORDERS}


class Live:
    """A screen on a queue; `within` are the tasks it is about."""

    def __init__(self, queue: Queue, screen: Screen, within: Selection, interval: float) -> None:
        self._queue = queue
        self._screen = screen
        self._within = within
        self._interval = interval
        self._roll = Roll(queue.broker, within.ended_since or 0.0, listing.user_of(within))
        self._head = header.Header(queue.broker)
        self._meter = Meter()
        self._used: dict[int, Usage] = {}
        self._scope = TOPS
        self._filter = ""
        self._order = "state"
        self._came_from: list[tuple[int, int, int, int]] = []
        self._said, self._said_until = "", 0.0
        self._recover, self._recover_until = options.recovery(queue), 0.0
        self._prompt = Prompt(screen, self._ask, self._look)
        art = UNICODE if screen.terminal.has_unicode else ASCII
        below = Below(queue.broker, self._roll)
        self._page = Page(queue.broker, below, art, self._roll.listing(TOPS))
        self._open()

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
            self._recover()  # whoever ran what was killed may be dead
        has_changed = self._roll.update()
        self._head.look()
        self._page.height = max(1, self._screen.height - _ABOVE - _UNDER)
        if isinstance(self._page.listing, Ranked):
            self._page.listing.update(has_changed, self._weights())
        self._page.draw()
        self._used = self._meter.look(self._measured(), self._head.local())

    def _measured(self) -> list[Task]:
        """Return the tasks to be measured: those seen, and where it is sorted by that all."""
        seen = [line.task for line in self._page.lines if line.task is not None]
        if self._order not in ("cpu", "memory"):
            return [task for task in seen if task.status == states.RUNNING]
        broker = self._queue.broker
        return [task for worker in self._head.local() for task in broker.running(worker)]

    def _weights(self) -> dict[int, float]:
        if self._order == "cpu":
            return {id: used.cpu or 0.0 for id, used in self._used.items()}
        if self._order == "memory":
            return {id: float(used.peak) for id, used in self._used.items()}
        return {}

    def _open(self) -> None:
        """Show the listing of scope, filter and order."""
        if self._filter or self._order != "state" or self._is_narrow():
            within = self._within
            if self._scope > 0:
                within = replace(within, conditions=[Condition("parent", "=", self._scope)])
            ranked = Ranked(self._queue.broker, narrowing.narrow(within, self._filter), self._order)
            ranked.update(True, self._weights())
            self._page.show(ranked, False)
        else:
            self._page.show(self._roll.listing(self._scope), self._scope != ALL)

    def _is_narrow(self) -> bool:
        """Whether the command line asked for some only."""
        within = self._within
        is_some = any(condition.key != "user" for condition in within.conditions)
        return self._scope <= 0 and bool(is_some or within.statuses or within.ids is not None)

    # Drawing

    def _draw(self) -> None:
        screen, now = self._screen, time.time()
        screen.begin()
        counts = by_status(self._roll.counts)
        for y, row in enumerate(self._head.rows(counts, self._roll.rate(), screen.width)):
            screen.put(y, [*row, (self._view() if y == 3 else "", "")])
        shown, dead = self._page.lines, self._head.dead
        wide = max([2, *(len(str(line.task.id)) for line in shown if line.task)])
        screen.put(_ABOVE - 1, [(cells.head(wide, screen.terminal), "")], "head")
        for number, line in enumerate(shown):
            id = line.task.id if line.task else 0
            children = by_status(self._roll.children.get(id, ()))
            row = cells.row(line, wide, screen.terminal, now, self._used.get(id), children, dead)
            screen.put(_ABOVE + number, row, "cursor" if number == self._page.cursor else "")
        if not shown:
            screen.put(_ABOVE, [(self._nothing(), "")])
        said = self._said if time.monotonic() < self._said_until else ""
        screen.put(screen.height - 1, [(said or keys.footer(), "bold" if said else "")])
        screen.finish()

    def _view(self) -> str:
        """Say what part of the queue is seen, where it is not all."""
        said = ["still reading"] if self._roll.is_reading else []
        said += [f"in task {self._scope}"] if self._scope > 0 else []
        said += [f"only {terminal.safe(self._filter)}"] if self._filter else []
        said += [f"by {self._order}"] if self._order != "state" else []
        if len(self._page.listing) > self._page.height:
            said.append(f"{self._page.at + 1:,} of {len(self._page.listing):,}")
        return f"; {', '.join(said)}" if said else ""

    def _nothing(self) -> str:
        if self._filter or self._scope > 0 or self._is_narrow():
            return "no such tasks (Esc goes back)"
        if self._queue.broker.last_id() is None:
            return "nothing here; aque-submit echo hello makes a first task"
        return "nothing now; --all shows older tasks, -x other users'"

    # The last line

    def _ask(self, question: str) -> None:
        room = self._screen.width - 1
        self._said, self._said_until = terminal.safe(question)[-room:], time.monotonic() + 3600
        self._draw()
        self._said_until = 0.0

    def _say(self, text: str) -> None:
        self._said, self._said_until = terminal.safe(text), time.monotonic() + _SAID

    # Keys

    def _press(self, key: str) -> bool:
        """Do what a key says; whether it is time to look again."""
        act = keys.ACTS.get(key)
        if act is None:
            return key == "resize"
        try:
            done: Callable[[], object] = getattr(self, f"_{act}")
            return done() is not False
        except BrokerError:
            raise
        except AqueError as error:
            self._say(str(error))
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
        if self._page.selected is not None:
            self._page.folded.add(self._page.selected.id)
            self._page.draw()
        return False

    def _unfold(self) -> bool:
        if self._page.selected is not None:
            self._page.folded.discard(self._page.selected.id)
            self._page.draw()
        return False

    def _enter(self) -> None:
        selected = self._page.selected
        if selected is None or selected.id not in self._roll.children:
            self._say("it has no children; o shows what it has written")
            return
        page = self._page
        self._came_from.append((self._scope, page.at, page.skip, page.cursor))
        self._scope, self._filter = selected.id, ""
        self._open()

    def _leave(self) -> None:
        if self._filter:
            self._filter = ""
            self._open()
        elif self._came_from:
            page = self._page
            self._scope, *place = self._came_from.pop()
            self._open()
            page.at, page.skip, page.cursor = place

    def _tree(self) -> None:
        self._scope = TOPS if self._scope == ALL else ALL
        self._came_from = []
        self._open()

    def _filter_by(self) -> None:
        text = self._prompt.read("show only (words, a state, KEY=VALUE): ", self._filter)
        if text is not None:
            narrowing.narrow(self._within, text)  # a bad one is said before the old one goes
            self._filter = text
            self._open()

    def _sort(self) -> None:
        named = ", ".join(f"{key} {order}" for key, order in _SORTS.items())
        key = self._prompt.choose(f"sort by {named}:", "".join(_SORTS))
        if key is not None:
            self._order = _SORTS[key]
            self._open()

    def _kill(self) -> None:
        self._act(acts.kill)
        self._recover_until = time.monotonic() + _KILLING

    def _retry(self) -> None:
        self._act(acts.retry)

    def _pause(self) -> None:
        self._act(acts.pause)

    def _prioritize(self) -> None:
        self._act(acts.prioritize)

    def _act(self, act: Callable[[Queue, Task, acts.Asking], str]) -> None:
        selected = self._page.selected
        if selected is not None:
            self._say(act(self._queue, selected, self._prompt))

    def _output(self) -> None:
        selected = self._page.selected
        if selected is None:
            return
        question = f"output of task {selected.id}: a all, o stdout, e stderr, l log?"
        key = self._prompt.choose(question, "aoel")
        if key is not None:
            pager.show_output(self._screen, self._queue.broker, selected, key, self._interval)

    def _why(self) -> None:
        selected = self._page.selected
        if selected is not None:
            broker, id = self._queue.broker, selected.id
            title = f"task {id}: {lines.label(selected)}"

            def look() -> list[str]:
                (task,) = broker.fetch([id])
                if task.status == states.ERROR:
                    return list(details.describe(broker, task))
                return why.describe(broker, id)

            pager.Pager(self._screen, title, look, self._interval).show()

    def _help(self) -> None:
        shown = list(keys.help_lines())
        pager.Pager(self._screen, "aque-status --watch", lambda: shown, 3600).show()
