"""Imports point down the list of layers, and what is slow or special stays in its place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import aque

ROOT = Path(aque.__file__).parent

#: The contract, all of a broker that is known below it.
_CONTRACT = (
    "brokers.base",
    "brokers.claims",
    "brokers.events",
    "brokers.hearing",
    "brokers.looking",
    "brokers.questions",
    "brokers.settings",
)
#: Low to high, as in docs/architecture.md. A module may import lower ones and its own package.
LAYERS = (
    ("errors", "states", "record", "garbage"),
    ("mounts", "machine"),
    (
        "requirements",
        "location",
        "proctitle",
        "trust",
        "io_paths",
        "logs",
        "lookup",
        "scripts",
        "shown",
    ),
    ("task", "prototype", "report", "codec", "names", "fields"),
    ("runs",),
    ("bell",),
    ("listening",),
    _CONTRACT,
    ("schedule",),
    ("brokers",),
    ("context", "futures", "outcome", "waiting", "reading"),
    ("needs", "surroundings"),
    ("prototypes",),
    ("queue",),
    ("attendant", "outbox"),
    ("pending",),
    ("awaited",),
    ("executor", "unattended"),
    ("patterns",),
    ("worker",),
    ("commands",),
)
#: A broker never knows the policy: it is handed in.
FORBIDDEN = {("brokers", "schedule")}
#: Imports that close a circle between two modules of one layer's neighbours, for types alone.
TYPES_ONLY = {("futures", "queue"), ("pending", "awaited")}

#: Who may import what of others.
HOMES = {
    "click": ("commands.",),
    "sqlite3": ("brokers.sqlite.",),
    "psycopg": ("brokers.postgresql.",),
    "psutil": ("worker.", "mounts"),
    "setproctitle": ("proctitle",),
    "pickle": (),
    "asyncio": (),
    "multiprocessing": (),
    "threading": (
        "proctitle",
        "brokers.sqlite.",
        "brokers.events",
        "brokers.hearing",
        "commands.patience",
        "worker.namesake",
        "worker.remains",
        "outbox",
        "awaited",
        "attendant",
    ),
}


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


@cache
def imports(name: str) -> list[tuple[str, bool]]:
    """Return what a module imports by its full name, and whether that is for types alone."""
    return list(_imports(name))


def _imports(name: str) -> Iterator[tuple[str, bool]]:
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in for_types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                is_module = full.removeprefix("aque.") in MODULES and full.startswith("aque.")
                yield (full if is_module else str(node.module)), id(node) in for_types


def ours(name: str) -> Iterator[tuple[str, bool]]:
    for full, for_types in imports(name):
        if full.startswith("aque."):
            yield full.removeprefix("aque."), for_types


def layer(name: str) -> int:
    """Return the layer of the longest prefix of a module's name that has one."""
    found = [
        (len(member), number)
        for number, members in enumerate(LAYERS)
        for member in members
        if name == member or name.startswith(member + ".")
    ]
    assert found, f"aque.{name} is in no layer; add it to the list, where it belongs"
    return max(found)[1]


def package(name: str) -> str:
    return name.split(".")[0]


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_imports_point_down(name: str) -> None:
    for other, for_types in ours(name):
        if (package(name), package(other)) in FORBIDDEN:
            raise AssertionError(f"aque.{name} imports aque.{other}")
        if for_types and (name, other) in TYPES_ONLY:
            continue
        same = package(name) == package(other)
        is_contract = layer(name) == LAYERS.index(_CONTRACT)
        assert layer(other) <= layer(name), f"aque.{name} imports aque.{other}, which is above"
        assert same or not is_contract or layer(other) < layer(name)


def test_modules_import_each_other_in_no_circle() -> None:
    """Between modules of one layer too; imports inside functions count as well."""
    below = {name: {o for o, t in ours(name) if not t and o in MODULES} for name in MODULES if name}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for other in sorted(below.get(name, ())):
                if not other.startswith(package(name) + ".") and other != package(name):
                    visit(other, (*path, name))
            done.add(name)

    for name in below:
        visit(name, ())


@pytest.mark.parametrize("library", HOMES)
def test_a_library_stays_in_its_home(library: str) -> None:
    for name in MODULES:
        for full, _ in imports(name):
            if full.split(".")[0] == library:
                assert name.startswith(HOMES[library]), f"aque.{name} imports {library}"


def test_xargs_reads_its_options_without_click() -> None:
    for name in MODULES:
        if name.startswith("commands.xargs"):
            assert "click" not in {full.split(".")[0] for full, _ in imports(name)}


def test_a_runner_imports_nothing_of_brokers_or_other_libraries_at_its_top() -> None:
    for name in ("task", "prototype", "report", "requirements", "record"):
        for node in ast.parse(MODULES[name].read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom):
                assert str(node.module).split(".")[0] not in {"click", "psutil", "setproctitle"}


def test_no_module_but_the_brokers_opens_the_database() -> None:
    """Closing any other descriptor of the file would drop the locks that SQLite holds on it."""
    for name, path in MODULES.items():
        if name.startswith("brokers.sqlite"):
            continue
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("open", "os.open"):
                first = ast.unparse(node.args[0])
                assert not first.endswith((".path", "database", "queue.db'")), f"{name}: {first}"


#: Values are a border too: their own code runs when they are named, printed or reduced.
BORDERS = (
    "brokers.events",
    "commands.entry",
    "worker.runner",
    "worker.inside",
    "worker.flood.supervisor",
    "worker.loop",
    "worker.crew",
    "worker.namesake",
    "codec",
    "names",
    "scripts",
    "errors",
)


def test_only_borders_catch_everything() -> None:
    """The edges of commands, runners, supervisors, threads and one task in a worker, and values."""
    broad = {
        name
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
        and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
    }
    assert not {name for name in broad if not name.startswith(BORDERS)}


def test_no_module_keeps_state_that_changes_but_the_context() -> None:
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not isinstance(node, ast.Global), f"aque.{name} changes a global"


def test_every_module_says_what_it_owns() -> None:
    for name, path in MODULES.items():
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"aque.{name}"


def test_nothing_in_the_package_knows_that_it_is_tested() -> None:
    for name, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        assert "PYTEST" not in text, name
        assert "unittest.mock" not in text, name
