"""Output that is kept: apart, by lines, in order, with tags; and shown again by aque-output."""

from __future__ import annotations

import os
import subprocess

import pytest
from support import aque, eventually
from xargs import runs

from aque import states
from aque.brokers.base import Broker

#: The later an item, the sooner it ends: each waits for the one after it.
REVERSED = """
echo out $0; echo err $0 >&2
while [ $0 -lt 3 ] && [ ! -e ended$(($0 + 1)) ]; do sleep 0.01; done
echo end $0; : > ended$0
"""


def lines(*numbers: int) -> bytes:
    return b"".join(b"out %d\nend %d\n" % (n, n) for n in numbers)


@pytest.mark.parametrize(
    "options", [["--group"], ["--keep-order"], ["--keep-order", "--line-buffer"]]
)
def test_each_commands_output_is_shown_whole(broker: Broker, tmp_path, options):
    done = runs.run(*options, "-n1", "-P3", "sh", "-c", REVERSED, data=b"1 2 3", cwd=tmp_path)
    shown = done.stdout
    if options == ["--group"]:  # as they end
        shown = b"".join(sorted(shown[at : at + 12] for at in range(0, len(shown), 12)))
    assert (shown, done.status) == (lines(1, 2, 3), 0)
    assert sorted(done.stderr.split(b"\n")) == [b"", b"err 1", b"err 2", b"err 3"]
    again = aque("output", str(runs.group(broker).id))
    assert (again.stdout.encode(), again.stderr) == (lines(1, 2, 3), "err 1\nerr 2\nerr 3\n")


def test_a_line_is_shown_when_it_is_complete_and_never_torn(tmp_path):
    script = "printf a$0; while [ ! -e gate ]; do sleep 0.01; done; echo b; echo c$0"
    with runs.start("--line-buffer", "-n1", "-P2", "sh", "-c", script, data=b"1 2",
                    cwd=tmp_path) as process:  # fmt: skip
        (tmp_path / "gate").touch()
        assert process.stdout is not None
        assert sorted(process.stdout.read().split()) == [b"a1b", b"a2b", b"c1", b"c2"]


def test_a_line_is_shown_while_its_command_goes_on(tmp_path):
    script = "echo first; while [ ! -e gate ]; do sleep 0.01; done"
    with runs.start("--line-buffer", "sh", "-c", script, data=b"1", cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"first\n"
        (tmp_path / "gate").touch()


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["-n1", "echo", "x"], b"a b\tx a b\nc\tx c\n"),
        (["-n2", "echo"], b"a b c\ta b c\n"),
        (["-I{}", "printf", "<{}:{}>\\n%s", "{}"], b"a b\t<a b:a b>\na b\ta bc\t<c:c>\nc\tc"),
    ],
)
def test_a_tag_is_what_the_command_was_given(argv, shown):
    assert runs.run("--tag", "-d\\n", *argv, data=b"a b\nc").stdout == shown


def test_large_output_is_shown_and_stored_whole(broker: Broker):
    script = "head -c 3000000 /dev/zero | tr '\\0' $0; echo"
    done = runs.run("--keep-order", "-n1", "-P2", "sh", "-c", script, data=b"a b")
    assert done.stdout == b"a" * 3_000_000 + b"\n" + b"b" * 3_000_000 + b"\n"
    assert aque("output", str(runs.group(broker).id)).stdout.encode() == done.stdout


def test_of_a_retried_command_the_last_attempt_is_shown(broker: Broker):
    script = "echo $AQUE_ATTEMPT; test $AQUE_ATTEMPT = 3"
    done = runs.run("--group", "--retries=2", "sh", "-c", script, data=b"a")
    assert (done.stdout, done.status) == (b"3\n", 0)
    (child,) = runs.children(broker)
    assert aque("output", str(child.id)).stdout == "3\n"


def test_a_reader_that_goes_away_ends_the_run(broker: Broker):
    reader, writer = os.pipe()
    argv = ["--line-buffer", "-n1", "sh", "-c", "echo a; exec sleep 60"]
    with runs.start(*argv, data=b"a b", stdout=writer, stderr=subprocess.DEVNULL) as process:
        os.close(writer)
        os.close(reader)
        assert process.wait(10) == 125
    eventually(lambda: set(runs.statuses(broker)) == {states.CANCELLED})
