"""How Sphinx builds these pages; bin/docs runs it."""

from __future__ import annotations

import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

ROOT = next(p for p in Path(__file__).resolve().parents if (p / "pyproject.toml").exists())
sys.path.insert(0, str(ROOT))

import aque  # noqa: E402
from aque.commands import umbrella  # noqa: E402

project = "aque"
release = version = aque.__version__
author = "the authors of aque"
copyright = author
today = release  # instead of a date: the same pages give the same files

extensions = ["myst_parser", "sphinx_click"]
exclude_patterns = ["man"]
myst_heading_anchors = 4
nitpicky = True
html_theme = "alabaster"
html_theme_options = {"description": "a job queue in one file", "fixed_sidebar": True}
html_copy_source = False
html_show_sourcelink = False
suppress_warnings = ["toc.not_included"]  # index.md says where each page stands, in its own words

man_show_urls = False
man_pages = [
    ("commands/aque", "aque", "a durable job queue in one SQLite file", "", 1),
    *(
        (f"commands/aque-{name}", f"aque-{name}", summary, "", 1)
        for name, (_, summary) in umbrella.COMMANDS.items()
    ),
]


def setup(app: Sphinx) -> None:
    """Give the man pages the form that man pages have."""
    app.connect("doctree-resolved", shape_man_page)


def shape_man_page(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Add the headings that all expect, and make lists of tables, which need a wide terminal."""
    if app.builder.name != "man":
        return
    for table in list(doctree.findall(nodes.table)):
        table.replace_self(definitions(table))
    for link in list(doctree.findall(nodes.reference)):
        if "://" not in link.get("refuri", ""):
            link.replace_self(link.children)
    page = next(doctree.findall(nodes.section))
    title, synopsis, *rest = page.children
    first = next(i for i, node in enumerate(rest) if isinstance(node, nodes.section))
    see_also = ["aque(1)", "aque-submit(1)", "aque-worker(1)", "aque-status(1)", "aque-xargs(1)"]
    others = [name for name in see_also if name != f"{docname.rpartition('/')[2]}(1)"]
    page.children = [title]
    page += heading("Synopsis", [synopsis])
    page += heading("Description", rest[:first])
    page += rest[first:]
    page += heading("See also", [nodes.paragraph("", ", ".join(others))])


def heading(title: str, content: list[nodes.Node]) -> nodes.section:
    section = nodes.section("", nodes.title("", title), ids=[nodes.make_id(title)])
    section += content
    return section


def definitions(table: nodes.table) -> nodes.definition_list:
    """Return the rows of a table: the first cell with the others below it."""
    found = nodes.definition_list()
    for row in next(table.findall(nodes.tbody)):
        first, *others = row.children
        term = nodes.term("", "", *(node for part in first for node in part.children))
        meaning = nodes.definition("", *(node for cell in others for node in cell.children))
        found += nodes.definition_list_item("", term, meaning)
    return found
