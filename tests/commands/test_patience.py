"""What a person at a terminal is told while a change of many tasks takes its time."""

from __future__ import annotations

import sys
from contextlib import closing

from terminals import Terminal

CHANGE = """
from aque.commands import patience
with patience.telling("aque-pause", range(100_000)):
    input()
"""


def test_who_waits_for_a_change_is_told_what_ctrl_c_would_do() -> None:
    with closing(Terminal([sys.executable, "-c", CHANGE], {})) as terminal:
        terminal.shows("aque-pause: still at work on 100,000 tasks; Ctrl-C leaves all as it was")
        terminal.press("enter")
        terminal.leave(0)
