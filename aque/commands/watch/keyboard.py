"""Own the keyboard: the name of the key that was pressed, from what a terminal sends for it.

What curses does not know as a key it returns as Esc and the characters after it. Taken for such,
Alt-k would ask to kill, and a focus report would leave a filter. So what comes at once with an Esc
is read to its end, and is no key unless it is one that terminals send whatever TERM says.
"""

from __future__ import annotations

import curses
import os
import re
import signal

from aque.commands.watch import signals

_KEYS = {
    curses.KEY_UP: "up", curses.KEY_DOWN: "down", curses.KEY_LEFT: "left",
    curses.KEY_RIGHT: "right", curses.KEY_PPAGE: "page-up", curses.KEY_NPAGE: "page-down",
    curses.KEY_HOME: "home", curses.KEY_END: "end", curses.KEY_ENTER: "enter",
    curses.KEY_BACKSPACE: "backspace", curses.KEY_DC: "delete", curses.KEY_RESIZE: "resize",
    "\n": "enter", "\r": "enter", "\x7f": "backspace", "\b": "backspace", " ": "space",
    "\x0c": "resize",
}  # fmt: skip
_MOVES = {"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end"}
_NUMBERED = {
    "1": "home", "3": "delete", "4": "end", "5": "page-up", "6": "page-down", "7": "home",
    "8": "end",
}  # fmt: skip
_ESCAPED = {
    **{f"{begin}{letter}": name for begin in "[O" for letter, name in _MOVES.items()},
    **{f"[{number}~": name for number, name in _NUMBERED.items()},
}
#: What begins a sequence that is not whole yet.
_PART = re.compile(r"\[[0-?]*[ -/]*|O")
#: What a terminal that marks what is pasted sends before it, and after it.
_PASTED, _PASTE_END = "[200~", "\x1b[201~"
#: Milliseconds that the rest of a sequence may take, as curses has it, and seconds that are waited
#: for a key at a time, since curses cannot count much further.
_REST, _LONGEST = 25, 3600.0


def read(window: curses.window, seconds: float) -> str | None:
    """Wait so long for a key; return its name, or itself if it is a character.

    An empty name is that of a key which means nothing. Raises Ended where the terminal has gone.
    """
    key = _get(window, int(1000 * max(0.0, min(seconds, _LONGEST))))
    if key is None and not os.isatty(0):  # it would be asked for ever
        raise signals.Ended(signal.SIGHUP)
    if key == "\x1b":
        return _escaped(window)
    if key is None or key in _KEYS:
        return _KEYS.get(key) if key is not None else None
    if not isinstance(key, str):
        return ""
    return f"ctrl-{chr(ord(key) + 96)}" if key < " " else key if key.isprintable() else ""


def _get(window: curses.window, milliseconds: int) -> str | int | None:
    window.timeout(milliseconds)
    try:
        return window.get_wch()
    except curses.error:
        return None


def _escaped(window: curses.window) -> str:
    found, key = "", _get(window, 0)
    if key is None:
        return "escape"
    if key in ("\x1b", curses.KEY_RESIZE):  # another key, and no part of one
        curses.ungetch(key)
        return "escape"
    while isinstance(key, str):
        found += key
        if not _PART.fullmatch(found):
            break
        key = _get(window, _REST)
    if found == _PASTED:
        _skip_paste(window)
    return _ESCAPED.get(found, "")


def _skip_paste(window: curses.window) -> None:
    """Read what was pasted, which is no command, to its end."""
    pasted = ""
    while not pasted.endswith(_PASTE_END) and isinstance(key := _get(window, _REST), str):
        pasted += key
