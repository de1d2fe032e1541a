"""Own the keys of the screen: what each does, in the words of the help."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """What the keys of these names do; `short` is how the line at the bottom says it."""

    names: tuple[str, ...]
    act: str
    help: str = ""
    short: str = ""


KEYS = (
    Key(("up", "ctrl-p"), "up"), Key(("down", "j", "ctrl-n"), "down"),
    Key(("page-up", "ctrl-b"), "page_up"), Key(("page-down", "space", "ctrl-f"), "page_down"),
    Key(("home", "g"), "home"), Key(("end", "G"), "end"), Key(("ctrl-d",), "quit"),
    Key(("left",), "fold", "fold: what is below it is only counted; or to the one above"),
    Key(("right",), "unfold", "unfold"),
    Key(("enter",), "enter", "list what is below it: children, else dependencies"),
    Key(("escape", "backspace"), "leave", "back from that list, or from a filter"),
    Key(("k",), "kill", "kill it and its children", "kill"),
    Key(("r",), "retry", "run it again, if it has ended", "retry"),
    Key(("p",), "pause", "pause it, or let it go on", "pause"),
    Key(("P",), "prioritize", "change its priority"),
    Key(("o",), "output", "show what it has written", "output"),
    Key(("w",), "why", "say why it is not running, or why it failed"),
    Key(("/", "f"), "filter_by", "only some: words, a state, KEY=VALUE as of --filter", "filter"),
    Key(("s",), "sort", "sort by state, id, time, cpu, memory, priority or name", "sort"),
    Key(("t",), "tree", "a list of all tasks, or the tree", "{other}"),
    Key(("?", "h"), "help", "this", "help"),
    Key(("q",), "quit", "quit (so does Ctrl-C)", "quit"),
)  # fmt: skip
ACTS = {name: key.act for key in KEYS for name in key.names}
_SHOWN = {"page-up": "PgUp", "page-down": "PgDn", "escape": "Esc"}


def footer(is_tree: bool) -> str:
    """Say the most useful keys in one line."""
    said = "  ".join(f"{key.names[0]} {key.short}" for key in KEYS if key.short)
    return said.format(other="list" if is_tree else "tree")


def help_lines() -> Iterator[str]:
    yield "  arrows, PgUp, PgDn, Home, End, also j, Space, g, G: go to other tasks"
    for key in KEYS:
        if not key.help:
            continue
        names = ", ".join(_SHOWN.get(n, n.capitalize() if len(n) > 1 else n) for n in key.names)
        yield f"  {names:<16}{key.help}"
    yield ""
    yield "A task is asked about before anything is done to it: y does it, no other key."
    yield "PROGRESS has how far a task is, what it waits for, or how it ended; TIME how"
    yield "long it has been running or ran; CPU% is of one cpu; PEAK the most memory that"
    yield "a process of it had. In a text k is not kill, but goes up, as in less."
