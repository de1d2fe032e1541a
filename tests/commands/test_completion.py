"""The words that a shell offers at a TAB, asked of aque and seen in real shells."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from support import aque

from aque import brokers
from aque.commands import completion, umbrella
from aque.queue import Queue

ROOT = Path(__file__).parents[2]
ERASE_LINE = b"\x15"


@pytest.fixture
def queue(own_queue: str) -> Queue:
    """A queue with a task that waits, one that has been killed, and a limit."""
    queue = Queue()
    queue.submit_ex(pattern="shell", args=["true"], name="beauty pass")
    queue.kill([queue.submit_ex(pattern="shell", args=["sleep", "1000"]).id])
    queue.broker.set_limits({"nuke": 3})
    return queue


def offered(text: str, shell: str = "zsh") -> list[str]:
    """Return what is offered at the end of a line, a word for each blank."""
    words = text.split(" ")
    return list(completion.complete(shell, len(words) - 1, words))


def values(text: str, shell: str = "zsh") -> list[str]:
    return [line.partition("\t")[0] for line in offered(text, shell)]


def test_ids_come_with_what_they_are(queue: Queue) -> None:
    assert offered("aque-status ")[:2] == ["2\tcancelled sleep 1000", "1\tpending beauty pass"]
    assert values("aque output 1,") == ["1,2", "1,1", "1,last", "1,all"]
    assert values("aque-submit --after l") == ["last"]
    assert values("aque-submit --parent ") == ["2", "1", "last"]


def test_only_tasks_are_offered_that_the_command_can_do_something_with(queue: Queue) -> None:
    assert values("aque-kill ") == ["1", "last", "all"]
    assert values("aque-retry ") == ["2", "last", "all"]


def test_only_runs_of_aque_xargs_are_offered_to_resume(queue: Queue) -> None:
    queue.submit_ex(name="group", children=[{"pattern": "shell", "args": ["true"]}])
    aque("xargs", "--name", "lint", "true", input="a b")
    assert offered("aque-xargs --resume ") == ["5\tsuccess lint", "last\tthe last run"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("aque su", ["submit"]),
        ("aque-submit --after-", ["--after-any"]),
        ("aque-xargs --max-a", ["--max-args"]),
        ("aque-submit --limit nu", ["nuke"]),
        ("aque-submit --limit=nu", ["--limit=nuke"]),
        ("aque-xargs -P4 --limit nu", ["nuke"]),
        ("aque-limit n", ["nuke"]),
        ("aque-kill -s KI", ["KILL"]),
        ("aque-status -s pau", ["paused"]),
        ("aque-init --set keep-s", ["keep-success="]),
        ("aque-worker --log-format j", ["json"]),
        ("aque-nothing x", []),
        ("aque nothing x", []),
    ],
)
def test_options_and_their_values(queue: Queue, line: str, expected: list[str]) -> None:
    assert values(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("aque-submit --stdin ", "\tfile"),
        ("aque-submit --cwd ", "\tdirectory"),
        ("aque-xargs -a ", "\tfile"),
        ("aque-submit ta", "\tcommand\t1"),
        ("aque-submit -c 2 A=1 tar -", "\tcommand\t4"),
        ("aque submit tar --after", "\tcommand\t2"),
        ("aque-xargs -P 4 -0 ta", "\tcommand\t4"),
        ("aque-xargs -0P4 ta", "\tcommand\t2"),
    ],
)
def test_files_and_commands_are_left_to_the_shell(own_queue: str, line: str, expected: str) -> None:
    assert offered(line) == [expected]


def test_bash_parts_words_at_equals_signs(queue: Queue) -> None:
    assert values("aque-submit --limit = nu", "bash") == ["nuke"]
    assert offered("aque-submit --limit = nuke A = 1 ta", "bash") == ["\tcommand\t7"]


def test_looking_for_candidates_makes_no_queue(own_queue: str) -> None:
    assert offered("aque-kill ") == []
    assert not os.path.exists(brokers.path_of())


def test_every_option_of_every_command_is_offered() -> None:
    for name in umbrella.COMMANDS:
        assert "--help" in values(f"aque-{name} --"), name


def test_another_shell_is_refused() -> None:
    assert umbrella.main(["--completion", "tcsh"]) == 2


def press_tab(shell: list[str], setup: str, lines: Sequence[tuple[str, str]]) -> None:
    """Type lines and TAB into an interactive shell, until it shows what is expected of each."""
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environ.update(TERM="xterm", PS1="$ ", HOME=os.environ["XDG_STATE_HOME"], COLUMNS="200")
    ours, theirs = os.openpty()
    with subprocess.Popen(
        shell, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True
    ) as process:
        os.close(theirs)
        try:
            os.write(ours, f"{setup}; echo re''ady\n".encode())
            read_until(ours, "\nready")
            for line, expected in lines:
                os.write(ours, f"{line}\t".encode())
                read_until(ours, expected)
                os.write(ours, ERASE_LINE)
        finally:
            process.kill()
            process.wait()
            os.close(ours)


def read_until(terminal: int, expected: str) -> None:
    shown, deadline = "", time.monotonic() + 30
    while expected not in shown:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"{expected!r} was not shown, but:\n{shown}"
        text = os.read(terminal, 65536).decode(errors="replace")
        shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text)


@pytest.mark.parametrize(
    ("shell", "options"), [("bash", ["--norc", "--noprofile", "-i"]), ("zsh", ["-f", "-i"])]
)
def test_a_tab_completes_in_a_real_shell(
    queue: Queue, tmp_path: Path, shell: str, options: list[str]
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "my notes.txt").touch()
    (tmp_path / "myriads").mkdir()
    install = f'eval "$(aque --completion {shell})"; cd {tmp_path}'
    lines = [
        ("aque-status --worke", "aque-status --workers "),
        ("aque-xargs -0 --limit nu", "--limit nuke "),
        ("aque-submit --stdin my\\ ", "--stdin my\\ notes.txt "),
        ("aque-xargs --arg-file=my\\ ", "--arg-file=my\\ notes.txt "),
        ("aque-submit --cwd my", "--cwd myriads/"),
        ("aque-submit -c 2 mkfif", "-c 2 mkfifo "),
        ("aque xargs -0 cat my\\ ", "cat my\\ notes.txt "),
    ]
    press_tab([shell, *options], install, lines)


def test_bash_completion_goes_on_with_the_command(own_queue: str) -> None:
    install = """eval "$(aque --completion bash)"; _command_offset() { COMPREPLY=("from$1"); }"""
    line = ("aque-submit -c 2 git che", "from3 ")
    press_tab(["bash", "--norc", "--noprofile", "-i"], install, [line])


def test_fish_completes_too(queue: Queue, tmp_path: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    code = (
        "aque --completion fish | source;"
        "complete -C 'aque-status --worke'; complete -C 'aque-kill 1';"
        f"cd {tmp_path}; complete -C 'aque-xargs -a not'; complete -C 'aque-submit --stdin=not';"
        "complete -C 'aque xargs ech'"
    )
    (tmp_path / "notes.txt").touch()
    done = subprocess.run(
        ["fish", "--no-config", "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith("--workers\t")
    assert lines[1] == "1\tpending beauty pass"
    assert lines[2:4] == ["notes.txt", "--stdin=notes.txt"]
    assert any(line.startswith("echo") for line in lines[4:]), done.stdout
