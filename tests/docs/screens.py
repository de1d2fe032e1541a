"""Own writing the screens that the pages show: from real runs, the same that the tests compare.

`bin/docs screens [PAGE...]` runs the examples of pages, by default of all, and where a command
shows something else than its page, writes that into the page. Lines that still hold stay as they
are, with their `...` and times; the scratch directory becomes `...`. Look at `git diff` after it.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from docs.console import Ran

from docs import console, watched

_SHOWN = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def main(names: Sequence[str]) -> int:
    pages = [Path(name).resolve() for name in names] or console.pages()
    for page in pages:
        try:
            changed = renew(page)
        except pytest.skip.Exception as error:
            print(f"{page.name}: left as it is: {error}", file=sys.stderr)
            continue
        if changed:
            print(f"{page.name}: {len(changed)} written anew: {', '.join(changed)}")
        if page == watched.PAGE and _renew_watch():
            print(f"{page.name}: the watch was written anew")
    return 0


def _renew_watch() -> bool:
    with tempfile.TemporaryDirectory() as made:
        return watched.write(watched.draw(Path(made).resolve()))


def renew(page: Path) -> list[str]:
    """Run a page, write what it should show into it, and return the commands that differed."""
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made).resolve()
        ran = console.run(page, directory)
        changed = [each.command.text for each in ran if not console.holds(each)]
        if changed:
            shown = iter(ran)
            text = page.read_text(encoding="utf-8")
            page.write_text(
                _SHOWN.sub(lambda found: _block(found[1], shown, directory), text), encoding="utf-8"
            )
    return changed


def _block(text: str, ran: Iterator[Ran], directory: Path) -> str:
    """Return the block of these commands, each with what it shows."""
    lines: list[str] = []
    for _ in console.parse(text):
        each = next(ran)
        lines.append("$ " + each.command.text.replace("\n", "\n> "))
        lines += each.command.shown if console.holds(each) else _merged(each, directory)
    return "```console\n" + "".join(f"{line}\n" for line in lines) + "```"


def _merged(ran: Ran, directory: Path) -> Iterator[str]:
    """Yield what was written, in the words of the page where they still hold."""
    known = [line for line in ran.command.shown if line.strip() != "..."]
    for line in ran.written.rstrip("\n").split("\n"):
        holding = [old for old in known if console.is_shown(line, old)]
        yield holding[0] if holding else line.replace(str(directory), "...").rstrip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
