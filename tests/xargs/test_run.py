"""aque-xargs as a process beside GNU xargs: same output, same commands, same exit status."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xargs import pair
from xargs.pair import TELL, assert_alike, assert_scripts_alike

PIECES = [
    *(b"a", b"bc", b" ", b" ", b"\n", b"\n", b"\t", b"'", b'"', b"\\", b"\0", b"\xff", b"\xc3\xa9"),
    *(b"E", b"{}", b"e1 ", b"e1\n", b"e255 ", b"k ", b"-n", b"x" * 60, b"$", b"'a b'", b'"c"'),
]
MODES = (
    [], ["-0"], ["-d", "a"], ["-d\\n"], ["-EE"], ["-I{}"], ["-I", "a"], ["-i"], ["-L1"], ["-L2"],
    ["-l"], ["-n1"], ["-n2"], ["-n3", "-x"], ["-r"], ["-s", "200"], ["-0n1"], ["-0", "-I{}"],
)  # fmt: skip


@settings(
    derandomize=True,
    deadline=None,
    max_examples=10,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    modes=st.lists(st.sampled_from(MODES), min_size=1, max_size=2),
    verbose=st.sampled_from([[], ["-t"]]),
    initial=st.lists(st.sampled_from(["", "{}", "i{}"]), max_size=1),
    data=st.lists(st.sampled_from(PIECES), max_size=25).map(b"".join),
)
def test_whatever_the_input_both_do_the_same(modes, verbose, initial, data):
    argv = [*(word for mode in modes for word in mode), *verbose, *TELL, *initial]
    assert_alike(argv, data)


@settings(
    derandomize=True,
    deadline=None,
    max_examples=8,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    procs=st.sampled_from(["-P0", "-P2", "-P9"]),
    batch=st.sampled_from(["-n1", "-L1", "-n3"]),
    data=st.lists(st.sampled_from([b"a ", b"b\n", b"e1 ", b"e3\n", b"'c d' "]), max_size=25),
)
def test_in_parallel_both_run_the_same_commands(procs, batch, data):
    script = 'echo "$# $*"; case $1 in e*) exit ${1#e};; esac'
    argv = [procs, batch, "sh", "-c", script, "sh"]
    assert_alike(argv, b"".join(data), is_ordered=False)


@pytest.mark.parametrize(
    ("items", "status"),
    [
        (b"a b", 0),
        (b"e1 a e2", 123),
        (b"e255", 124),
        (b"a e255 b", 124),
        (b"e1 e255", 124),
        (b"e1 e255 a", 123),
        (b"k", 125),
        (b"a k a", 125),
        (b"e1 k a", 123),
        (b"e126 e127", 123),
        (b"a 'b", 1),
        (b"e1 'b", 123),
        (b"k 'b", 125),
    ],
)
def test_the_exit_status_is_that_of_gnu_xargs(items, status):
    assert assert_alike(["-n1", *TELL], items).status == status


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [("255", "exit 0", 124), ("255", "exit 1", 123), ("255", "exit 255", 124),
     ("255", "kill -9 $$", 125), ("0", "exit 1", 123)],
)  # fmt: skip
def test_what_runs_is_awaited_and_nothing_new_begins(first, second, status):
    script = f"""
        printf '%s\\n' first second third | X -n1 -P2 sh -c '
            case $0 in first) sleep 0.1; exit {first};; second) sleep 0.4; echo second; {second};;
            third) [ {first} = 0 ] || echo never;; esac'"""
    assert assert_scripts_alike(script).status == status


@pytest.mark.parametrize("procs", ["-P1", "-P4"])
@pytest.mark.parametrize(
    ("program", "status"),
    [("nope", 127), ("./nope", 127), ("/", 126), ("/etc/passwd", 126), ("", 127), ("./bad", 127)],
)
def test_a_command_that_cannot_be_run_is_told_once(tmp_path, procs, program, status):
    (tmp_path / "bad").write_text("#!/nope\n")
    (tmp_path / "bad").chmod(0o755)
    argv = [procs, "-n1", "-t", program]
    assert assert_alike(argv, b"a b c d", cwd=tmp_path).status == status


def test_a_command_that_cannot_be_run_ends_the_run_before_what_comes_next_is_looked_at():
    assert assert_alike(["nope"], b"a 'b").stderr.count(b"\n") == 1


def test_a_nul_is_told_of_before_the_command_of_its_line_even_if_that_has_not_the_line_in_it():
    assert assert_alike(["-i", "nope"], b"\0\n").stderr.count(b"\n") == 2


@pytest.mark.parametrize(
    "script",
    [
        "X echo a <&-",
        "X -r false <&-",
        "X false <&-",
        "echo a | X echo >&-",
        "echo a | X echo 2>&-",
        "echo a | X nope 2>&-",
        "echo a | X echo >&- 2>&-",
        "X echo a <&- >&- 2>&-",
        "echo /proc/self/fd | X ls",
        "X sh -c 'readlink /proc/self/fd/0' <&-",
        "echo a | X -a /etc/passwd -L1 sh -c 'cat; echo $1'",
        "echo a > f; X -a f cat < f",
        "echo a | X -a - cat",
        "echo a | X -a /dev/null -r cat",
        "echo a | X cat",
        "X -a nope echo",
        "X -a 'no\npe’' echo",
        'LC_ALL=C X -a "no\'pe" echo',
        "X -a / echo a",
        "echo a | X -P2 ./rel",
        "echo a | X ./bare",
        "echo a | PATH=$PWD:$PATH X bare",
        "echo a | PATH=$PWD/d:$PWD:$PATH X rel",
        "mkdir gone; cd gone; rmdir ../gone; echo a | X -n1 echo",
        "echo a | env -u PATH sh -c 'unset PATH; X echo'",
        "echo a | X -I{} sh -c 'echo {} $0' {}",
        "echo a | X sh -c 'umask; pwd'",
        "(cd /; echo a | X sh -c 'pwd')",
        "X --show-limits -r < /dev/null",
        "X -n1 < /dev/null",
        "printf 'a\\0' | LC_ALL=C X -0 -t printf é",
        "seq 4 | X -n1 -P1 --process-slot-var=S sh -c 'echo $S $0'",
        "seq 2 | X -n1 -P0 --process-slot-var=S sh -c 'sleep 0.$((5 - 3 * $S)); echo $S'",
        "trap '' HUP; echo a | X sh -c 'kill -HUP $$; echo lives'",
        "trap '' ALRM TERM; echo a | X sh -c 'kill -ALRM $$; kill $$; echo lives'",
        "echo a | X sh -c 'kill -PIPE $$; echo lives'",
        "trap '' USR1 WINCH; echo a | X sh -c 'kill -WINCH $$; kill -USR1 $$; echo lives'",
        "echo /proc/self/status | X grep -E 'Sig(Blk|Cgt)'",
        "echo /proc/self/sched | nice -n 3 X grep -E '^(policy|prio|se.slice)'",
        "printf 'a\\nE\\nb\\n' | X -E E echo",
        "printf %0200000d 0 | X echo",
        "printf %0100000d 0 | X -n1 sh -c 'echo ${#1}' sh",
        "printf '%0200000d\\0' 0 | X -0 -s 1000000 sh -c 'echo ${#1}' sh",
        "seq 50000 | X echo | md5sum",
        "seq 20000 | X -s 5000 echo | md5sum",
        "echo a | X sh -c 'echo $PPID > p'; test -s p",
    ],
)
def test_what_surrounds_the_run_is_as_under_gnu_xargs(tmp_path: Path, script):
    (tmp_path / "rel").write_text("#!/bin/sh\necho rel $*\n")
    (tmp_path / "bare").write_text("echo bare $0 $*\n")
    (tmp_path / "d" / "rel").mkdir(parents=True)
    for name in ("rel", "bare"):
        (tmp_path / name).chmod(0o755)
    env = pair.environ(PYTHONPATH=str(pair.root()))
    assert_scripts_alike(script, cwd=tmp_path, env=env)


def test_the_environment_is_passed_on_and_only_added_to(tmp_path):
    given = {"PATH": os.environ["PATH"], "AQUE_BROKER": "q", "B": "1"}
    done = pair.run_ours(["env"], env=given, cwd=tmp_path)
    names = [line.partition(b"=")[0] for line in done.stdout.splitlines()]
    theirs = {b"PATH", b"B"}
    assert theirs < set(names)
    assert all(name.startswith(b"AQUE_") for name in set(names) - theirs)
