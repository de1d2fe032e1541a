"""aque-status --watch on a real terminal: what stands on the screen, and what keys do."""

from __future__ import annotations

import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
from jobs import ended, fetch, running, script, submit
from support import (
    aque,
    child,
    enlist,
    eventually,
    group,
    prototype,
    requirements,
    run,
    started,
    started_worker,
)
from terminals import Terminal

from aque.brokers.base import Broker

WATCH = [sys.executable, "-m", "aque.commands.status", "--watch", "0.2"]
_COLOR = re.compile(rb"\x1b\[3[0-7]m")


@pytest.fixture
def open_terminal(own_queue: str) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*options: str, words: Sequence[str] = WATCH, **environ: str) -> Terminal:
        opened.append(Terminal([*words, *options], environ))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


Open = Callable[..., Terminal]


@contextmanager
def frames(broker: Broker, count: int, name: str = "frames") -> Iterator[int]:
    """Make a group of so many children; its id."""
    (parent,) = broker.create([group(status="creating", name=name)])
    broker.create([child(parent, name=f"frame {n}") for n in range(count)])
    broker.commit([parent])
    yield parent


def test_an_empty_queue_says_how_to_begin_and_then_shows_what_comes(
    broker: Broker, open_terminal: Open
) -> None:
    terminal = open_terminal()
    terminal.shows(
        "^aque .*queue.db +..:..:..$", "^no worker; cpu", "^0 tasks$", "^nothing here; aque-"
    )
    submit(broker, "echo", "hello")
    terminal.shows("^1 task: 1 pending$", r"^ 1 pending +echo hello$")
    terminal.press("q")
    terminal.leave(0)


def is_selected(terminal: Terminal, name: str) -> bool:
    """Whether the cursor is on the task of this name."""
    return any(terminal.is_reverse(y) for y, line in enumerate(terminal.lines) if name in line)


def ask(terminal: Terminal, key: str) -> None:
    """Press a key that asks; what was typed before the question would answer none."""
    terminal.press(key)
    terminal.shows("y/n$")


def test_a_queue_that_works_is_seen_and_steered(broker: Broker, open_terminal: Open) -> None:
    """One long look at all that a key can do, since each start takes its time."""
    says = r'printf "said\r\033[31mred\033[0m\033]0;x\007\n"'
    halfway = f"aque-progress 5 of 10; {says}; exec sleep 99"
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    one = script(broker, halfway, name="evil\x1b]0;title\x07", environ={**os.environ, **path})
    two = submit(broker, "echo", "two", after=[one])
    three = submit(broker, "false")
    with started_worker(broker, "-q"):
        running(broker, one)
        ended(broker, three)
        terminal = open_terminal()
        text = terminal.shows(
            "^1 worker, 1 of [0-9]+ slots; cpu", "^3 tasks: 1 running, 1 pending, 1 error$",
            r"^ 2 pending +waits: 1 +echo two$",
            r"^ 1 running +███░░░  50% +[0-9.ms]+ +[0-9]+ +[0-9.]+M └╌ evil\\x1b\]0;title\\x07$",
            "^ 3 error +exit 1 .* false$", "^k kill",
        )  # fmt: skip
        assert all(len(line) <= 80 for line in text.splitlines())
        assert terminal.is_reverse(5)
        terminal.press("down", "k")
        terminal.shows(r"^kill task 1 \(evil.*\)\? y/n$")
        terminal.press("n", "o")
        terminal.shows("^output of task 1: a all, o stdout, e stderr, l log")
        terminal.press("a")
        terminal.shows("^task 1, attempt 1: evil", r"^red\\x1b\]0;x\\x07$", "^lines 1-1 of 1")
        terminal.press("q", "p")
        terminal.shows("^stop task 1")
        terminal.press("y")
        terminal.shows("^stopped 1 task", "^ 1 running +stopped")
        assert fetch(broker, one).stopped_at
        ask(terminal, "p")
        terminal.press("y")
        terminal.shows("^resumed 1 task", "^ 1 running +███░░░  50%")
        ask(terminal, "k")
        terminal.press("y")
        assert ended(broker, one).status == "cancelled"
        terminal.shows("^3 tasks: 2 error, 1 cancelled", "^ 2 error +#1 failed")
        terminal.press("/", "f", "alse", "enter")
        terminal.shows("; only false$", "^ 3 error")
        assert "echo two" not in terminal.text
        terminal.press("r")
        terminal.shows(r"^retry task 3 \(false\)\? y/n$")
        terminal.press("y")
        terminal.shows("^task 3 waits for its next attempt$")
        eventually(lambda: fetch(broker, three).attempt == 2 and fetch(broker, three).is_complete)
        terminal.press("escape")
        terminal.shows("^[0-9]+ a minute; nothing left to do$")
        terminal.press("?")
        terminal.shows("^  k +kill it and its children$")
        terminal.press("q", "q")
        terminal.leave(0)
    assert "\x1b]" not in terminal.raw.decode().replace("\x1b]R", "")
    assert fetch(broker, two).attempt == 0


def test_what_waits_is_paused_and_given_another_priority(
    broker: Broker, open_terminal: Open
) -> None:
    submit(broker, "echo", "one")
    terminal = open_terminal()
    terminal.shows("^ 1 pending")
    ask(terminal, "p")
    terminal.press("y")
    terminal.shows("^ 1 paused")
    ask(terminal, "p")
    terminal.press("y", "P")
    terminal.shows(r"^priority of task 1 \(echo one\), now 1000")
    terminal.press("x", "enter")
    terminal.shows("^'x' is no whole number")
    terminal.press("P", "-", "7", "enter")
    terminal.shows("^priority -7 for 1 task", "^ 1 pending")
    assert fetch(broker, 1).priority == -7
    terminal.press("/", "foo=1", "enter")
    terminal.shows("^a task has no key 'foo'.*: foo=1_$")
    terminal.press("\x17", "\x04", *"no one", "\x17", *"more", "left", "left", "X")
    terminal.shows(": no moX_re$")
    terminal.press("escape")
    terminal.shows("^k kill")
    terminal.press("w")
    terminal.shows("^  no worker is running")
    terminal.press("q", "r")
    terminal.shows("^task 1 is pending; only one that has ended can be retried")
    terminal.press("\x03")
    terminal.leave(-signal.SIGINT)


def test_the_output_is_that_of_the_latest_attempt_and_says_that_there_is_more(
    broker: Broker, open_terminal: Open
) -> None:
    script(broker, "seq 2500 | head -c-1")
    terminal = open_terminal()
    terminal.shows("^ 1 pending")
    terminal.press("o", "a")
    terminal.shows("^task 1, attempt 0: ", r"^\(nothing yet\)$")
    with started_worker(broker, "-q"):
        terminal.shows("^task 1, attempt 1: ", "^2500$")
        terminal.press("q", "o", "a")
        terminal.shows("^2500$", "^lines 1,979-2,000 of the last 2,000; aque-output 1 has all ")
        terminal.resize(80, 12)
        terminal.shows("^2500$", "^lines 1,991-2,000 of the last 2,000")
        terminal.press("g")
        terminal.shows("^501$", "^lines 1-10 ")
        terminal.press("/", "99", "enter", "n")
        terminal.shows("^699$\n", "^lines 199-208 of")
        terminal.press("N", "b")
        terminal.shows("^599$", "^lines 90-99 of")
    terminal.press("q", "q")
    terminal.leave(0)


def test_a_question_is_answered_by_what_is_typed_after_it_and_by_how_things_are_then(
    broker: Broker, open_terminal: Open
) -> None:
    submit(broker, "true")
    terminal = open_terminal(TERM="vt100")
    terminal.shows("^ 1 pending")
    terminal.press("ky")
    terminal.shows(r"^kill task 1 \(true\)\? y/n$")
    run(broker, enlist(broker), 1)
    terminal.shows("^ 1 success")  # which is seen while it asks
    terminal.press("y")
    terminal.shows(r"^task 1 has ended already \(success\)$")
    terminal.press("/", "t", "enter")
    terminal.shows("; only t$")
    for none in ("\x1bk", "\x1b[I", "\x1b[H", "\x1b[6~", "\x1bOP", "\x1b[200~qk\x1b[201~"):
        terminal.press(none)
    ask(terminal, "r")
    terminal.shows("; only t$", "^run again, though it has succeeded, task 1 ")
    terminal.press("\x03")
    terminal.leave(-signal.SIGINT)


def test_a_change_that_cannot_be_written_is_said_and_the_view_stays(
    broker: Broker, own_queue: str, open_terminal: Open
) -> None:
    submit(broker, "true")
    os.chmod(own_queue, 0o400)
    as_others = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    terminal = open_terminal(words=[*as_others, *WATCH])
    terminal.shows("^ 1 pending")
    terminal.press("k")
    terminal.shows("^kill task 1 ")
    terminal.press("y")
    terminal.shows("^cannot write to ", "^ 1 pending")
    terminal.press("q")
    terminal.leave(0)


def test_on_a_narrow_terminal_the_commands_are_told_apart(
    broker: Broker, open_terminal: Open
) -> None:
    submit(broker, "render", "--shot", "17", "--layers", "beauty,shadow,fog,depth,normals,motion")
    terminal = open_terminal()
    terminal.shows("^ID STATE     PROGRESS      TIME CPU%  PEAK COMMAND$")
    terminal.press("P")
    terminal.shows(r"^priority of task 1 \(render --shot.*\), now 1000, larger goes first: _$")
    terminal.press("escape")
    terminal.resize(60, 24)
    terminal.shows("^ID STATE     PROGRESS      TIME CPU%  PEAK COMMAND$")
    terminal.resize(46, 24)
    terminal.shows("^ID STATE     PROGRESS      TIME COMMAND$", "^ 1 pending {22}render --shot")
    terminal.resize(40, 24)
    terminal.shows("^ID STATE     PROGRESS    COMMAND$", "^ 1 pending {15}render --shot")
    terminal.press("q")
    terminal.leave(0)


def test_wide_groups_are_summed_up_folded_entered_sorted_and_scrolled(
    broker: Broker, open_terminal: Open
) -> None:
    worker = enlist(broker)
    with frames(broker, 40) as parent:
        run(broker, worker, 5, "error", max_rss=3 << 20)
        broker.create([prototype(name=f"single {n}") for n in range(40)])
    terminal = open_terminal(NO_COLOR="1")
    terminal.shows(f"^ {parent} pending +░░░░░░   2% +frames$", "single 14$")
    terminal.shows("^   40 children: 39 pending, 1 error$", "^ 5 error +exit 1 .*└─ frame 3$")
    terminal.press("down", "down", "left", "left")
    terminal.shows(r"frames \(\+40 below\)$", "single 16$")
    terminal.press("right", "page-down", "page-down", "page-down")
    terminal.shows("single 39$", "; 2[0-9] of 41$")
    terminal.press("home", "end")
    terminal.shows("single 39$")
    eventually(lambda: terminal.is_reverse(22))
    terminal.press("home", "enter")
    terminal.shows("; in task 1, 1 of 40$", "frame 17$")
    terminal.press("end")
    terminal.shows("^ 5 error +exit 1")
    terminal.press("escape")
    terminal.shows("40 children", "single 0$")
    terminal.press("down")
    eventually(lambda: terminal.is_reverse(6))
    terminal.press("k")
    terminal.shows("^a sum; Enter lists these children$")
    terminal.press("enter")
    terminal.shows("; in task 1, 1 of 40$")
    terminal.press("escape")
    terminal.shows("40 children", "single 0$")
    eventually(lambda: terminal.is_reverse(6))
    terminal.press("home", "s")
    terminal.shows("^sort by s state, i id, t time, c cpu, m memory, p priority, n name:$")
    terminal.press("m")
    terminal.shows("; by memory, 1 of 81$")
    eventually(lambda: terminal.lines[5].split()[:2] == ["5", "error"])
    terminal.press("t")
    terminal.shows("40 children", "single 0$", "  t list  ")
    terminal.press("s", "n", "t", "t")
    terminal.shows("; 1 of 81$", "  t tree  ")
    terminal.resize(60, 12)
    terminal.process.send_signal(signal.SIGWINCH)
    terminal.shows("; 1 of 81$")
    assert len(terminal.shows(r"^k kill.*…\Z").splitlines()) == 12
    assert max(map(len, terminal.lines)) <= 60
    terminal.resize(20, 5)
    terminal.shows(r"^ID STATE +COMMAND\n 1 pending +frames\n")
    eventually(lambda: terminal.is_reverse(2))
    terminal.process.terminate()
    terminal.leave(-signal.SIGTERM)
    assert not _COLOR.search(terminal.raw)


def test_a_chain_is_entered_and_left_to_the_same_filter_and_place(
    broker: Broker, open_terminal: Open
) -> None:
    before: list[int] = []
    for n in range(7):
        before = [submit(broker, "true", after=before, name=f"link {n}")]
    submit(broker, "true", name="another")
    terminal = open_terminal()
    terminal.shows("^ 7 pending +waits: 1 .*link 6", r"link 3 \(\+1 below\)$")
    terminal.press("/", *"link", "enter")
    terminal.shows("; only link$")
    terminal.press("down", "down", "down", "enter")
    terminal.shows("; dependencies of task 4$", "^ 3 .* link 2$", "╌ link 0$")
    terminal.press("escape")
    terminal.shows("; only link$", "^ 7 pending .* link 6$")
    eventually(lambda: terminal.is_reverse(8))
    terminal.press("escape")
    terminal.shows("^0 a minute$", "another$")
    terminal.press("end")
    eventually(lambda: terminal.is_reverse(9))
    terminal.press("t")
    terminal.shows("  t tree  ", "^ 8 pending +another$")
    eventually(lambda: is_selected(terminal, "another"))
    terminal.press("s", "i")
    terminal.shows("; by id$")
    eventually(lambda: is_selected(terminal, "another"))
    run(broker, enlist(broker), 8)
    broker.remove([8])
    terminal.shows("^task 8 was selected, and is out of sight now$")
    terminal.press("q")
    terminal.leave(0)


def test_a_poor_terminal_is_enough(broker: Broker, open_terminal: Open) -> None:
    submit(broker, "echo", "日本")
    broker.create([prototype(name="hers", requirements=requirements(user="alice"))])
    terminal = open_terminal(
        "-x", TERM="vt100", LC_ALL="POSIX", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0"
    )
    terminal.shows("^ 1 pending", r"echo '\?\?'", "^ 2 pending +alice: hers$")
    terminal.press("end", "k")
    terminal.shows(r"^kill task 2 \(alice: hers\)\? y/n$")
    terminal.press("n", "q")
    terminal.leave(0)
    assert not _COLOR.search(terminal.raw)


def test_it_stops_for_the_shell_and_comes_back_and_says_what_is_wrong_on_a_sane_terminal(
    broker: Broker, own_queue: str, open_terminal: Open
) -> None:
    submit(broker, "true")
    job = 'set -m; "$@"; for n in 1 2; do echo $?; read x; fg >/dev/null; done'
    terminal = open_terminal(words=["sh", "-c", f"{job}; echo ended $?", "sh", *WATCH])
    terminal.shows("^ 1 pending")
    terminal.press("\x1a")
    terminal.shows("^148")
    terminal.press("\n")
    terminal.shows("^ 1 pending", "^k kill")
    watch = psutil.Process(terminal.process.pid).children()[0]
    watch.send_signal(signal.SIGSTOP)
    terminal.shows("147$")
    terminal.press("\n")
    terminal.shows("^ 1 pending", "^k kill")
    broker.close()
    with closing(sqlite3.connect(own_queue)) as connection:
        connection.execute('ALTER TABLE sequence RENAME TO "else"')
    terminal.shows("ended 3$", "aque-status:")
    terminal.leave(0)


def test_however_it_is_ended_the_terminal_is_as_it_was(broker: Broker, open_terminal: Open) -> None:
    submit(broker, "true")
    starting = open_terminal()
    eventually(lambda: starting.raw)
    starting.process.terminate()
    words = ["sh", "-c", 'ulimit -c 0; exec "$@"', "sh", *WATCH]
    abroad = open_terminal("--watch", "25d", words=words, LC_ALL="xx_YY.UTF-8")
    abroad.shows("^ 1 pending")
    abroad.press("\x1c")
    starting.leave(-signal.SIGTERM)
    abroad.leave(-signal.SIGQUIT)


def test_it_ends_when_its_terminal_goes_also_where_no_signal_tells(broker: Broker) -> None:
    mine, theirs = pty.openpty()
    streams = {"stdin": theirs, "stdout": theirs, "stderr": subprocess.PIPE}
    environ = {**os.environ, "TERM": "linux"}
    with started(WATCH, **streams, env=environ, start_new_session=True) as watch:
        os.close(theirs)
        drawn = b""
        while b"quit" not in drawn:
            drawn += os.read(mine, 65536)
        os.close(mine)
        assert watch.communicate(timeout=30) == (None, b"")
        assert watch.returncode == -signal.SIGHUP


def test_without_a_terminal_it_is_printed_once_an_interval(
    broker: Broker, open_terminal: Open
) -> None:
    submit(broker, "echo", "x" * 200)
    dumb = open_terminal(TERM="dumb")
    dumb.shows("^aque .*queue.db +..:..:..\nno worker; ")
    dumb.press("\x03")
    words = [*WATCH, "-s", "pending"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        read = [process.stdout.readline().decode().rstrip() for _ in range(12)]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert [line.split(" ")[0] for line in read] == ["aque", "no", "1", "0", "1", ""] * 2
    assert read[4].endswith("x" * 200)
    dumb.leave(-signal.SIGINT)
    for option in ("--json", "-w0"):
        done = aque("status", "--watch", option, status=2)
        assert len(done.stderr.splitlines()) == 1
