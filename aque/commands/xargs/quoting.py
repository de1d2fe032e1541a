r"""Own how -t shows a command and how messages name a file: as gnulib's quotearg.c does it.

-t uses its style `shell-escape`: what a shell would read as it stands is left so, else it stands in
single quotes, with what cannot be printed as $'...' between them. A quote inside makes it "..."
where that needs no further care. Names of files stand in the locale's own quotes.

What can be printed depends on the locale: in C and POSIX ASCII only, else what its encoding has.
Unicode's tables are Python's, which may be a version apart from the C library's.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from aque import task as tasks
from aque.task import Task

#: What a shell reads differently anywhere; and what is not left as it is in double quotes, but
#: for the first place.
_SPECIAL = frozenset("!\"$&()*;<=>?[\\^`| '\x7f").union(map(chr, range(32)))
_HARD = _SPECIAL - {" ", "'"} | set("#~{}")
_NAMED = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r"}
#: Controls, what is unassigned, lone surrogates, separators of lines and paragraphs.
_UNPRINTABLE = frozenset(("Cc", "Cn", "Cs", "Zl", "Zp"))


def is_ascii_only() -> bool:
    """Tell whether the locale is C or POSIX, whatever Python made of it for itself."""
    names = (os.environ.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    return next((name for name in names if name), "C") in ("C", "POSIX")


def quote(words: Sequence[str], ascii_only: bool = False) -> str:
    return " ".join(quote_word(word, ascii_only) for word in words)


def quote_word(word: str, ascii_only: bool = False) -> str:
    """Quote one argument, leaving it as it is where a shell would read it so."""
    if word.isascii() or not any(_is_escaped(letter, ascii_only) for letter in word):
        if word and _SPECIAL.isdisjoint(word) and word[0] not in "#~" and word not in ("{", "}"):
            return word
        if "'" in word and _HARD.isdisjoint(word[1:] if word[0] in "#~" else word):
            return f'"{word}"'
    parts = ["'"]
    # Whether $'...' is open. GNU reads a word with a quote twice, and begins as it had ended.
    is_open = "'" in word and _is_escaped(word[-1], ascii_only)
    for letter in word:
        was_open, is_open = is_open, _is_escaped(letter, ascii_only)
        if is_open:
            parts += [] if was_open else ["'$'"]
            parts.append(_escape(letter))
        elif letter == "'":
            parts.append("'\\''")
        else:
            parts += ["''", letter] if was_open else [letter]
    return "".join([*parts, "'"])


def quote_name(name: str, ascii_only: bool = False) -> str:
    """Quote the name of a file for a message."""
    left, right = ("'", "'") if ascii_only else ("‘", "’")
    letters = []
    for letter in name:
        if _is_escaped(letter, ascii_only):
            letters.append(_escape(letter))
        else:
            letters.append("\\" + letter if letter in ("\\", right) else letter)
    return f"{left}{''.join(letters)}{right}"


def name_of(task: Task) -> str:
    """Return the word by which messages name a command."""
    return (tasks.shell_words(task) or ["?"])[0]


def _is_escaped(letter: str, ascii_only: bool) -> bool:
    if letter.isascii():
        return not " " <= letter <= "~"
    if ascii_only:
        return True
    from unicodedata import category

    return category(letter) in _UNPRINTABLE


def _escape(letter: str) -> str:
    codes = letter.encode("utf-8", "surrogateescape")
    return "".join(f"\\{_NAMED.get(code) or f'{code:03o}'}" for code in codes)
