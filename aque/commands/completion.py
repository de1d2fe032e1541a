"""Own the completion of command lines in a shell: which words may come next.

The shell's part (`shells`) asks `aque --complete SHELL INDEX WORD...` at each TAB and gets a line
for each candidate, its value and what it means, parted by a tab. A line that begins with a tab is
for the shell to do: complete a file or a directory, or from the word of that number on a command of
its own, which the shell knows better than we do.

click's own completion is not used: aque-xargs does not go by click, and in `aque-submit tar -x` the
options are tar's. The options themselves, and their help, are read from click's commands.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Sequence

import click

from aque import errors
from aque.commands import candidates, entry, umbrella
from aque.record import record

_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
FILE, DIRECTORY, COMMAND = "\tfile", "\tdirectory", "\tcommand"
_BY_METAVAR = {"PATH": FILE, "FILE": FILE, "DIR": DIRECTORY}


@record(frozen=True)
class Option:
    """An option by its names. `kind` says what its value is; None where it takes none."""

    names: Sequence[str]
    kind: str | None
    help: str


@record(frozen=True)
class Line:
    """A command line up to the cursor: the words before it, and the begin of the one it is in.

    `places` are the numbers of all these words as the shell counts them.
    """

    command: str
    words: Sequence[str]
    begin: str
    places: Sequence[int]


def complete(shell: str, index: int, words: Sequence[str]) -> Iterator[str]:
    """Yield what may stand at the place of word `index`, the program's name being word 0."""
    typed = [*words[:index], words[index] if index < len(words) else ""]
    joined = _join(typed) if shell == "bash" else list(enumerate(typed))
    places = [place for place, _ in joined]
    program, *before, begin = (word for _, word in joined)
    name = program.rpartition("/")[2].removeprefix("aque-")
    if name == "aque" and before:
        name, before, places = before[0], before[1:], places[1:]
    if name == "aque":
        yield from _lines(_begins(begin, [(n, text) for n, (_, text) in umbrella.COMMANDS.items()]))
    elif name in umbrella.COMMANDS:
        keep = "" if shell == "bash" else begin[: begin.find("=") + 1]
        yield from _next(Line(name, before, begin, places[1:]), _options(name), keep)


def _join(words: Sequence[str]) -> list[tuple[int, str]]:
    """Undo what bash does to `--name=value`, which it hands over as three words."""
    joined: list[tuple[int, str]] = []
    for place, word in enumerate(words):
        last = joined[-1][1] if joined else ""
        if joined and (word == "=" or (last.endswith("=") and last != "=")):
            joined[-1] = joined[-1][0], last + word
        else:
            joined.append((place, word))
    return joined


def _next(line: Line, options: Sequence[Option], keep: str) -> Iterator[str]:
    by_name = {name: option for option in options for name in option.names}
    wanting: Option | None = None
    only_operands = False
    for number, word in enumerate(line.words):
        if wanting is not None:
            wanting = None
        elif word == "--" and not only_operands:
            only_operands = True
        elif word.startswith("-") and len(word) > 1 and not only_operands:
            wanting = _wanting(word, by_name)
        elif line.command in ("submit", "xargs") and not _is_setting(line.command, word):
            yield f"{COMMAND}\t{line.places[number]}"
            return
    name, equals, value = line.begin.partition("=")
    if wanting is not None:
        yield from _values(line, wanting.kind, line.begin, "")
    elif equals and name.startswith("--") and name in by_name and not only_operands:
        yield from _values(line, by_name[name].kind, value, keep)
    elif line.begin.startswith("-") and not only_operands:
        shown = [(name, option.help) for name, option in by_name.items() if _fits(name, line.begin)]
        yield from _lines(_begins(line.begin, shown))
    elif line.command in ("submit", "xargs"):
        yield f"{COMMAND}\t{line.places[-1]}"
    else:
        yield from _values(line, candidates.OPERANDS.get(line.command), line.begin, "")


def _wanting(word: str, by_name: dict[str, Option]) -> Option | None:
    """Return the option whose value is the next word, if this one leaves it to that."""
    if word.startswith("--"):
        option = None if "=" in word else by_name.get(word)
        return option if option and option.kind is not None else None
    for place in range(1, len(word)):
        option = by_name.get(f"-{word[place]}")
        if option is None or option.kind is not None:
            return option if place == len(word) - 1 else None
    return None


def _is_setting(command: str, word: str) -> bool:
    return command == "submit" and _SETTING.match(word) is not None


def _fits(name: str, begin: str) -> bool:
    """Letters are offered to who types one dash, since the long names say more."""
    return name.startswith("--") or begin == "-"


def _values(line: Line, kind: str | None, begin: str, keep: str) -> Iterator[str]:
    if kind in (FILE, DIRECTORY):
        yield kind
    elif kind:
        broker = _value_of("--broker", line.words)
        try:
            found = candidates.find(kind, line.command, begin, broker)
        except (errors.AqueError, OSError):
            return
        yield from _lines(((keep + value, text) for value, text in found))


def _value_of(option: str, words: Sequence[str]) -> str | None:
    for number, word in enumerate(words):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word == option and number + 1 < len(words):
            return words[number + 1]
    return None


def _begins(begin: str, shown: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(value, text) for value, text in shown if value.startswith(begin)]


def _lines(found: Iterator[tuple[str, str]] | Sequence[tuple[str, str]]) -> Iterator[str]:
    for value, text in found:
        yield f"{value}\t{text}"


def _options(name: str) -> list[Option]:
    module = importlib.import_module(umbrella.COMMANDS[name][0])
    if name == "xargs":
        return _options_of_xargs()
    command: click.Command = getattr(module, name)
    return [
        Option((*param.opts, *param.secondary_opts), _kind(param), param.help or "")
        for param in command.params
        if isinstance(param, click.Option) and not param.hidden
    ] + [Option(tuple(names), None, text) for names, _, text in entry.EVERYWHERE]


def _kind(option: click.Option) -> str | None:
    if option.is_flag or option.count:
        return None
    if isinstance(option.type, click.Choice):
        return "choice " + " ".join(map(str, option.type.choices))
    known = candidates.BY_OPTION.get(option.name or "")
    return known or _BY_METAVAR.get(option.metavar or "", "")


def _options_of_xargs() -> list[Option]:
    from aque.commands.xargs import options

    return [
        Option(
            [f"-{row.short}"] * bool(row.short) + [f"--{row.long}"] * bool(row.long),
            _kind_of_xargs(row) if row.argument and not row.argument.startswith("[") else None,
            row.help,
        )
        for row in (*options.GNU, *options.OURS)
    ]


def _kind_of_xargs(row: object) -> str:
    long, argument = getattr(row, "long", ""), getattr(row, "argument", "")
    return candidates.BY_OPTION.get(long) or _BY_METAVAR.get(argument, "")
