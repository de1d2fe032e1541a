"""Every command has a page, and every page is true: its options, its examples, its links."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from aque.commands import umbrella
from docs import console

ROOT = console.ROOT
PAGES = ROOT / "docs" / "commands"
COMMANDS = sorted(umbrella.COMMANDS)
ALL_PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])

_OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]*|-[A-Za-z0-9])(?![\w-])")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
#: Paths of somebody's machine. What all machines have (/dev, /etc, /proc, /bin, /tmp) is no such.
_MACHINE_PATH = re.compile(r"(?<![\w./$}~*-])/(?:home|root|Users|work|mnt|srv|opt)/[\w.-]")


def test_every_command_has_a_page_and_every_page_a_command() -> None:
    wanted = {"aque.md", *(f"aque-{name}.md" for name in COMMANDS)}
    assert {page.name for page in PAGES.glob("*.md")} == wanted


@pytest.mark.parametrize("name", ["umbrella", *COMMANDS])
def test_help_says_what_a_command_does_and_gives_two_examples(name: str) -> None:
    shown = _help(name)
    program = "aque" if name == "umbrella" else f"aque-{name}"
    assert shown.startswith(f"Usage: {program} ")
    examples = [
        line for line in shown.splitlines() if re.match(rf"  (\w.*)?\b{program}( |$)", line)
    ]
    assert len(examples) >= 2, shown


@pytest.mark.parametrize("name", COMMANDS)
def test_a_page_names_each_option_of_its_command_and_no_other(name: str) -> None:
    page = (PAGES / f"aque-{name}.md").read_text(encoding="utf-8")
    section = page.partition("\n## Options\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = {option for cell in cells for option in _OPTION.findall(cell)}
    assert named == _options(name)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_page_says_how_its_command_exits(name: str) -> None:
    page = (PAGES / f"aque-{name}.md").read_text(encoding="utf-8")
    for heading in ("Options", "Exit status", "Examples"):
        assert f"\n## {heading}\n" in page, heading


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_the_examples_of_a_page_show_what_it_says(page: Path, tmp_path: Path) -> None:
    ran = console.run(page, tmp_path)
    assert len(ran) >= 2
    for each in ran:
        console.check(each)


def test_the_index_links_every_page() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target, _ in _links(index)}
    pages = {page for page in (ROOT / "docs").rglob("*.md") if page != index}
    assert pages <= linked


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in _links(page):
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), f"{target} of {page.name}"
        if anchor:
            assert anchor in _anchors(found), f"{target}#{anchor} of {page.name}"


def test_no_file_names_a_path_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in _text_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if _MACHINE_PATH.search(line)
    ]
    assert not found, "\n".join(found)


@cache
def _help(name: str) -> str:
    program = ROOT / "bin" / ("aque" if name == "umbrella" else f"aque-{name}")
    return subprocess.run(
        [str(program), "--help"], check=True, capture_output=True, text=True, timeout=60
    ).stdout


def _options(name: str) -> set[str]:
    """Return the options that --help lists, by the begin of its lines."""
    lines = re.findall(r"^ {2,6}(-.*?)(?:  |$)", _help(name), re.MULTILINE)
    return {option for line in lines for option in _OPTION.findall(line)}


def _links(page: Path) -> list[tuple[str, str]]:
    """Return the (path, anchor) of the links of a page that lead into this repository."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    targets = [target for target in _LINK.findall(text) if "://" not in target]
    return [(target.partition("#")[0], target.partition("#")[2]) for target in targets]


def _anchors(page: Path) -> set[str]:
    headings = _HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _text_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True,
        capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    paths = [ROOT / name for name in listed if name and Path(name).suffix in _TEXTS]
    return [path for path in paths if path.is_file() and path != Path(__file__).resolve()]


_TEXTS = {".md", ".py", ".toml", ".sql", ".sh", ".cfg", ".ini", ".txt", ".yml", ""}
