"""What generated options and input do under GNU xargs and under ours: the same, in all that shows.

XARGS_CASES says how many are tried; with it they are others each time.
"""

from __future__ import annotations

import os
import re
import reprlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xargs import forking, gnu, pair
from xargs.pair import Outcome

from aque import brokers

_CASES = os.environ.get("XARGS_CASES")

#: Shows its arguments behind a mark, as one write, so that commands side by side stay apart.
_SHOW = [b"/usr/bin/printf", b"(%s)", b">>"]
_TELL = [word.encode() for word in pair.TELL]

_NUMBERS = st.sampled_from(
    ["1", "2", "3", "1", "2", "0", "-1", "", "x", "2x", "99999999999999999999"]
)
_SIZES = st.sampled_from(
    ["1", "10", "24", "32", "40", "60", "100", "200", "131072", "0", "-3", "z"]
)
_DELIMITERS = st.sampled_from(
    [
        ",",
        "a",
        "\\n",
        "\\0",
        "\\t",
        "\\x2c",
        "\\054",
        "\\\\",
        " ",
        "",
        "ab",
        "\\q",
        "\\xzz",
        "\\777",
    ]
)
_WORDS = st.sampled_from(["E", "_", "a", "", "{}", "e1"])
_PATTERNS = st.sampled_from(["{}", "{}", "%", "a", "", "{}{}"])

Pieces = st.SearchStrategy[list[str]]


def _with(values: st.SearchStrategy[str], *forms: str) -> Pieces:
    """Options with a value, apart where the form ends in a blank, else attached."""
    return st.tuples(st.sampled_from(forms), values).map(
        lambda made: [made[0].strip(), made[1]] if made[0].endswith(" ") else [made[0] + made[1]]
    )


def _alone(*forms: str) -> Pieces:
    return st.sampled_from(forms).map(lambda form: [form])


_OPTION: Pieces = st.one_of(
    _alone("-0", "--null", "--nul", "-r", "--no-run-if-empty", "-t", "--verbose", "-x", "--exit"),
    _alone("-e", "--eof", "-i", "--replace", "-l", "--max-lines", "-0r", "-rt", "-tx", "-0rx"),
    _alone("-q", "--nonsense", "--max", "--no-run=1", "--null=1", "-P", "--"),
    _with(_DELIMITERS, "-d ", "-d", "--delimiter=", "--delim "),
    _with(_WORDS, "-E ", "-E", "-e", "--eof="),
    _with(_PATTERNS, "-I ", "-I", "-i", "--replace="),
    _with(_NUMBERS, "-L ", "-L", "-l", "--max-lines="),
    _with(_NUMBERS, "-n ", "-n", "--max-args=", "-0n", "-rn "),
    _with(_SIZES, "-s ", "-s", "--max-chars="),
    _with(st.sampled_from(["1", "1", "0", "3", "-1", "x", ""]), "-P ", "-P", "--max-procs="),
    _with(st.sampled_from(["V", "A=B", ""]), "--process-slot-var="),
    st.just(["-a", "missing"]),
)

_COMMANDS = st.sampled_from(
    [
        _SHOW, _SHOW, _SHOW, _SHOW, _SHOW,
        [*_SHOW, b"{}"], [*_SHOW, b"-{}-", b"{}", b"x"], [*_SHOW, b"%", b"aa"],
        _TELL, _TELL, [*_TELL, b"e7"], [b"echo"], [b"echo", b"-n", b"a b"], [],
        [b"no-such-command"], [b"/"], [b"sh", b"-c", b"exit 255"], [b"echo", b"it's", b'"'],
    ]
)  # fmt: skip

_PIECES = [
    b"a", b"b", b"cc", b"E", b"_", b"{}", b"%", b"a,b", b",", b" ", b" ", b" ", b"  ", b"\n", b"\n",
    b"\n", b"\n\n", b"\t", b" \n", b"'", b'"', b"\\", b"'q r'", b'"s t"', b"''", b'""', b"\\ ",
    b"\\\n", b"'\n", b"\0", b"\0", b"\xff", b"\xc3\xa9", b"\r", b"\v", b"e1", b"e255", b"k",
    b"-n", b"x" * 20, b"y" * 41, b"'" + b"z" * 30 + b"'",
]  # fmt: skip
_DATA = st.lists(st.sampled_from(_PIECES), max_size=14).map(b"".join)


@pytest.fixture(scope="module")
def runs() -> Iterator[forking.Runs]:
    with forking.started() as started:
        yield started


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An environment for all cases, and a queue: kept open, since the last to close it syncs it."""
    path = str(tmp_path_factory.mktemp("differential") / "queue.db")
    broker = brokers.from_url(path, durable=False)
    yield pair.environ(AQUE_BROKER=path)
    broker.close()


@given(chosen=st.lists(_OPTION, max_size=3), command=_COMMANDS, data=_DATA, is_posix=st.booleans())
@settings(
    max_examples=int(_CASES or 250),
    derandomize=_CASES is None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_asked_of_it_is_done_as_by_gnu_xargs(
    runs, env, chosen, command, data, is_posix
):
    if any(option[0].startswith(("-P", "--max-procs")) for option in chosen) and b"sh" in command:
        command = _SHOW  # which of several that fail at a time ends the run is left to chance
    argv = [word.encode() for option in chosen for word in option] + list(command)
    given_env = {**env, "POSIXLY_CORRECT": "1"} if is_posix else env
    assert_alike(runs, argv, data, given_env)


#: A single argument, its NUL among them, can have so many bytes (Linux: MAX_ARG_STRLEN).
_MOST = 131072
_LONG = [
    b"x" * (_MOST - 1),
    b"x" * _MOST,
    b"a " + b"x" * (_MOST - 2),
    b"a\n" + b"y" * 150_000 + b"\nb",
    b"y" * 140_000 + b" b",
    b"'" + b"q" * (_MOST + 1) + b"'\n" + b"c " * 5,
]
_LIMITING = [
    [], ["-n1"], ["-L1"], ["-I{}"], ["-x", "-n2"], ["-0"], ["-s131072"], ["-s200000", "-n1"],
    ["-s99999999"], ["-xs131000", "-L2"], ["-t"], ["-ts131072", "-I{}"],
]  # fmt: skip
_COUNT = [b"sh", b"-c", b"echo $#; for a; do echo ${#a}; done", b"sh"]


@pytest.mark.parametrize("data", _LONG, ids=range(len(_LONG)))
def test_items_near_what_the_system_takes_are_batched_and_refused_alike(runs, env, data):
    for options in _LIMITING:
        marked = [b"-{}-"] if "-I{}" in options else []
        assert_alike(runs, [*(o.encode() for o in options), *_COUNT, *marked], data, env)


@pytest.mark.parametrize("more", [{}, {"LONG": "x" * 100_000}, {"EVEN": "x" * 131_000}])
def test_the_limits_are_shown_alike(runs, env, more):
    for options in ([b"-r"], [b"-s", b"3000"], [b"-s1"], [b"-s99999999", b"-r"], [b"-n1", b"-t"]):
        assert_alike(runs, [b"--show-limits", *options, b"echo"], b"a b", {**env, **more})


def assert_alike(
    runs: forking.Runs, argv: Sequence[bytes], data: bytes, env: dict[str, str]
) -> None:
    """Run both; where several commands run at a time their order is left open."""
    gnu.path()

    def run_gnu(descriptors: Sequence[int]) -> int:
        stdin, stdout, stderr = descriptors
        words = [b"xargs", *argv]
        done = subprocess.run(
            words, executable=gnu.path(), stdin=stdin, stdout=stdout, stderr=stderr, env=env,
            check=False, timeout=30,
        )  # fmt: skip
        return done.returncode

    theirs = _outcome(run_gnu, data)
    ours = _outcome(lambda descriptors: runs.run(argv, descriptors, env), data)
    is_alike = _comparable(ours) == _comparable(theirs)
    assert is_alike, f"ours: {reprlib.repr(ours)}\ntheirs: {reprlib.repr(theirs)}"


def _outcome(run: Callable[[Sequence[int]], int], data: bytes) -> Outcome:
    with (
        tempfile.TemporaryFile() as stdin,
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
    ):
        stdin.write(data)
        stdin.seek(0)
        status = run([stdin.fileno(), stdout.fileno(), stderr.fileno()])
        return Outcome(_read(stdout), _read(stderr), status)


def _read(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


def _comparable(outcome: Outcome) -> tuple[list[bytes], list[bytes], int]:
    """Without the order of what several processes write at a time."""
    stdout = sorted(re.split(rb"(?=\(>>\))", outcome.stdout))
    stderr = sorted(outcome.stderr.replace(b"aque-xargs", b"xargs").splitlines())
    return stdout, stderr, outcome.status
