r"""Own how a stream of bytes becomes items, by GNU xargs' rules, as the bytes arrive.

There are three ways to read. With a delimiter, items lie between delimiters and nothing is special.
Otherwise a blank or a newline ends an item, quotes and backslashes protect them, and lines matter
to -L. With -I only a newline ends an item. An item comes out with the byte that ends it; what has
no end yet is kept as it came and read again with the next chunk.

GNU reads byte by byte, which in Python would be a hundred times slower than to read a chunk with
`split` or one regular expression. So a chunk without quotes is split; else `findall` runs a grammar
over it, whose last branch takes all that is no complete item: where items end is known without a
loop. The grammar's quantifiers are possessive: what does not match costs no backtracking.

What GNU 4.9 does and its manual does not say, found by running it:
- Blanks before an item are all of isspace(3); what ends an item is only space, tab and newline.
- A line ends for -L at a newline right after an item whose last byte was no escaped blank: so a
  blank at the end joins a line to the next, and lines without items are no lines.
- An empty quoted item is an item, but not at the very end of the input, where '' and a lone quote
  or backslash are nothing. Nor is -E's string special at the end, unless it began its line.
- An item with a NUL in it counts in full for the limits, and is passed on up to the NUL.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Sequence

from aque import errors
from aque.commands.xargs.settings import Options
from aque.record import record

NUL_WARNING = (
    "WARNING: a NUL character occurred in the input.  It cannot be passed through in the argument "
    "list.  Did you mean to use the --null option?"
)


class InputError(errors.AqueError):
    """The input cannot be made into commands; exit status 1, as GNU xargs has it."""

    exit_status = 1


@record(frozen=True)
class Grammar:
    """How items are read where quotes count; `complete` has the groups item, end, and the rest."""

    complete: re.Pattern[bytes]
    tail: re.Pattern[bytes]


@functools.cache
def _grammar(ends: bytes) -> Grammar:
    """Return the grammar of items that end in one of these; compiled where there is need of it."""
    piece = rb"""(?:[^%b'"\\]++|'[^'\n]*+'|"[^"\n]*+"|\\.)""" % ends
    return Grammar(
        complete=re.compile(rb"\s*+(%b++)([%b])|(.+)" % (piece, ends), re.DOTALL),
        # Whole pieces, then nothing, a lone backslash, or a quote that does not end on its line.
        tail=re.compile(rb"""\s*+(%b*+)(?:(['"])([^\n]*+)(\n?)|\\?)""" % piece, re.DOTALL),
    )


#: What ends an item: without -I, and with it.
_WORDS, _LINES = rb" \t\n", rb"\n"
_QUOTED = re.compile(rb"""'([^'\n]*)'|"([^"\n]*)"|\\(.)""", re.DOTALL)
_WORD = re.compile(rb"\S[^ \t\n]*+")


@record(frozen=True)
class Tokens:
    """Items, and for -L how many of them come before the end of each line that counts."""

    items: list[bytes]
    line_ends: Sequence[int] = ()


class Items:
    """Turn chunks of input into items.

    Nothing here raises: after an `error` or the string of -E `ended` is true, and what was returned
    is what came before. An item may be up to `limit` bytes long, its NUL included (the first one
    `first_limit`).
    """

    def __init__(self, options: Options, limit: int, first_limit: int | None = None) -> None:
        self.ended = False
        self.error: InputError | None = None
        self.has_nul = False
        self._options = options
        self._limit = limit
        self._limit_now = limit if first_limit is None else first_limit
        self._eof = os.fsencode(options.eof) if options.eof and not options.delimiter else None
        self._ends = _WORDS if options.replace is None else _LINES
        self._pending = b""
        self._begins_line = True
        self._last_read = b""

    def feed(self, chunk: bytes) -> Tokens:
        """Return the items that `chunk` completes."""
        if self.ended:
            return Tokens([])
        had_nul, self.has_nul = self.has_nul, self.has_nul or b"\0" in chunk
        tokens = self._accept(self._read(self._pending + chunk if self._pending else chunk))
        if not self.ended and (len(self._pending) >= self._limit_now or b"\n" in self._pending):
            self._check_rest(is_last=False)
        if self.ended:  # GNU has not seen what comes after
            self.has_nul = had_nul or b"\0" in b"".join([*tokens.items, self._last_read])
        return tokens

    def finish(self) -> Tokens:
        """Return the last item, if the input did not end with the end of one."""
        if self.ended or not self._pending:
            return Tokens([])
        item = self._check_rest(is_last=True)
        if self.ended or not item:
            return Tokens([])
        if self._options.delimiter is not None:
            return Tokens([item], (1,))
        self.ended = self._begins_line and self._is_eof(item)
        return Tokens([] if self.ended else [item])

    def _read(self, data: bytes) -> Tokens:
        """Take the complete items from `data`, and keep the rest."""
        delimiter = self._options.delimiter
        if delimiter is not None:
            items = data.split(delimiter)
            self._pending = items.pop()
            return Tokens(items, range(1, len(items) + 1))
        is_quoted = b"'" in data or b'"' in data or b"\\" in data
        if is_quoted or self._eof is not None or self._options.max_lines is not None:
            return self._read_by_grammar(data, is_quoted)
        if self._options.replace is not None:
            lines = data.split(b"\n")
            self._pending = lines.pop()
            return Tokens([item for line in lines if (item := line.lstrip())])
        end = 1 + max(data.rfind(b" "), data.rfind(b"\n"), data.rfind(b"\t"))
        self._pending = data[end:]
        return Tokens(_WORD.findall(data, 0, end))

    def _read_by_grammar(self, data: bytes, is_quoted: bool) -> Tokens:
        found = _grammar(self._ends).complete.findall(data)
        self._pending = found.pop()[2].lstrip() if found and found[-1][2] else b""
        line_ends = [
            count
            for count, (item, end, _) in enumerate(found, 1)
            if end == b"\n" and item[-1] not in b" \t"
        ]
        if is_quoted:
            items = [_QUOTED.sub(rb"\1\2\3", item) for item, _, _ in found]
        else:
            items = [item for item, _, _ in found]
        if found:
            self._begins_line = found[-1][1] == b"\n"
        return Tokens(items, line_ends)

    def _accept(self, tokens: Tokens) -> Tokens:
        """Cut `tokens` off before the string of -E, or an item that is too long."""
        items = tokens.items
        if not items:
            return tokens
        limit = self._limit_now
        too_long = self._find_too_long(items)
        self._limit_now = self._limit
        end = too_long
        if self._eof is not None:
            end = next((n for n, item in enumerate(items[:end]) if self._is_eof(item)), end)
        if end == len(items):
            return tokens
        self._end(items[end])
        if end == too_long:
            self._fail("argument line too long", items[end][: limit if end == 0 else self._limit])
        return Tokens(items[:end], [count for count in tokens.line_ends if count <= end])

    def _find_too_long(self, items: list[bytes]) -> int:
        """Return the index of the first item that is too long, or past the last."""
        if max(map(len, items)) < min(self._limit_now, self._limit):
            return len(items)
        limit = self._limit_now
        for index, item in enumerate(items):
            if item and len(item) >= limit:
                return index
            limit = self._limit
        return len(items)

    def _is_eof(self, item: bytes) -> bool:
        return self._eof is not None and item.partition(b"\0")[0] == self._eof

    def _check_rest(self, is_last: bool) -> bytes:
        """Return the item begun so far, without its quotes; fail if it can no longer become one."""
        item, quote, is_broken = self._pending, None, False
        if self._options.delimiter is None:
            match = _grammar(self._ends).tail.match(self._pending)
            assert match is not None, "the grammar matches nothing too"
            pieces, quote, quoted, newline = match.groups()
            item = _QUOTED.sub(rb"\1\2\3", pieces) + (quoted or b"")
            is_broken = bool(quote and (newline or (is_last and item)))
        if item and len(item) >= self._limit_now:
            self._fail("argument line too long", item[: self._limit_now])
        elif is_broken:
            kind = "single" if quote == b"'" else "double"
            self._fail(
                f"unmatched {kind} quote; by default quotes are special to xargs "
                "unless you use the -0 option",
                item,
            )
        return item

    def _fail(self, message: str, item: bytes) -> None:
        self.error = InputError(message)
        self._end(item)

    def _end(self, item: bytes) -> None:
        """Stop at `item`, the last that GNU would have read."""
        self.ended = True
        self._last_read = item
