"""How words become options."""

from __future__ import annotations

import pytest

from aque.commands.xargs import getopt

OPTIONS = (
    getopt.Option("0", "null"),
    getopt.Option("a", "arg-file", getopt.Argument.REQUIRED),
    getopt.Option("e", "eof", getopt.Argument.OPTIONAL),
    getopt.Option("I", "", getopt.Argument.REQUIRED),
    getopt.Option("n", "max-args", getopt.Argument.REQUIRED),
    getopt.Option("r", "no-run-if-empty"),
    getopt.Option("", "max-procs", getopt.Argument.REQUIRED),
    getopt.Option("", "name", getopt.Argument.REQUIRED, ours=True),
    getopt.Option("", "memory", getopt.Argument.REQUIRED, ours=True),
    getopt.Option("", "tag", ours=True),
    getopt.Option("", "timeout", getopt.Argument.REQUIRED, ours=True),
)


def read(*argv: str) -> tuple[list[tuple[str, str | None]], list[str], str | None]:
    scan = getopt.scan(argv, OPTIONS)
    found = [(option.long or option.short, value) for option, value in scan.found]
    return found, scan.operands, scan.error


@pytest.mark.parametrize(
    ("argv", "found", "operands"),
    [
        ([], [], []),
        (["-0r"], [("null", None), ("no-run-if-empty", None)], []),
        (["-0n2"], [("null", None), ("max-args", "2")], []),
        (["-n", "2", "cmd"], [("max-args", "2")], ["cmd"]),
        (["-n", "-0"], [("max-args", "-0")], []),
        (["-n", ""], [("max-args", "")], []),
        (["-eX", "-e", "X"], [("eof", "X"), ("eof", None)], ["X"]),
        (["--eof", "X"], [("eof", None)], ["X"]),
        (["--eof=", "--eof=a=b"], [("eof", ""), ("eof", "a=b")], []),
        (["--max-args=2", "--max-args", "3"], [("max-args", "2"), ("max-args", "3")], []),
        (["--max-a", "3"], [("max-args", "3")], []),
        (["-0", "cmd", "-n", "1"], [("null", None)], ["cmd", "-n", "1"]),
        (["-0", "--", "-n"], [("null", None)], ["-n"]),
        (["-", "-0"], [], ["-", "-0"]),
        (["-I", "--"], [("I", "--")], []),
    ],
)
def test_options_are_read_up_to_the_first_operand(argv, found, operands):
    assert read(*argv) == (found, operands, None)


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (["-y"], "invalid option -- 'y'"),
        (["-0y"], "invalid option -- 'y'"),
        (["-0-"], "invalid option -- '-'"),
        (["-n"], "option requires an argument -- 'n'"),
        (["--foo"], "unrecognized option '--foo'"),
        (["--foo=1"], "unrecognized option '--foo=1'"),
        (["---"], "unrecognized option '---'"),
        (["--nul=3"], "option '--null' doesn't allow an argument"),
        (["--max-args"], "option '--max-args' requires an argument"),
        (["--max=1"], "option '--max=1' is ambiguous; possibilities: '--max-args' '--max-procs'"),
    ],
)
def test_a_wrong_word_is_told_in_the_words_of_getopt(argv, error):
    assert read(*argv)[1:] == ([], error)


def test_what_came_before_an_error_is_kept():
    assert read("-n", "x", "-y", "-0") == ([("max-args", "x")], [], "invalid option -- 'y'")


@pytest.mark.parametrize(
    ("word", "name"),
    [("--n", None), ("--na=x", "name"), ("--name=x", "name"), ("--nu", "null"), ("--m=1", None)],
)
def test_an_abbreviation_that_fits_a_name_of_gnu_is_never_ours(word, name):
    found, _, error = read(word)
    assert [option for option, _ in found] == ([name] if name else [])
    assert (error is None) == (name is not None)
    assert "--name" not in (error or "")
    assert "--memory" not in (error or "")


def test_ours_may_be_abbreviated_where_gnu_has_nothing():
    assert read("--ta")[0] == [("tag", None)]
    assert read("--t")[2] == "option '--t' is ambiguous; possibilities: '--tag' '--timeout'"
