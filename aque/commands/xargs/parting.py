"""Own what an interrupted run says last: how far it came, and how it is taken up again."""

from __future__ import annotations

from collections.abc import Mapping

from aque import states


def word(group: int, counts: Mapping[str, int], interrupted: int, is_all_recorded: bool) -> str:
    """Say it, of a group with children of these statuses.

    Of those that failed so many were `interrupted`: the terminal told them before we could.
    """
    succeeded, failed = counts.get(states.SUCCESS, 0), counts.get(states.ERROR, 0) - interrupted
    cancelled = counts.get(states.CANCELLED, 0) + interrupted
    parts = [f"{succeeded} commands succeeded", f"{cancelled} were cancelled"]
    if failed > 0:
        parts.insert(1, f"{failed} failed")
    resume = f"aque-xargs --resume {group}"
    remedy = f"{resume} runs the rest" if is_all_recorded else f"give the input again to {resume}"
    return f"interrupted; {', '.join(parts)} (task {group}); {remedy}"
