"""What the options mean, and how they push each other out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xargs import gnu

from aque.commands.xargs import limits, options

TRY = "\nTry 'aque-xargs --help' for more information."


def parse(*argv: str) -> options.Options:
    return options.parse(argv, {})


@pytest.mark.parametrize(
    ("argv", "fields"),
    [
        ([], {"command": ("echo",), "max_procs": 1, "max_chars": 131072, "delimiter": None}),
        (["-0", "ls", "-n"], {"command": ("ls", "-n"), "delimiter": b"\0"}),
        (["-d", "x"], {"delimiter": b"x"}),
        (["-d\\n"], {"delimiter": b"\n"}),
        (["-d\\\\"], {"delimiter": b"\\"}),
        (["-d\\"], {"delimiter": b"\\"}),
        (["-d\\x41"], {"delimiter": b"A"}),
        (["-d\\x"], {"delimiter": b"\0"}),
        (["-d\\0101"], {"delimiter": b"A"}),
        (["-d", "\udcff"], {"delimiter": b"\xff"}),
        (["-EX"], {"eof": "X"}),
        (["-eX"], {"eof": "X"}),
        (["-EX", "-e"], {"eof": None}),
        (["-E", ""], {"eof": None}),
        (["-i"], {"replace": "{}"}),
        (["--replace=X"], {"replace": "X"}),
        (["-I", "X"], {"replace": "X", "is_strict": True}),
        (["-l"], {"max_lines": 1, "is_strict": True}),
        (["-L5"], {"max_lines": 5}),
        (["-n", " +3"], {"max_args": 3, "is_strict": False}),
        (["-s50", "-x"], {"max_chars": 50, "exit_if_too_big": True, "is_strict": True}),
        (["-P0", "-rt"], {"max_procs": 0, "no_run_if_empty": True, "verbose": True}),
        (["-po"], {"interactive": True, "verbose": True, "open_tty": True}),
        (["-a", "f"], {"arg_file": "f"}),
        (["--process-slot-var=V", "--show"], {"slot_var": "V", "show_limits": True}),
        (["-n1", "--help", "-y"], {"help": True, "max_args": 1}),
        (["--version", "-n0"], {"version": True}),
        (
            ["--broker", "q.db", "--name=N", "--priority=-3", "--cpus", "0.5"],
            {"broker": "q.db", "name": "N", "priority": -3, "cpus": 0.5},
        ),
    ],
)
def test_options_are_understood(argv, fields):
    opts = parse(*argv)
    assert {name: getattr(opts, name) for name in fields} == fields
    assert opts.warnings == ()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["-y"], f"invalid option -- 'y'{TRY}"),
        (["--max-chars=x"], f'invalid number "x" for -s option{TRY}'),
        (["-l0"], f"value 0 for -l option should be >= 1{TRY}"),
        (["-P", str(2**31)], f"value {2**31} for -P option should be <= {2**31 - 1}{TRY}"),
        (
            ["--cpus=nan"],
            "'nan' is no number of cpus; write 2, 0.5, or -4 for a quarter of all",
        ),
        (["--priority=1.5"], f'invalid number "1.5" for --priority option{TRY}'),
        (
            ["-d\\x100"],
            "Invalid escape sequence \\x100 in input delimiter specification; "
            "character values must not exceed ff.",
        ),
    ],
)
def test_a_wrong_command_line_is_told_with_status_1(argv, message):
    with pytest.raises(options.UsageError) as caught:
        parse(*argv)
    assert str(caught.value) == message
    assert caught.value.exit_status == 1


def test_an_error_keeps_the_warnings_before_it():
    with pytest.raises(options.UsageError) as caught:
        parse("-s0", "-n0")
    assert caught.value.warnings == ("value 0 for -s option should be >= 1",)


def test_a_size_beyond_the_system_is_clamped_with_a_warning():
    opts = parse("-s", str(10**12))
    assert opts.max_chars == opts.most_chars == limits.most_chars({})
    assert opts.warnings == (f"value {10**12} for -s option should be <= {opts.max_chars}",)


def test_an_environment_that_leaves_no_room_is_refused():
    with pytest.raises(options.UsageError, match="environment is too large for exec"):
        options.parse([], {b"X": b"x" * limits.most_chars({})})


def test_every_option_has_a_line_of_help():
    text = options.usage()
    for row in (*options.GNU, *options.OURS):
        assert f"--{row.long}" in text if row.long else f"-{row.short} " in text


def test_every_option_of_gnu_is_there():
    text = gnu.run(["--help"], b"")[0].decode()
    written = re.findall(r"(?<!\S)-(\w)\b|(?<!\S)--([\w-]+)", text)
    letters, names = {letter for letter, _ in written}, {name for _, name in written}
    assert letters - {""} == {row.short for row in options.GNU} - {""}
    assert names - {""} == {row.long for row in options.GNU} - {""}


def test_the_limits_shown_are_those_of_gnu():
    told = gnu.run(["--show-limits", "-s100", *gnu.DUMP], b"")[1]
    assert told == limits.report(gnu.ENVIRON, 100)


WORDS = """
    -n1 -n2 -n -nx -n0 -L1 -L2 -L -l -l3 -l0 -i -iX -I{} -IX --replace --replace=X --max-lines
    --max-lines=2 --max-args=1 --max-args -x -s0 -s99 -s99999999 -sx -P-1 -Px -0 -d\\n -d -d\\q
    -d\\x41 -d\\x-1 -d\\08 -EE -E -e -eE --eof --eof=E --eo=E --null --nul --nu=1 --m --max-a=2
    --max-c --n --no-run -r -rx -xr0 -y -ry --foo --foo=1 --exit --ex --e --d --d=a --del=ab --v
    --process-slot-var --process-slot-var=A= --pr=A --process-slot-var= --= --=x ---x -n+3 --rep
    """.split()


@settings(derandomize=True, deadline=None, max_examples=300)
@given(argv=st.lists(st.sampled_from(WORDS), max_size=5))
def test_options_do_what_they_do_in_gnu_xargs(argv):
    argv = [*argv, *gnu.DUMP, "{}", "X"]
    data = b"a b\nE c\nE\nd"
    assert gnu.run_ours(argv, data, 1000) == gnu.run(argv, data)
