"""The tables for who comes from another tool name commands and calls that exist."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import aque
from aque.commands import umbrella
from aque.commands.xargs import options as xargs_options
from docs import console

PAGE = console.ROOT / "docs" / "moving.md"

_CODE = re.compile(r"`([^`]+)`")
_CELLS = re.compile(r"(?<!\\)\|")
_SUBSTITUTED = re.compile(r"\$\(([^()]*)\)")
_ENDS = set("|&;()<>")


def spans() -> Iterator[str]:
    """Yield the pieces of code in our columns."""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and not line.endswith("| What differs |"):
            _, _, ours, differs, _ = _CELLS.split(line)
            for code in _CODE.findall(ours + differs):
                yield code.replace("\\|", "|")


def invocations(code: str) -> Iterator[list[str]]:
    """Yield the words of each command of ours in a line for the shell."""
    for substituted in _SUBSTITUTED.findall(code):
        yield from invocations(substituted)
    code = _SUBSTITUTED.sub("7", code)
    lexer = shlex.shlex(code, posix=True, punctuation_chars="".join(_ENDS))
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    for word in [*lexer, ";"]:
        if not set(word) <= _ENDS:
            words.append(word)
            continue
        starts = [n for n, each in enumerate(words) if re.fullmatch(r"aque-[a-z]+", each)]
        if starts:
            yield words[starts[0] :]
        words = []


LINES = [words for code in spans() for words in invocations(code)]


def test_the_page_has_many_commands() -> None:
    assert len(LINES) > 80
    named = {words[0].removeprefix("aque-") for words in LINES}
    assert named <= set(umbrella.COMMANDS)
    assert len(named) >= 12


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_a_command_of_a_table_is_understood(words: list[str]) -> None:
    name = words[0].removeprefix("aque-")
    if name == "xargs":
        assert not xargs_options.parse(words[1:], {}).help
        return
    command = vars(importlib.import_module(f"aque.commands.{name}"))[name]
    assert isinstance(command, click.Command)
    if words[1:]:
        command.make_context(words[0], words[1:]).close()


def test_a_call_of_a_table_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (source,) = [text for _, text in console.blocks(PAGE, "python")]
    (tmp_path / "moving_areas.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("moving_areas")
    module.queue.broker.set_limits({"db": 1})
    names = {**vars(module), "time": importlib.import_module("time"), "Queue": aque.Queue}
    names["future"] = module.area.submit(6, 7)
    names["future"].cancel()
    ran = 0
    for code in spans():
        if code.startswith("@queue.task"):
            exec(f"{code}\ndef decorated(): pass", names)
        elif re.match(r"area|queue[ .]", code):
            exec(code.replace("queue = Queue", "other = Queue"), names)
        else:
            continue
        ran += 1
    assert ran >= 12
