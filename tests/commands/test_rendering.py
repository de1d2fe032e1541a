"""How a task is written: as data that survives the way there, as lines that cannot steer."""

from __future__ import annotations

import io
import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aque import states, task
from aque.commands import lines, rendering, terminal
from aque.commands.lines import Line
from aque.commands.terminal import Terminal
from aque.commands.watch import cells, keys
from aque.errors import UsageError
from aque.task import Task

NOW = 1_700_000_000.0


def test_a_task_is_json_with_its_keys_in_order() -> None:
    shown = Task(7, "success", args='["a"]', created_at=NOW, ended_at=NOW + 0.25, duration=1.5)
    record = json.loads(rendering.to_json(shown))
    assert tuple(record) == (*task.KEYS, "is_lost")
    assert record["created_at"] == "2023-11-14T22:13:20Z"
    assert record["ended_at"] == "2023-11-14T22:13:20.250000Z"
    assert record["started_at"] is None
    assert record["duration"] == 1.5
    assert record["args"] == '["a"]'


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan"), 1e300])
def test_numbers_that_json_or_a_calendar_lacks_are_null(number: float) -> None:
    record = json.loads(rendering.to_json(Task(7, "pending", due_at=number)))
    assert record["due_at"] is None


@settings(derandomize=True)
@given(st.text(st.characters()))
def test_any_name_survives_json_as_ascii(name: str) -> None:
    text = rendering.to_json(Task(7, "pending", name=name))
    assert text.isascii()
    assert "\n" not in text
    assert json.loads(text)["name"] == name


FORMATS = {
    "{id}": "7",
    "{id:04d} {status:>8}": "0007  success",
    "{name}|{exit_signal}|{exit_signal:5d}|": "x||     |",
    "{{{id}}}": "{7}",
    "{name!r}": "'x'",
    "plain": "plain",
    "{created_at}": "2023-11-14T22:13:20Z",
}


@pytest.mark.parametrize("pattern", FORMATS)
def test_a_pattern_is_filled_from_the_keys(pattern: str) -> None:
    shown = Task(7, "success", name="x", cpus=6.0, created_at=NOW)
    write = rendering.formatter(pattern)
    assert write(rendering.to_record(shown)) == FORMATS[pattern]


BAD_FORMATS = {
    "{name.__class__}": "no attributes or indices: 'name.__class__'",
    "{args[0]}": "no attributes or indices",
    "{id:{name.__class__}}": "no other fields",
    "{nmae}": "no key 'nmae', but 'name'; aque-status --json shows them all$",
    "{xyz}": "no key 'xyz'; aque",
    "{}": "no key ''",
    "{0}": "no key '0'",
    "{id": "--format",
    "{id!x}": "--format",
    "{name:999999999999}": "widths up to 9999",
    "{id:.999999999f}": "widths up to 9999",
    "{id:{memory}}": "no other fields",
    "{memory:c}": "--format",
}


@pytest.mark.parametrize("pattern", BAD_FORMATS)
def test_a_pattern_that_reaches_beyond_the_keys_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match=BAD_FORMATS[pattern].replace("[", r"\[")):
        rendering.formatter(pattern)(rendering.to_record(Task(7, "success", memory=4 << 30)))


def test_a_format_that_does_not_suit_its_value_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="--format"):
        rendering.formatter("{name:d}")(rendering.to_record(Task(7, "success", name="x")))


@settings(derandomize=True)
@given(st.text(alphabet="{}!:.[]()idname_0<>%"))
def test_any_pattern_is_filled_or_refused(pattern: str) -> None:
    try:
        rendering.formatter(pattern)(rendering.to_record(Task(7, "success", name="x")))
    except UsageError:
        pass


SAFE = {
    "plain ü 日本": "plain ü 日本",
    "\x1b[31mred": r"\x1b[31mred",
    "a\nb\tc\r": r"a\nb\tc\r",
    "\x7f\x9b0m": r"\x7f\x9b0m",
    "\u202eevil": r"\u202eevil",
    "byte \udcff": r"byte \xff",
    "\ud800": r"\ud800",
}


@pytest.mark.parametrize("text", SAFE)
def test_what_is_not_printable_is_shown_escaped(text: str) -> None:
    assert terminal.safe(text) == SAFE[text]


@settings(derandomize=True)
@given(st.text(st.characters()))
def test_nothing_that_a_terminal_acts_on_is_ever_safe(text: str) -> None:
    safe = terminal.safe(text)
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs") for char in safe)
    assert terminal.safe(safe) == safe


@settings(derandomize=True)
@given(st.text(), st.integers(0, 40), st.booleans())
def test_what_is_fitted_takes_no_more_columns_than_there_are(
    text: str, room: int, has_unicode: bool
) -> None:
    safe = terminal.safe(text)
    fitted = Terminal(has_unicode=has_unicode).fit(safe, room)
    assert terminal.width_of(fitted) <= room
    assert fitted == safe or terminal.width_of(safe) > room


def test_wide_and_combining_characters_are_measured() -> None:
    assert terminal.width_of("日本") == 4
    assert terminal.width_of("e\u0301") == 1
    assert Terminal().fit("日本語", 4) == "日…"


class Screen(io.StringIO):
    """A terminal, as far as asking goes."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError


COLORS = [
    (Screen(), "auto", {}, True),
    (Screen(), "auto", {"NO_COLOR": "1"}, False),
    (Screen(), "auto", {"NO_COLOR": ""}, True),
    (Screen(), "auto", {"TERM": "dumb"}, False),
    (Screen(), "never", {}, False),
    (Screen(), "always", {"NO_COLOR": "1"}, True),
    (io.StringIO(), "auto", {}, False),
    (io.StringIO(), "always", {}, True),
]


@pytest.mark.parametrize(("stream", "color", "environ", "expected"), COLORS)
def test_colour_is_for_terminals_and_can_be_refused(
    stream: Any, color: str, environ: dict[str, str], expected: bool, monkeypatch: Any
) -> None:
    for key in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(key, raising=False)
    for key, value in environ.items():
        monkeypatch.setenv(key, value)
    assert terminal.look(color, stream).has_color == expected


def test_a_terminal_has_a_width_and_a_pipe_none(monkeypatch: Any) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert terminal.look(stream=Screen()).width == 80
    monkeypatch.setenv("COLUMNS", "40")
    assert terminal.look(stream=Screen()).width == 40
    assert terminal.look(stream=io.StringIO()).width is None


DURATIONS = {
    -5.0: "0.00s",
    0.4: "0.40s",
    0.996: "1.0s",
    2.44: "2.4s",
    9.96: "10s",
    59.4: "59s",
    59.6: "1m00s",
    192.0: "3m12s",
    3599.7: "1h00m",
    3725.0: "1h02m",
    183600.0: "2d03h",
}


@pytest.mark.parametrize("seconds", DURATIONS)
def test_a_duration_is_short(seconds: float) -> None:
    assert lines.duration(seconds) == DURATIONS[seconds]


@settings(derandomize=True)
@given(st.floats(0, 99 * 86400))
def test_a_duration_never_takes_more_than_six_characters(seconds: float) -> None:
    assert len(lines.duration(seconds)) <= 6


WHEN = [
    (Task(1, "running", started_at=NOW - 3725), "1h02m"),
    (Task(1, "success", ended_at=NOW - 192.9), "3m12s ago"),
    (Task(1, "success", ended_at=NOW + 5), "0s ago"),
    (Task(1, "pending", due_at=NOW + 600), "in 10m00s"),
    (Task(1, "pending", due_at=NOW - 1), ""),
]


@pytest.mark.parametrize(("shown", "text"), WHEN)
def test_a_line_says_when(shown: Task, text: str) -> None:
    assert lines.when(shown, NOW) == text


OUTCOMES = [
    (Task(1, "error", exit_status=2, error="ended with exit status 2"), "exit 2"),
    (Task(1, "error", exit_signal=9), "SIGKILL"),
    (Task(1, "error", exit_signal=4242), "signal 4242"),
    (Task(1, "error", cause=3), "#3 failed"),
    (Task(1, "error", error="ValueError: \x1b[31m\nmore"), r"ValueError: \x1b[31m"),
    (Task(1, "error"), ""),
    (Task(1, "success", started_at=NOW, ended_at=NOW + 12), "took 12s"),
    (Task(1, "running", progress_done=2.0, progress_total=5.0), "40%"),
    (Task(1, "pending", pattern="shell", waiting=3), "waits for 3"),
    (Task(1, "pending", waiting=3), ""),
]


@pytest.mark.parametrize(("shown", "text"), OUTCOMES)
def test_a_line_says_what_came_of_it(shown: Task, text: str) -> None:
    assert lines.outcome(shown) == text


@settings(derandomize=True)
@given(
    st.lists(
        st.builds(
            Line,
            st.none()
            | st.builds(
                Task,
                st.integers(1, 10**12),
                st.sampled_from(states.STATES),
                name=st.text(),
                error=st.none() | st.text(),
            ),
            text=st.text(st.characters(categories=["L", "N"])),
            tail=st.sampled_from(["", " (+3 below)"]),
        )
    ),
    st.integers(1, 100),
)
def test_no_line_is_wider_than_the_screen(shown: list[Line], width: int) -> None:
    written = list(lines.layout(shown, Terminal(width), NOW))
    assert len(written) == len(shown)
    assert all(terminal.width_of(text) <= width for text in written)
    assert all(text.isprintable() for text in written)


def test_columns_are_aligned_and_empty_ones_left_out() -> None:
    shown = [
        Line(Task(7, "running", name="a", started_at=NOW - 12)),
        Line(Task(12, "error", name="b", ended_at=NOW - 60, exit_status=2)),
    ]
    assert list(lines.layout(shown, Terminal(), NOW)) == [
        " 7 running 12s               a",
        "12 error   1m00s ago exit 2  b",
    ]
    assert list(lines.layout([Line(Task(7, "pending", name="a"))], Terminal(), NOW)) == [
        "7 pending  a"
    ]


def test_the_label_is_cut_before_what_is_said_after_it() -> None:
    line = Line(Task(7, "pending", name="x" * 100), tail=" (+3 below)")
    (text,) = lines.layout([line], Terminal(40), NOW)
    assert text == "7 pending  " + "x" * 17 + "… (+3 below)"


def test_where_a_text_finds_no_room_its_short_form_is_cut() -> None:
    line = Line(None, text="9 children: 8 success, 1 error", short="9 children: 1 error, 8 success")
    assert list(lines.layout([line], Terminal(24), NOW)) == ["   9 children: 1 error,…"]


def test_a_state_has_its_colour() -> None:
    (text,) = lines.layout([Line(Task(7, "error", name="x"))], Terminal(has_color=True), NOW)
    assert text == "7 \x1b[31merror\x1b[0m  x"


def test_a_row_that_is_not_ours_to_read_still_has_a_label() -> None:
    shown = Task(7, "pending", pattern="generic", func='"module:work"', args="{not json")
    assert lines.label(shown) == "work"


def test_how_far_a_group_is_is_a_part_only_once_it_is_known_of_what() -> None:
    counts = {"success": 380, "error": 2, "running": 4}
    reading = Task(7, "creating", owner=3)
    assert cells.progress(reading, counts, NOW, has_unicode=False) == "382 done"
    whole = Task(7, "pending")
    assert cells.progress(whole, counts, NOW, has_unicode=False) == "#####-  98%"


def test_the_help_of_the_watch_fits_a_small_terminal() -> None:
    shown = list(keys.help_lines())
    assert len(shown) <= 22
    assert max(map(len, shown)) < 80
    assert len(keys.footer(is_tree=True)) < 80


@pytest.mark.parametrize(
    ("width", "folded"),
    [
        (None, "aque-kill: there is no task 12345678 (see --help)"),
        (49, "aque-kill: there is no task 12345678 (see --help)"),
        (30, "aque-kill: there is no task\n  12345678 (see --help)"),
        (8, "aque-kill:\n  there\n  is no\n  task\n  12345678\n  (see\n  --help)"),
    ],
)
def test_a_line_too_wide_is_folded_between_words(width: int | None, folded: str) -> None:
    text = "aque-kill: there is no task 12345678 (see --help)"
    assert terminal.folded(text, width) == folded
