"""Own what a terminal is shown: its width and colours, and that no text can steer it.

Names and commands are other people's text. Sent raw, an escape sequence in one could recolour,
retitle or answer for a terminal, so whatever is not printable is shown escaped, as `\\x1b`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TextIO

from aque import states
from aque.record import record

AUTO, NEVER, ALWAYS = "auto", "never", "always"

_COLORS = {
    states.CREATING: "2",
    states.PAUSED: "35",
    states.RUNNING: "36",
    states.SUCCESS: "32",
    states.ERROR: "31",
    states.CANCELLED: "33",
}
_DEFAULT_WIDTH = 80
_BYTE_ESCAPES = range(0xDC80, 0xDD00)  # how Python keeps a byte that is not UTF-8 (PEP 383)


@record(frozen=True)
class Terminal:
    """Where lines go. `width` None is a pipe or file: nothing is cut there."""

    width: int | None = None
    has_color: bool = False
    has_unicode: bool = True

    def paint(self, text: str, status: str) -> str:
        """Give a text the colour of a state."""
        code = _COLORS.get(status)
        return f"\x1b[{code}m{text}\x1b[0m" if self.has_color and code else text

    def fit(self, text: str, room: int | None) -> str:
        """Cut a text to so many columns; None is as many as it has."""
        if room is None or width_of(text) <= room:
            return text
        mark = "…" if self.has_unicode else "..."
        mark = mark[: max(room, 0)]
        return _cut(text, max(room, 0) - len(mark)) + mark


def look(color: str = AUTO, stream: TextIO | None = None) -> Terminal:
    """Find out what standard output is."""
    stream = stream or sys.stdout
    is_terminal = stream.isatty()
    wants_color = is_terminal and not os.environ.get("NO_COLOR")
    if color != AUTO:
        wants_color = color == ALWAYS
    elif os.environ.get("TERM") == "dumb":
        wants_color = False
    return Terminal(
        _width(stream) if is_terminal else None,
        wants_color,
        (stream.encoding or "ascii").lower().startswith("utf"),
    )


def _width(stream: TextIO) -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or _DEFAULT_WIDTH
    except OSError:
        return _DEFAULT_WIDTH


def safe(text: str) -> str:
    """Show a text in one line, with all that is not printable escaped."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    number = ord(char)
    if number in _BYTE_ESCAPES:
        return f"\\x{number - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")


def tell(text: str) -> None:
    """Say a line on standard error, which on a terminal is folded between words."""
    print(folded(text, look(stream=sys.stderr).width), file=sys.stderr)


def folded(text: str, width: int | None, indent: int = 2) -> str:
    """Break a line that is too wide between words; what follows is indented. None breaks nothing.

    A terminal would break it anywhere, in the middle of a command to be copied.
    """
    if width is None or width_of(text) <= width:
        return text
    lines = [""]
    for word in text.split(" "):
        if lines[-1].strip() and width_of(f"{lines[-1]} {word}") > width:
            lines.append(" " * indent + word)
        else:
            lines[-1] += f" {word}" if lines[-1] or not word else word
    return "\n".join(lines)


def place(url: str) -> str:
    """Write a queue's URL as its path, under the home directory by ~."""
    path = url.removeprefix("sqlite://").partition("?")[0]
    home = os.path.expanduser("~") + os.sep
    return safe("~" + os.sep + path.removeprefix(home) if path.startswith(home) else path)


def width_of(text: str) -> int:
    """Return how many columns a printable text takes."""
    return len(text) if text.isascii() else sum(_widths(text))


def _widths(text: str) -> Iterable[int]:
    from unicodedata import combining, east_asian_width

    return (0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _cut(text: str, room: int) -> str:
    if text.isascii():
        return text[:room]
    used, length = 0, 0
    for width in _widths(text):
        used += width
        if used > room:
            break
        length += 1
    return text[:length]
