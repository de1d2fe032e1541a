"""How bytes become items."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xargs import gnu

from aque.commands.xargs.items import Items
from aque.commands.xargs.settings import Options

WORDS = Options()
LINES = Options(replace="{}")
NUL = Options(delimiter=b"\0")
UNMATCHED = " quote; by default quotes are special to xargs unless you use the -0 option"


def read(options: Options, data: bytes, chunk: int, limit: int) -> tuple[Items, list[bytes]]:
    """Read all of `data`, and return the items with their reader."""
    items = Items(options, limit)
    got = []
    for start in range(0, len(data), chunk):
        got += items.feed(data[start : start + chunk]).items
    return items, got + items.finish().items


@pytest.mark.parametrize("chunk", [1, 2, 1000])
@pytest.mark.parametrize(
    ("options", "data", "expected"),
    [
        (WORDS, b"", []),
        (WORDS, b" a\tb\n\nc ", [b"a", b"b", b"c"]),
        (WORDS, b"\v\ra\vb\rc d", [b"a\vb\rc", b"d"]),
        (WORDS, b"'a b'\"c'd\"\\ e\\\\ f", [b"a bc'd e\\", b"f"]),
        (WORDS, b"a\\\nb", [b"a\nb"]),
        (WORDS, b"'' \"\"\n", [b"", b""]),
        (WORDS, b"a ''", [b"a"]),
        (WORDS, b"a '", [b"a"]),
        (WORDS, b"a \\", [b"a"]),
        (LINES, b"  a b \n\n \t\nc", [b"a b ", b"c"]),
        (LINES, b"'a\"b' c\\\nd\n''\n", [b'a"b c\nd', b""]),
        (NUL, b"a b\0\0'c\n\0", [b"a b", b"", b"'c\n"]),
        (NUL, b"a\0b", [b"a", b"b"]),
        (Options(delimiter=b"\n", replace="{}"), b" a\n\nb", [b" a", b"", b"b"]),
        (Options(eof="E"), b"a bE\nE c", [b"a", b"bE"]),
        (Options(eof="E"), b"a 'E' 'c", [b"a"]),
        (Options(eof="E"), b"a E", [b"a", b"E"]),
        (Options(eof="E"), b"a\nE", [b"a"]),
        (Options(eof="E", delimiter=b"\n"), b"E\na", [b"E", b"a"]),
    ],
)
def test_input_is_cut_into_items(options, data, chunk, expected):
    items, got = read(options, data, chunk, limit=1000)
    assert got == expected
    assert items.error is None


@pytest.mark.parametrize("chunk", [1, 2, 1000])
@pytest.mark.parametrize(
    ("options", "data", "before", "error"),
    [
        (WORDS, b"a 'b\nc' d", [b"a"], "unmatched single" + UNMATCHED),
        (WORDS, b'a b"c', [b"a"], "unmatched double" + UNMATCHED),
        (LINES, b"a\nb'c\n", [b"a"], "unmatched single" + UNMATCHED),
        (WORDS, b"a 123456789 b", [b"a", b"123456789", b"b"], None),
        (WORDS, b"a 1234567890 b", [b"a"], "argument line too long"),
        (WORDS, b"a '12345'67890", [b"a"], "argument line too long"),
        (NUL, b"a\x001234567890", [b"a"], "argument line too long"),
    ],
)
def test_items_before_an_error_are_kept(options, data, chunk, before, error):
    items, got = read(options, data, chunk, limit=10)
    assert got == before
    assert (str(items.error) if items.error else None) == error
    assert items.ended == bool(error)


@pytest.mark.parametrize(
    ("options", "data", "line_ends"),
    [
        (Options(max_lines=1), b"a b\nc\n\nd", [2, 3]),
        (Options(max_lines=1), b"a \n\n\tb\nc\\ \nd\n", [2, 4]),
        (Options(max_lines=1), b"a ' '\nb\r\n", [2, 3]),
        (NUL, b"a\0b\0c", [1, 2]),
    ],
)
def test_the_ends_of_lines_are_known(options, data, line_ends):
    assert list(Items(options, 1000).feed(data).line_ends) == line_ends


def test_an_item_comes_out_with_the_byte_that_ends_it():
    items = Items(WORDS, 1000)
    assert [items.feed(bytes([byte])).items for byte in b"ab c"] == [[], [], [b"ab"], []]


def test_a_broken_quote_is_told_before_the_input_ends():
    items = Items(WORDS, 1000)
    items.feed(b"'a")
    assert not items.ended
    items.feed(b"\n")
    assert items.ended


ALPHABETS = (b"ab \n", b"ab \n'\"\\", b"abE\n\t ", b"aE \n'\"\\\0\v\r", b"a \n\n  \\")
MODES = ([], ["-L1"], ["-L2"], ["-I{}"], ["-EE"], ["-EE", "-L1"], ["-EE", "-I{}"], ["-n1"])
MORE_MODES = (["-0"], ["-d", "a"], ["-d", "\\n", "-I{}"], ["-0", "-L2"], ["-x"], ["-r"])


@settings(derandomize=True, deadline=None, max_examples=250)
@given(
    mode=st.sampled_from(MODES + MORE_MODES),
    data=st.sampled_from(ALPHABETS).flatmap(
        lambda letters: st.lists(st.sampled_from(letters), max_size=40).map(bytes)
    ),
    chunk=st.sampled_from([1, 2, 3, 7, 1000]),
)
def test_items_are_those_of_gnu_xargs(mode, data, chunk):
    argv = [*mode, *gnu.DUMP, "{}"]
    assert gnu.run_ours(argv, data, chunk) == gnu.run(argv, data)
