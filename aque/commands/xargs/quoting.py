"""Own how -t shows a command: each argument quoted as a shell would need it, as GNU xargs does."""

from __future__ import annotations

import re
from collections.abc import Sequence

_PLAIN = re.compile(r"[A-Za-z0-9%+,\-./:=@_^\]}{]+")
_CONTROL = re.compile(r"[^ -~\u00a0-\U0010ffff]+")
_NAMED = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r"}


def quote(words: Sequence[str]) -> str:
    return " ".join(map(quote_word, words))


def quote_word(word: str) -> str:
    """Quote one argument, leaving it as it is where a shell would read it so."""
    if _PLAIN.fullmatch(word):
        return word
    if _CONTROL.search(word) is None and "'" in word and not re.search(r'["$`\\!]', word):
        return f'"{word}"'
    quoted = "'" + _CONTROL.sub(_escape, word.replace("'", "'\\''")) + "'"
    return quoted.replace("''$'", "$'", 1) if quoted.startswith("''$'") else quoted


def _escape(match: re.Match[str]) -> str:
    codes = match.group().encode("utf-8", "surrogateescape")
    return "'$'" + "".join(f"\\{_NAMED.get(code) or f'{code:03o}'}" for code in codes) + "''"
