"""How items become command lines."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xargs import gnu

from aque.commands.xargs import options
from aque.commands.xargs.batches import Batches

CANNOT_FIT = "cannot fit single argument within argument list size limit"


def make(*argv: str) -> Batches:
    return Batches(options.parse(argv, {}), {})


def run(*argv: str, data: bytes) -> tuple[list[bytes], str | None]:
    """Return each command, its words joined by blanks, and the error."""
    batches = make(*argv)
    ready = [b" ".join(words) for words in batches.feed(data) + batches.finish()]
    return ready, str(batches.error) if batches.error else None


@pytest.mark.parametrize(
    ("argv", "data", "ready"),
    [
        ([], b"a b\nc", [b"echo a b c"]),
        (["-n2"], b"a b c", [b"echo a b", b"echo c"]),
        (["-L1", "x", "y"], b"a b\nc", [b"x y a b", b"x y c"]),
        (["-L2"], b"a\nb \nc\nd", [b"echo a b c", b"echo d"]),
        (["-s9"], b"a b c", [b"echo a b", b"echo c"]),
        (["-I{}", "{}", "{}{}", "x"], b"a b\nc", [b"{} a ba b x", b"{} cc x"]),
        (["-I", "", "echo", ""], b"a", [b"echo a"]),
        ([], b"", [b"echo"]),
        (["-n1"], b" \n", [b"echo"]),
        (["-r"], b"", []),
        (["-I{}"], b"", []),
        (["-EE"], b"E a", [b"echo"]),
    ],
)
def test_items_are_put_together(argv, data, ready):
    assert run(*argv, data=data) == (ready, None)


@pytest.mark.parametrize(
    ("argv", "data", "ready", "error"),
    [
        (["-s4"], b"a", [], CANNOT_FIT),
        (["-s4", "-I{}"], b"a", [], CANNOT_FIT),
        (["-s8"], b"a bbbb", [b"echo a"], "argument line too long"),
        (["-s9", "-n3", "-x"], b"a b c d", [], "argument list too long"),
        (["-s9", "-L1"], b"z\na b c", [b"echo z"], "argument list too long"),
        (["-s9", "-x"], b"a b c", [b"echo a b", b"echo c"], None),
        (["-s9", "-I{}", "echo", "{}"], b"a\nbcde", [b"echo a"], "argument line too long"),
        (["-s9", "-I{}", "echo", "{}-", "-"], b"a\nb", [], "argument list too long"),
        (["-s9", "-I{}", "echo", "{}{}{}{}"], b"aa", [], "command too long"),
    ],
)
def test_the_limit_is_kept_or_told(argv, data, ready, error):
    assert run(*argv, data=data) == (ready, error)


@pytest.mark.parametrize(
    ("argv", "ready"),
    [
        ([], [b"echo a b c"]),
        (["-n2"], [b"echo a b", b"echo c"]),
        (["-n2", "-x"], [b"echo a b"]),
        (["-L1"], [b"echo a b"]),
        (["-I{}", "echo", "{}"], [b"echo a b"]),
    ],
)
def test_what_came_before_an_error_is_run_as_in_gnu_xargs(argv, ready):
    got, error = run(*argv, data=b"a b\nc 'd\n")
    assert (got, error is not None) == (ready, True)


def test_a_batch_comes_out_as_soon_as_it_is_complete():
    batches = make("-n2")
    assert batches.feed(b"a b") == []
    assert batches.feed(b" c ") == [[b"echo", b"a", b"b"]]
    assert batches.finish() == [[b"echo", b"c"]]


def test_the_end_string_ends_the_reading_and_what_is_at_hand_still_runs():
    batches = make("-EE")
    assert batches.feed(b"a E b\n") == []
    assert batches.ended
    assert batches.feed(b"c\n") == []
    assert batches.finish() == [[b"echo", b"a"]]
    assert batches.error is None


def test_a_nul_is_warned_of_once_and_cuts_its_item_off():
    batches = make("-n1")
    assert batches.feed(b"a\0b c\0d\n") == [[b"echo", b"a"], [b"echo", b"c"]]
    batches.feed(b"e\0 ")
    assert len(batches.warnings) == 1
    assert batches.warnings[0].startswith("WARNING: a NUL character occurred in the input.  ")


def test_a_nul_in_a_quote_that_does_not_end_is_warned_of_before_what_was_read_before_it():
    batches = make()
    assert batches.feed(b"a '\0\n") == [[b"echo", b"a"]]
    assert (len(batches.warnings), batches.quiet) == (1, 0)
    complete = make("-n1")
    assert complete.feed(b"a '\0\n") == [[b"echo", b"a"]]
    assert (len(complete.warnings), complete.quiet) == (1, 1)


def test_a_batch_never_passes_what_the_kernel_takes():
    batches = make("-s", "2000000", "true")
    ready = batches.feed(b"a\n" * 500_000) + batches.finish()
    assert sum(len(argv) - 1 for argv in ready) == 500_000
    assert len(ready) > 1
    room = options.parse([], {}).most_chars
    assert all(sum(len(word) + 1 + 8 for word in argv) <= room for argv in ready)


def test_an_argument_that_the_kernel_refuses_is_told_after_those_before_it():
    got, error = run("-s", "2000000", data=b"a b " + b"c" * 1_900_000 + b" d")
    assert got == [b"echo a b"]
    assert error == "can't call exec() due to argument size restrictions"


LIMITS = ([], ["-x"], ["-n1"], ["-n2"], ["-n3", "-x"], ["-L1"], ["-L2"], ["-L2", "-x"], ["-r"])
MODES = (*LIMITS, ["-I{}"], ["-I{}", "-0"], ["-0"], ["-d", "\\n", "-n2"])
BASE = sum(len(word) + 1 for word in gnu.DUMP)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    mode=st.sampled_from(MODES),
    room=st.integers(-2, 30),
    initial=st.lists(st.sampled_from(["x", "{}", "{}y{}", "", "abcd"]), max_size=3),
    data=st.lists(st.sampled_from(b"abcdE\0 \n"), max_size=40).map(bytes),
    chunk=st.sampled_from([1, 3, 1000]),
)
def test_batches_are_those_of_gnu_xargs(mode, room, initial, data, chunk):
    if "-0" not in mode:
        data = data.replace(b"\0", b"'x y'")
    argv = [*mode, "-s", str(BASE + room), *gnu.DUMP, *initial]
    assert gnu.run_ours(argv, data, chunk) == gnu.run(argv, data)
