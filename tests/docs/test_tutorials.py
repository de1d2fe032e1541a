"""The pages that tell a story are typed as they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import console

DOCS = console.ROOT / "docs"
#: Pages whose examples are run by tests of their own.
ELSEWHERE = {"python.md", "reading.md"}
PAGES = [
    page
    for page in sorted(DOCS.glob("*.md"))
    if console.commands(page) and page.name not in ELSEWHERE
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_tells_is_so(page: Path, tmp_path: Path) -> None:
    for ran in console.run(page, tmp_path):
        console.check(ran)
