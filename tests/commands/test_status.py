"""aque-status as it is used: a real process, and what it prints."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aque import brokers, trust
from aque.brokers.base import Broker
from aque.prototype import Earlier, Prototype
from aque.report import End, WorkerRecord
from aque.requirements import Requirements
from aque.worker import host

DAY = 86400.0
STATUS = [sys.executable, "-m", "aque.commands.status"]
ROOT = Path(__file__).parents[2]


class Stage:
    """A queue, a worker of it, and the command to look at it with."""

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "queue.db")
        self.broker: Broker = brokers.from_url(self.path, durable=False)
        self.life = host.hold_life(self.broker, "token")
        self.worker = self.broker.enlist(
            WorkerRecord(
                0, "token", "worker", "desk", "host", "b", "p", 1, None, "me", 8, 0, 8, 0.0
            )
        )

    def create(self, *names: str, **fields: Any) -> list[int]:
        fields = {"pattern": "shell", "args": '["true"]', "requirements": own(), **fields}
        return self.broker.create([Prototype(name=name, **fields) for name in names])

    def group(self, name: str, **fields: Any) -> int:
        """Make a group that waits for children, until `close` says that there are no more."""
        return self.create(name, **{"pattern": None, "args": None, "status": "creating", **fields})[
            0
        ]

    def close(self, *groups: int) -> None:
        self.broker.commit(groups)

    def start(self, *ids: int) -> None:
        claimed = self.broker.claim(self.worker, lambda offer: ids)
        assert [task.id for task in claimed.tasks] == list(ids)

    def end(self, *ids: int, status: str = "success", ago: float = 0.0, **fields: Any) -> None:
        self.start(*ids)
        at = time.time() - ago
        assert all(self.broker.finish([End(id, 1, status, at, **fields) for id in ids]))

    def run(self, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*STATUS, *options], env=self.environ(environ), capture_output=True, text=True
        )

    def environ(self, changes: dict[str, str]) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
        utf8 = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "TERM": "xterm"}
        return {**kept, **utf8, "AQUE_BROKER": self.path, **changes}

    def shown(self, *options: str, **environ: str) -> list[str]:
        """Return the lines of a run that has nothing to complain of."""
        done = self.run(*options, **environ)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    def ids(self, *options: str) -> list[int]:
        return [int(line) for line in self.shown("--format", "{id}", *options)]


def own() -> Requirements:
    return Requirements(user=trust.user_name())


def labels(shown: Sequence[str], column: int) -> list[str]:
    return [line[column:] for line in shown]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    os.close(made.life)
    made.broker.close()


def test_an_empty_queue_says_how_to_begin(stage: Stage) -> None:
    done = stage.run()
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "nothing here; aque-submit echo hello makes a first task\n"


def test_an_empty_queue_is_data_all_the_same(stage: Stage) -> None:
    assert json.loads("".join(stage.shown("--json"))) == []
    assert stage.shown("--csv", "id,name") == ["id,name"]
    assert stage.shown("--format", "{id}") == []


def test_a_line_shows_the_task_its_state_and_what_came_of_it(stage: Stage) -> None:
    stage.create("a", "b", "c", "d")
    stage.end(1, ago=192)
    stage.end(2, status="error", exit_status=2, ago=60)
    stage.start(3)
    one, two, three, four = stage.shown()
    assert one.split()[:4] == ["1", "success", "3m12s", "ago"]
    assert two.split() == ["2", "error", "1m00s", "ago", "exit", "2", "b"]
    assert three.split()[:2] == ["3", "running"]
    assert four.split() == ["4", "pending", "d"]


def test_old_ends_are_left_out_and_come_back_by_since_all_and_ids(stage: Stage) -> None:
    stage.create("old", "new")
    stage.end(1, ago=2 * DAY)
    stage.end(2)
    assert stage.ids() == [2]
    assert len(stage.shown()) == 1
    assert stage.ids("--since", "3d") == [1, 2]
    assert stage.ids("--all") == [1, 2]
    assert stage.ids("--all", "--since", "1d") == [2]
    assert stage.ids("1") == [1]
    assert "old" in stage.shown("1")[0]


def test_where_all_is_old_it_says_how_to_see_it(stage: Stage) -> None:
    stage.create("old")
    stage.end(1, ago=2 * DAY)
    done = stage.run()
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "nothing now; --all shows older tasks, -x other users'\n"


def test_tasks_of_others_are_shown_only_when_asked_for(stage: Stage) -> None:
    stage.create("mine")
    stage.create("theirs", requirements=Requirements(user="somebody"))
    assert stage.ids() == [1]
    assert len(stage.shown()) == 1
    assert stage.ids("-x") == [1, 2]
    assert len(stage.shown("--all-users")) == 2
    assert stage.ids("2") == [2]


# The tree


def diamond(stage: Stage) -> None:
    stage.broker.create(
        [
            Prototype("shell", args="[]", name="build", requirements=own()),
            Prototype("shell", args="[]", name="left", after=(Earlier(0),), requirements=own()),
            Prototype("shell", args="[]", name="right", after=(Earlier(0),), requirements=own()),
            Prototype(
                "shell", args="[]", name="ship", after=(Earlier(1), Earlier(2)), requirements=own()
            ),
        ]
    )


def test_a_diamond_is_a_tree_with_each_task_once(stage: Stage) -> None:
    diamond(stage)
    assert labels(stage.shown(), 23) == [
        "ship",
        "├╌ left",
        "│  └╌ build",
        "└╌ right",
        "   └╌ #1 (above)",
    ]


def test_a_tree_is_drawn_in_ascii_where_the_locale_has_no_more(stage: Stage) -> None:
    diamond(stage)
    assert labels(stage.shown(PYTHONIOENCODING="ascii"), 23) == [
        "ship",
        "|. left",
        "|  `. build",
        "`. right",
        "   `. #1 (above)",
    ]


def test_children_stand_under_their_parent_before_what_it_waits_for(stage: Stage) -> None:
    stage.create("first")
    stage.group("all", after=(1,))
    stage.create("one", "two", parent=2)
    stage.close(2)
    assert labels(stage.shown(), 11) == ["all", "├─ one", "├─ two", "└╌ first"]


def test_the_depth_is_limited_and_says_what_is_below(stage: Stage) -> None:
    stage.create("a")
    for name in "bcde":
        stage.create(name, after=(stage.broker.last_id() or 0,))
    assert labels(stage.shown("--depth", "2"), 23) == ["e", "└╌ d", "   └╌ c (+1 below)"]
    assert len(stage.shown()) == 4
    assert labels(stage.shown("--depth", "1"), 23) == ["e", "└╌ d (+1 below)"]
    assert len(stage.shown("--depth", "0")) == 5
    assert len(stage.shown("5", "--depth", "3")) == 4


def test_a_chain_longer_than_pythons_stack_is_drawn(stage: Stage) -> None:
    chain = [Prototype("shell", args="[]", requirements=own())]
    chain += [
        Prototype("shell", args="[]", after=(Earlier(n),), requirements=own()) for n in range(1500)
    ]
    stage.broker.create(chain)
    assert len(stage.shown("last", "--depth", "0")) == 1501
    done = stage.run("--depth", "0")
    assert len(done.stdout.splitlines()) == 100
    assert done.stderr == "... and 1,401 more; --all shows them\n"


def test_many_children_are_summed_up_with_the_most_telling_first(stage: Stage) -> None:
    parent = stage.group("frames")
    stage.create(*[f"frame {n}" for n in range(412)], parent=parent)
    stage.close(parent)
    stage.end(*range(2, 382))
    stage.end(390, 391, status="error", exit_status=1)
    stage.start(392)
    shown = stage.shown()
    assert shown[1].strip() == "├─ 412 children: 380 success, 29 pending, 1 running, 2 error"
    assert [line.split()[:2] for line in shown[2:]] == [
        ["392", "running"],
        ["390", "error"],
        ["391", "error"],
    ]
    assert len(stage.shown("--all")) == 413
    assert stage.shown("1")[1] == shown[1]


def test_many_dependencies_are_summed_up_too(stage: Stage) -> None:
    ids = stage.create(*"abcdefghijkl")
    stage.create("join", after=tuple(ids))
    assert labels(stage.shown(), 25) == ["join", "└╌ 12 dependencies: 12 pending"]


def test_tasks_named_together_are_one_tree(stage: Stage) -> None:
    diamond(stage)
    assert labels(stage.shown("1-4"), 23) == labels(stage.shown("4"), 23)
    assert labels(stage.shown("1", "2"), 23) == ["left", "└╌ build"]


def test_a_task_named_is_shown_even_where_the_sum_hides_it(stage: Stage) -> None:
    parent = stage.group("frames")
    stage.create(*[f"frame {n}" for n in range(20)], parent=parent)
    stage.close(parent)
    assert stage.shown("1", "7")[-1].split() == ["7", "pending", "frame", "5"]


def test_what_runs_below_something_old_is_shown(stage: Stage) -> None:
    stage.create("a")
    stage.create("b", after_any=(1,))
    stage.end(1)
    stage.end(2, ago=3 * DAY)
    stage.broker.retry([1])
    assert [line.split() for line in stage.shown()] == [["1", "pending", "a"]]


def test_no_more_than_a_hundred_lines_and_then_how_many_more(stage: Stage) -> None:
    stage.create(*[f"task {n}" for n in range(512)])
    stage.end(1, 2, 4, status="error", exit_status=1)
    stage.start(3)
    done = stage.run()
    assert done.returncode == 0
    ids = [int(line.split()[0]) for line in done.stdout.splitlines()]
    assert ids == [*range(417, 513), 3, 1, 2, 4]
    assert done.stderr == "... and 412 more: 412 pending; --all shows them\n"
    flat = stage.run("--flat")
    assert [int(line.split()[0]) for line in flat.stdout.splitlines()] == ids
    assert flat.stderr == "... and 412 more; --all shows them\n"
    assert len(stage.shown("--all")) == 512
    assert len(stage.ids()) == 512


def test_of_many_tasks_named_a_hundred_are_shown_and_explained(stage: Stage) -> None:
    stage.create(*[f"task {n}" for n in range(300)])
    stage.end(7, status="error", exit_status=1)
    done = stage.run("all")
    tree = done.stdout.partition("\n\n")[0].splitlines()
    assert [int(line.split()[0]) for line in tree] == [*range(202, 301), 7]
    assert done.stderr == "... and 200 more; --all shows them\n"
    assert len(stage.shown("1-250", "--all")) > 250
    why = stage.run("--why", "all")
    assert len([line for line in why.stdout.splitlines() if line[0] != " "]) == 20
    assert why.stderr == "... and 280 more; name up to 20\n"


def test_trees_count_by_their_lines(stage: Stage) -> None:
    for n in range(30):
        parent = stage.group(f"group {n}")
        stage.create("a", "b", "c", "d", parent=parent)
        stage.close(parent)
    done = stage.run()
    assert len(done.stdout.splitlines()) == 100
    assert done.stdout.splitlines()[-5].split()[-2:] == ["group", "29"]
    assert done.stderr == "... and 10 more: 10 pending; --all shows them\n"


# Lists and data


def test_a_flat_list_is_a_line_a_task(stage: Stage) -> None:
    diamond(stage)
    assert labels(stage.shown("--flat"), 23) == ["build", "left", "right", "ship"]


def test_data_is_of_the_tasks_named_and_with_depth_of_those_below(stage: Stage) -> None:
    diamond(stage)
    assert stage.ids("4") == [4]
    assert stage.ids("4", "--depth", "1") == [2, 3, 4]
    assert stage.ids("4", "--depth", "0") == [1, 2, 3, 4]
    assert stage.ids("4", "--filter", "name~*t") == [2, 3]


def test_filters_and_states_narrow_what_is_shown(stage: Stage) -> None:
    stage.create("a", "ab", "b")
    stage.create("big", requirements=Requirements(trust.user_name(), cpus=4))
    stage.end(1, status="error", exit_status=2)
    stage.end(3)
    assert stage.ids("-s", "error,pending") == [1, 2, 4]
    assert stage.ids("-s", "error", "-s", "success") == [1, 3]
    assert stage.ids("--filter", "name~a*") == [1, 2]
    assert stage.ids("--filter", "name~a*", "--filter", "name!=a") == [2]
    assert stage.ids("--filter", "cpus>1") == [4]
    assert stage.ids("--filter", "exit_status=2") == [1]
    assert stage.ids("--filter", "ended_at=") == [2, 4]
    assert [line.split()[0] for line in stage.shown("-s", "error")] == ["1"]


def test_json_is_one_document_of_all_keys(stage: Stage) -> None:
    stage.create("a\x1b[31m")
    stage.end(1, status="error", exit_status=2)
    (task,) = json.loads("\n".join(stage.shown("--json", "1")))
    assert (task["id"], task["status"], task["exit_status"]) == (1, "error", 2)
    assert (task["name"], task["args"]) == ("a\x1b[31m", '["true"]')
    assert task["ended_at"].endswith("Z")


def test_csv_has_a_header_and_rows(stage: Stage) -> None:
    stage.create('a,"b"\nc')
    done = stage.run("--csv", "id,name,error")
    assert list(csv.reader(done.stdout.splitlines(keepends=True))) == [
        ["id", "name", "error"],
        ["1", 'a,"b"\nc', ""],
    ]


BAD = {
    ("--csv", "id,nmae"): "no key 'nmae'",
    ("--format", "{name.__class__}"): "no attributes or indices: 'name.__class__'",
    ("--format", "{args[0]}"): "no attributes or indices: 'args[0]'",
    ("--format", "{nmae}"): "no key 'nmae'",
    ("--filter", "nmae=1"): "no key 'nmae'",
    ("--filter", "cpus>many"): "'cpus' is a number, 'many' is not",
    ("-s", "done"): "'done' is no state",
    ("--json", "--csv", "id"): "exclude each other",
    ("--workers", "--csv", "id"): "--workers and --csv exclude each other",
    ("--workers", "--watch=0"): "--workers and --watch exclude each other",
    ("--workers", "--why", "1"): "--workers and --why exclude each other",
    ("--workers", "1"): "--workers and IDS exclude each other",
    ("--why", "1", "--json"): "--why and --json exclude each other",
    ("--workers", "--flat"): "--workers and --flat exclude each other",
    ("--watch", "--json"): "--watch and --json exclude each other",
    ("--since", "1h", "1"): "IDS and --since exclude each other",
    ("--flat", "--depth", "2"): "--depth goes with IDS here",
    ("--depth", "-1"): "--depth",
    ("seven",): "selects no tasks",
}


@pytest.mark.parametrize("options", BAD)
def test_what_makes_no_sense_is_a_usage_error(stage: Stage, options: tuple[str, ...]) -> None:
    done = stage.run(*options)
    assert (done.returncode, done.stdout) == (2, "")
    assert BAD[options] in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_task_that_does_not_exist_is_named(stage: Stage) -> None:
    done = stage.run("7")
    assert (done.returncode, done.stderr) == (1, "aque-status: there is no task 7\n")


def test_tasks_of_dead_workers_are_told_apart_and_nothing_is_written(stage: Stage) -> None:
    xargs = stage.broker.enlist(
        WorkerRecord(0, "other", "xargs", "x", "host", "b", "p", 912, None, "me", 8, 0, 8, 0.0)
    )
    stage.create("frame", "other")
    group = stage.group("xargs echo", owner=xargs)
    stage.create("echo 1", parent=group, requirements=replace(own(), reserved=xargs))
    stage.start(1)
    fcntl.flock(stage.life, fcntl.LOCK_UN)
    number = stage.broker.changes().number
    done = stage.run()
    one, two, three, four = done.stdout.splitlines()
    assert one.split()[0:2] == ["1", "running"]
    assert " worker died " in one
    assert "died" not in two
    assert " xargs died " in three
    assert " xargs died " in four
    assert done.stderr.splitlines() == [
        "a worker (pid 1) died; the next recovers what it ran",
        f"the aque-xargs of task {group} (pid 912) was killed; aque-xargs --resume {group} goes on",
    ]
    lost = [task["is_lost"] for task in json.loads("".join(stage.shown("--json")))]
    assert lost == [True, False, True, True]
    why = stage.shown("--why", "all")
    assert "  its worker (pid 1) is dead; the next worker recovers it" in why
    said = f"  its aque-xargs (pid 912) was killed; aque-xargs --resume {group} goes on"
    assert why.count(said) == 2
    assert stage.broker.changes().number == number


# At a terminal


def test_nothing_in_a_name_or_command_reaches_the_terminal_raw(stage: Stage) -> None:
    stage.create("evil\x1b]0;title\x07\n", "\u202ename")
    stage.broker.create(
        [Prototype("shell", args=json.dumps(["a\x1b[2J", "\udcff\ud800"]), requirements=own())]
    )
    for options in ((), ("--flat",), ("--color", "always")):
        text = "\n".join(stage.shown(*options))
        assert r"evil\x1b]0;title\x07\n" in text
        assert r"\u202ename" in text
        assert r"'a\x1b[2J' '\xff\ud800'" in text
        assert "\x1b]" not in text
        assert "\x1b[2J" not in text


@pytest.fixture
def at_terminal(stage: Stage) -> Callable[..., str]:
    """Run the command with its output on a terminal; return all that came there."""

    def run(*options: str, **environ: str) -> str:
        mine, theirs = pty.openpty()
        process = subprocess.Popen(
            [*STATUS, *options], env=stage.environ(environ), stdout=theirs, stdin=subprocess.DEVNULL
        )
        os.close(theirs)
        received = b""
        while chunk := _read(mine):
            received += chunk
        os.close(mine)
        assert process.wait() == 0
        return received.decode()

    return run


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how Linux tells that the other end of a terminal was closed
        return b""


def test_lines_are_cut_at_the_width_and_coloured_on_a_terminal_only(
    stage: Stage, at_terminal: Callable[..., str]
) -> None:
    stage.create("x" * 200)
    stage.end(1, status="error", exit_status=2)
    (line,) = at_terminal(COLUMNS="60").splitlines()
    assert "\x1b[31merror\x1b[0m" in line
    assert len(line.replace("\x1b[31m", "").replace("\x1b[0m", "")) == 60
    assert line.endswith("x…")
    assert "\x1b" not in at_terminal(NO_COLOR="1")
    assert "\x1b" not in at_terminal("--color", "never")
    assert "\x1b[31m" in at_terminal("--color", "always", NO_COLOR="1")
    assert "\x1b[31m" in stage.shown("--color", "always")[0]
    assert stage.shown()[0].endswith("x" * 200)


def test_an_error_is_cut_for_a_terminal_only(stage: Stage, at_terminal: Callable[..., str]) -> None:
    error = "no such directory as the one that was asked for"
    stage.create("a", "b")
    stage.end(1, status="error", error=error)
    stage.end(2)
    one, two = stage.shown()
    assert f" {error}  a" in one
    assert len(two) < 60
    assert "no such directory as th…  a" in at_terminal(COLUMNS="80")


def test_data_is_raw_at_a_pipe_and_safe_on_a_terminal(
    stage: Stage, at_terminal: Callable[..., str]
) -> None:
    stage.create("a\x1b[31mb")
    assert stage.shown("--format", "{name}") == ["a\x1b[31mb"]
    assert stage.shown("--csv", "name") == ["name", "a\x1b[31mb"]
    assert at_terminal("--format", "{name}").split() == [r"a\x1b[31mb"]
    assert at_terminal("--csv", "name").split() == ["name", r"a\x1b[31mb"]


def test_a_name_that_the_locale_cannot_write_does_not_break_it(stage: Stage) -> None:
    stage.create("日本")
    assert r"\u65e5\u672c" in stage.shown(PYTHONIOENCODING="ascii")[0]
    assert stage.shown("--format", "{name}", PYTHONIOENCODING="ascii") == [r"\u65e5\u672c"]


def test_workers_are_listed(stage: Stage) -> None:
    stage.create("a")
    stage.start(1)
    (line,) = stage.shown("--workers")
    assert line.split()[:2] == ["1", "worker"]
    assert "1 of 8 slots" in line
    assert line.endswith("desk")


def test_nothing_slow_is_imported(stage: Stage) -> None:
    stage.create("a")
    code = (
        "import sys; from aque.commands import status; status.main([]); status.main(['--json']);"
        "slow = 'asyncio psutil subprocess logging concurrent.futures importlib.metadata'.split();"
        "sys.exit(' '.join(m for m in slow if m in sys.modules) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=stage.environ({}), capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
