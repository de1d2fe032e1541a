"""docs/states.md says what aque.states does, no more and no less."""

from __future__ import annotations

from aque import states
from docs import console

SETS = ("READY_STATES", "UNREADY_STATES", "ACTIVE_STATES", "COMPLETE_STATES")


def test_the_page_lists_every_state_in_the_order_of_a_life() -> None:
    assert [row[0] for row in _table("State")] == list(states.STATES)


def test_the_page_puts_every_state_into_its_set() -> None:
    named = {state: name for name in SETS for state in getattr(states, name)}
    assert {row[0]: row[1] for row in _table("State")} == named


def test_the_page_marks_the_states_in_which_a_task_may_begin() -> None:
    assert {row[0] for row in _table("State") if row[2] == "yes"} == states.INITIAL_STATES


def test_the_page_has_every_transition_with_its_act_and_no_other() -> None:
    rows = [(row[0], row[1], row[2]) for row in _table("From")]
    assert rows == [(old, new, act) for (old, new), act in states.TRANSITIONS.items()]


def _table(first: str) -> list[list[str]]:
    """Return the rows of the table whose first column is headed so, without code marks."""
    lines = (console.ROOT / "docs" / "states.md").read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {first} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
    return rows
