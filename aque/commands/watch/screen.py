"""Own the terminal while the watch has it: taken on entry, and put back however it is left.

What is written was made safe before (terminal.safe).
"""

from __future__ import annotations

import curses
import locale
import os
import sys
from types import TracebackType

from aque import states
from aque.commands import terminal
from aque.commands.terminal import Terminal
from aque.commands.watch import keyboard, signals
from aque.commands.watch.cells import Row

_COLORS = {
    states.CREATING: curses.COLOR_BLUE,
    states.PAUSED: curses.COLOR_MAGENTA,
    states.RUNNING: curses.COLOR_CYAN,
    states.SUCCESS: curses.COLOR_GREEN,
    states.ERROR: curses.COLOR_RED,
    states.CANCELLED: curses.COLOR_YELLOW,
}


def is_possible() -> bool:
    """Whether there is a terminal to take, and it can do what is needed."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    try:
        curses.setupterm(fd=sys.stdout.fileno())
    except curses.error:  # TERM is not set, or nobody knows it
        return False
    return bool(curses.tigetstr("cup"))


class Screen:
    """What is on the terminal; use it in a `with`."""

    def __init__(self, color: str = terminal.AUTO) -> None:
        self._color = color
        self._styles: dict[str, int] = {}
        self._signals = signals.Signals()

    def __enter__(self) -> Screen:
        try:
            with signals.blocked():
                self._signals.take()
                self._take()
        except signals.Ended:  # it came meanwhile
            self._give_back()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._signals.hold()
        self._give_back()

    def _take(self) -> None:
        try:
            locale.setlocale(locale.LC_ALL, "")
        except locale.Error:  # a language that is not installed here
            pass
        os.environ.setdefault("ESCDELAY", "25")
        for name in ("LINES", "COLUMNS"):  # the size is the terminal's, also after a resize
            os.environ.pop(name, None)
        self._window = curses.initscr()
        curses.noecho()
        curses.cbreak()
        self._window.keypad(True)
        try:
            curses.curs_set(0)
        except curses.error:  # a terminal that cannot hide it
            pass
        self._style()

    def _give_back(self) -> None:
        self.put(self.height - 1, [("", "")], "clear")  # where a prompt will stand
        self.finish()
        signals.leave()
        self._signals.give_back()

    @property
    def terminal(self) -> Terminal:
        """What it can show, and how wide it is now."""
        return Terminal(self.width, bool(self._styles.get(states.ERROR)), self._has_unicode)

    @property
    def width(self) -> int:
        return int(self._window.getmaxyx()[1])

    @property
    def height(self) -> int:
        return int(self._window.getmaxyx()[0])

    def begin(self) -> None:
        """Begin a new picture."""
        self._window.erase()

    def put(self, y: int, row: Row, style: str = "") -> None:
        """Put a row into a line, cut at the edge; a `style` goes before those of its pieces."""
        if not 0 <= y < self.height:
            return
        room, x = self.width, 0
        for text, own in row:
            fitted = self.terminal.fit(text, room - x)
            self._write(y, x, fitted, style or own)
            x += terminal.width_of(fitted)
        if style and x < room:
            self._write(y, x, " " * (room - x), style)

    def finish(self) -> None:
        """Show the picture: only what differs is sent."""
        self._window.refresh()

    def key(self, seconds: float) -> str | None:
        """Wait so long for a key; return its name, or itself if it is a character."""
        key = keyboard.read(self._window, seconds)
        if key == "resize":  # by the terminal or Ctrl-L: what stands there is unknown
            self._window.clearok(True)
        return key

    def flush(self) -> None:
        """Forget what was typed and not read yet."""
        curses.flushinp()

    def _write(self, y: int, x: int, text: str, style: str) -> None:
        encoded = text if self._has_unicode else text.encode("ascii", "replace").decode()
        try:
            self._window.addstr(y, x, encoded, self._styles.get(style, 0))
        except curses.error:  # the last cell of all cannot be written without a scroll
            pass

    def _style(self) -> None:
        codeset = locale.nl_langinfo(locale.CODESET).lower()
        self._has_unicode = codeset.startswith("utf")
        self._styles = {
            "bold": curses.A_BOLD,
            "head": curses.A_REVERSE,
            "clear": 0,
            "cursor": curses.A_REVERSE,
        }
        if not _wants_color(self._color):
            return
        curses.start_color()
        if not curses.has_colors():
            return
        curses.use_default_colors()
        for number, (status, color) in enumerate(_COLORS.items(), 1):
            curses.init_pair(number, color, -1)
            self._styles[status] = curses.color_pair(number)


def _wants_color(color: str) -> bool:
    return color == terminal.ALWAYS or (color == terminal.AUTO and not os.environ.get("NO_COLOR"))
