"""Every command has a man page, made from its page as that is now, and installed with it."""

from __future__ import annotations

import glob
import hashlib
import tomllib

import pytest

from aque.commands import umbrella
from docs import console

DOCS = console.ROOT / "docs"


@pytest.mark.parametrize("name", ["aque", *(f"aque-{name}" for name in umbrella.COMMANDS)])
def test_a_man_page_is_made_from_the_page_as_it_is(name: str) -> None:
    content = (DOCS / "commands" / f"{name}.md").read_bytes()
    source = f"docs/commands/{name}.md {hashlib.sha256(content).hexdigest()[:16]}"
    made = (DOCS / "man" / f"{name}.1").read_text(encoding="utf-8")
    assert f"from {source}\n" in made, "the page has changed: run bin/docs man"
    for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "SEE ALSO"):
        assert f'.SH "{heading}"' in made or f".SH {heading}" in made


def test_the_man_pages_are_installed() -> None:
    project = tomllib.loads((console.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (pattern,) = project["tool"]["setuptools"]["data-files"]["share/man/man1"]
    found = {path.rpartition("/")[2] for path in glob.glob(str(console.ROOT / pattern))}
    assert found == {"aque.1", *(f"aque-{name}.1" for name in umbrella.COMMANDS)}
