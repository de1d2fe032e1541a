"""The pages that tell a story are typed as they stand."""

from __future__ import annotations

from pathlib import Path

import pytest
from jobs import in_namespace

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
    within = []
    if "$ killall" in page.read_text(encoding="utf-8"):  # where it meets nobody else's workers
        within = in_namespace("--pid", "--fork", "--kill-child", "--mount-proc")
    for ran in console.run(page, tmp_path, timeout=150, within=within):
        console.check(ran)
