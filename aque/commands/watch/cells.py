"""Own the columns of the screen: a task, and what it uses, in one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aque import states, trust
from aque.commands import lines, terminal
from aque.commands.lines import Line
from aque.commands.lost import NOBODY, Dead
from aque.commands.terminal import Terminal
from aque.task import Task
from aque.worker.meter import Usage

#: Texts with their styles, side by side; a style is a state, or one of those in screen.py.
Row = Sequence[tuple[str, str]]
Counts = Mapping[str, int]

BAR = 11
_HEADS = ("ID", "STATE", "PROGRESS", "TIME", "CPU%", "PEAK", "COMMAND")
_WIDTHS = (0, 9, BAR, 6, 4, 5)
#: Columns that COMMAND has, or others before it are left out, from the right.
_LEAST = 14


def head(id_width: int, screen: Terminal) -> str:
    cells = [f"{_HEADS[0]:>{id_width}}", f"{_HEADS[1]:<9}", f"{_HEADS[2]:<{BAR}}"]
    cells += [f"{name:>{width}}" for name, width in zip(_HEADS[3:6], _WIDTHS[3:])]
    return " ".join([*cells[: _shown(id_width, screen)], _HEADS[6]])


def _shown(id_width: int, screen: Terminal) -> int:
    """Return how many columns there is room for before COMMAND, at least the first two."""
    count = len(_WIDTHS)
    room = (screen.width or 80) - id_width - sum(_WIDTHS) - count
    while room < _LEAST and count > 2:
        count -= 1
        room += _WIDTHS[count] + 1
    return count


def row(
    line: Line, id_width: int, screen: Terminal, now: float, used: Usage | None,
    counts: Counts, dead: Dead,
) -> Row:  # fmt: skip
    """Return the row of a line; `counts` are those of the task's children, by state."""
    shown = line.task
    if shown is None:
        return [(" " * (id_width + 1) + line.text, "")]  # the sum of a list, where there is room
    said = screen.fit(progress(shown, counts, now, screen.has_unicode, dead), BAR)
    numbers = [_time(shown, now), _cpu(shown, used), _peak(shown, used)]
    cells = [said + " " * (BAR - terminal.width_of(said))]
    cells += [f"{text:>{width}}" for text, width in zip(numbers, _WIDTHS[3:])]
    return [
        (f"{shown.id:>{id_width}} ", ""),
        (f"{shown.status:<9} ", shown.status),
        ("".join(f"{cell} " for cell in cells[: _shown(id_width, screen) - 2]), ""),
        (f"{line.lead}{named(shown)}{line.tail}{_message(shown)}", ""),
    ]


def named(shown: Task) -> str:
    """Return a task's name or command, after the name of its user where that is somebody else."""
    whose = f"{terminal.safe(shown.user)}: " if shown.user not in (None, trust.user_name()) else ""
    return whose + lines.label(shown)


def progress(
    shown: Task, counts: Counts, now: float, has_unicode: bool, dead: Dead = NOBODY
) -> str:
    """Say how far a task is, what it waits for or how it ended, in BAR columns."""
    if lines.condition(shown, dead):
        return lines.condition(shown, dead)
    total = sum(counts.values())
    if total and not shown.is_complete:
        ended = sum(counts.get(s, 0) for s in states.COMPLETE_STATES)
        part = lines.part_of_run(shown, counts)
        if part is not None:
            return bar(part, has_unicode)
        if shown.status == states.CREATING:  # nobody knows yet how many there will be
            return f"{ended:,} done"
        return bar(ended / total, has_unicode)
    if shown.status == states.RUNNING and shown.progress_done is not None:
        if shown.progress_total:
            return bar(shown.progress_done / shown.progress_total, has_unicode)
        return f"{shown.progress_done:g}"
    if shown.due_at is not None and shown.due_at > now and not shown.is_complete:
        return f"in {lines.duration(shown.due_at - now)}"
    if shown.status in states.WAITING_STATES:
        return f"waits: {shown.waiting}" if shown.waiting and not shown.is_group else ""
    return "" if shown.status == states.SUCCESS else lines.outcome(shown)


def bar(part: float, has_unicode: bool) -> str:
    """Draw a part of one as a bar with its percents."""
    part = min(max(part, 0.0), 1.0) if part == part else 0.0
    room = BAR - 5
    full = int(part * room)
    drawn = "█" * full + "░" * (room - full) if has_unicode else "#" * full + "-" * (room - full)
    return f"{drawn} {int(100 * part):>3}%"


def _message(shown: Task) -> str:
    if shown.status != states.RUNNING or not shown.progress_message:
        return ""
    return f"  {terminal.safe(shown.progress_message)}"


def _time(shown: Task, now: float) -> str:
    """Say how long it has been running, or ran."""
    if shown.started_at is None or shown.status in states.WAITING_STATES:
        return ""
    return lines.duration((shown.ended_at or now) - shown.started_at)


def _cpu(shown: Task, used: Usage | None) -> str:
    if used is not None:
        return "" if used.cpu is None else f"{100 * used.cpu:.0f}"
    if shown.ended_at is None or shown.started_at is None or shown.user_time is None:
        return ""
    taken = max(shown.ended_at - shown.started_at, 0.01)
    return f"{100 * (shown.user_time + (shown.system_time or 0)) / taken:.0f}"


def _peak(shown: Task, used: Usage | None) -> str:
    peak = used.peak if used is not None else shown.max_rss
    return lines.size(peak) if peak else ""
