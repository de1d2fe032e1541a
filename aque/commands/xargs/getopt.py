"""Own how words become options, as the GNU C library's getopt_long has it, up to an operand.

Not what the options mean: that is `options`. Two sets of long names share a command line, GNU's and
ours, and a script written for GNU xargs must not notice the second: an abbreviation that fits any
name of GNU's is settled among GNU's alone, and ours are looked at only when none of those fits.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Sequence

from aque.record import record


class Argument(enum.Enum):
    """Whether an option takes an argument."""

    NONE = "none"
    REQUIRED = "required"
    #: Only attached: `-lN`, `--max-lines=N`.
    OPTIONAL = "optional"


@record(frozen=True)
class Option:
    """An option by its letter, its long name, or both (the other is empty)."""

    short: str
    long: str
    argument: Argument = Argument.NONE
    #: Not GNU's: its abbreviations come last.
    ours: bool = False


class Scan:
    """What a command line held.

    `found` keeps the order typed. With an `error` it holds what came before the error, because GNU
    acts on those first (a bad number in one of them, or a `--help`, wins), and no `operands`.
    """

    def __init__(self) -> None:
        self.found: list[tuple[Option, str | None]] = []
        self.operands: list[str] = []
        self.error: str | None = None


class _ScanError(Exception):
    """A word that is no option, in GNU's words."""


def scan(argv: Sequence[str], options: Sequence[Option]) -> Scan:
    """Read `argv` (without the program's name) up to the first operand or `--`."""
    result = Scan()
    words = list(argv)
    try:
        while words and words[0].startswith("-") and words[0] != "-":
            word = words.pop(0)
            if word == "--":
                break
            if word.startswith("--"):
                result.found.append(_long(word, words, options))
            else:
                _bundle(word[1:], words, options, result.found)
        result.operands = words
    except _ScanError as error:
        result.error = str(error)
    return result


def _bundle(
    letters: str,
    words: list[str],
    options: Sequence[Option],
    found: list[tuple[Option, str | None]],
) -> None:
    """Read one word of short options; an argument is the rest of it, or the next word."""
    while letters:
        letter, letters = letters[0], letters[1:]
        option = next((option for option in options if option.short == letter), None)
        if option is None or letter == "-":
            raise _ScanError(f"invalid option -- '{_first_byte(letter)}'")
        if option.argument is Argument.NONE:
            found.append((option, None))
            continue
        if not letters and option.argument is Argument.REQUIRED:
            if not words:
                raise _ScanError(f"option requires an argument -- '{letter}'")
            letters = words.pop(0)
            found.append((option, letters))
        else:
            found.append((option, letters or None))
        return


def _first_byte(letter: str) -> str:
    """What GNU calls the option: it reads bytes, not characters."""
    return os.fsdecode(os.fsencode(letter)[:1])


def _long(word: str, words: list[str], options: Sequence[Option]) -> tuple[Option, str | None]:
    name, equals, value = word[2:].partition("=")
    option = _named(name, word, options)
    if option.argument is Argument.NONE and equals:
        raise _ScanError(f"option '--{option.long}' doesn't allow an argument")
    if equals:
        return option, value
    if option.argument is not Argument.REQUIRED:
        return option, None
    if not words:
        raise _ScanError(f"option '--{option.long}' requires an argument")
    return option, words.pop(0)


def _named(name: str, word: str, options: Sequence[Option]) -> Option:
    for option in options:
        if option.long and option.long == name:
            return option
    fitting = [option for option in options if option.long and option.long.startswith(name)]
    candidates = [option for option in fitting if not option.ours] or fitting
    if not candidates:
        raise _ScanError(f"unrecognized option '{word}'")
    if len(candidates) > 1:
        names = " ".join(f"'--{option.long}'" for option in candidates)
        raise _ScanError(f"option '{word}' is ambiguous; possibilities: {names}")
    return candidates[0]
