"""Own the build of the documents: HTML, and the man pages that are kept in docs/man.

The man pages are kept with the sources so that `pip install .` needs no Sphinx. Each names the hash
of the page it was made from, and a test compares those.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
BUILD = DOCS.parent / "build" / "docs"
SOURCE = BUILD / "source"
MAN = DOCS / "man"
#: Pages that stand above docs/.
ABOVE = ("README", "CHANGELOG")
_HEADER = re.compile(r'(\.\\" [^\n]*\n)+')


def main(wanted: list[str]) -> int:
    stage()
    for builder in wanted or ["html", "man"]:
        name = {"links": "linkcheck"}.get(builder, builder)
        command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", name]
        # Of each its own: quotes are curled as a page is read, but for man pages.
        doctrees = ["-d", str(BUILD / "doctrees" / name)]
        done = subprocess.run([*command, *doctrees, str(SOURCE), str(BUILD / name)], check=False)
        if done.returncode:
            return done.returncode
        if builder == "man":
            keep_man_pages()
    return 0


def stage() -> None:
    """Put the pages of docs/ and those that stand above it into one place, with links to match."""
    SOURCE.mkdir(parents=True, exist_ok=True)
    pages = [p for p in (*DOCS.rglob("*.md"), DOCS / "conf.py") if BUILD not in p.parents]
    staged = {SOURCE / page.relative_to(DOCS): page.read_text(encoding="utf-8") for page in pages}
    for page, text in staged.items():
        depth = len(page.relative_to(SOURCE).parts) - 1
        for name in ABOVE:
            staged[page] = text = re.sub(
                rf"\]\((?:\.\./)+{name}\.md", f"]({'../' * depth}{name.lower()}.md", text
            )
    for name in ABOVE:
        text = (DOCS.parent / f"{name}.md").read_text(encoding="utf-8")
        text = text.replace("](docs/", "](").replace("](CHANGELOG.md", "](changelog.md")
        staged[SOURCE / f"{name.lower()}.md"] = text.replace("[LICENSE](LICENSE)", "LICENSE")
    for old in [p for p in SOURCE.rglob("*.md") if p not in staged]:
        old.unlink()
    for page, text in staged.items():
        page.parent.mkdir(parents=True, exist_ok=True)
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def keep_man_pages() -> None:
    """Copy the man pages into docs/man, each with the hash of what it was made from."""
    shutil.rmtree(MAN, ignore_errors=True)
    MAN.mkdir()
    for made in sorted((BUILD / "man").glob("*.1")):
        text = _HEADER.sub(
            f'.\\\\" made by bin/docs man from {source_hash(made.stem)}\n',
            made.read_text("utf-8"),
            count=1,
        )
        (MAN / made.name).write_text(text, encoding="utf-8")


def source_hash(name: str) -> str:
    """Return what a man page says it was made from."""
    content = (DOCS / "commands" / f"{name}.md").read_bytes()
    return f"docs/commands/{name}.md {hashlib.sha256(content).hexdigest()[:16]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
