"""Code has changed when its files have, and when they are at rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import aque
from aque.worker.watching import Watch


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let aque be a package of one file."""
    path = tmp_path / "aque" / "__init__.py"
    path.parent.mkdir()
    path.write_text("one")
    monkeypatch.setattr(aque, "__file__", str(path))
    return path


def test_a_change_counts_once_it_is_at_rest(module: Path) -> None:
    watch = Watch()
    assert not watch.has_changed()
    module.write_text("two and more")
    assert not watch.has_changed()
    module.write_text("three and more")
    assert not watch.has_changed()
    assert watch.has_changed()
    assert not watch.has_changed()


def test_what_is_put_back_has_not_changed(module: Path) -> None:
    watch = Watch()
    other = module.with_name("other.py")
    other.touch()
    assert not watch.has_changed()
    other.unlink()
    assert not watch.has_changed()
    assert not watch.has_changed()


@pytest.mark.parametrize("how", ["new", "gone", "replaced"])
def test_files_that_come_go_or_are_replaced_count(module: Path, how: str) -> None:
    schema = module.with_name("schema.sql")
    schema.write_text("old")
    watch = Watch()
    if how == "new":
        module.with_name("more.py").touch()
    elif how == "gone":
        schema.unlink()
    else:
        module.with_name("schema.new").write_text("old")
        module.with_name("schema.new").rename(schema)
    assert not watch.has_changed()
    assert watch.has_changed()


def test_what_is_compiled_does_not_count(module: Path) -> None:
    watch = Watch()
    compiled = module.with_name("__pycache__")
    compiled.mkdir()
    (compiled / "one.py").touch()
    module.with_name("notes.txt").touch()
    assert not any(watch.has_changed() for _ in range(3))


def test_what_a_task_imports_is_watched_from_then_on(module: Path, tmp_path: Path) -> None:
    watch = Watch()
    imported = tmp_path / "shapes.py"
    imported.write_text("one")
    watch.add([str(imported), str(imported)])
    assert not any(watch.has_changed() for _ in range(3))
    imported.write_text("two and more")
    watch.add([str(imported)])
    assert [watch.has_changed() for _ in range(3)] == [False, True, False]


def test_what_changed_before_a_reload_was_over_is_not_missed(module: Path) -> None:
    watch = Watch()
    module.write_text("two and more")
    assert [watch.has_changed() for _ in range(2)] == [False, True]
    module.write_text("three and more")
    renewed = Watch(json.loads(json.dumps(watch.state())))
    assert [renewed.has_changed() for _ in range(2)] == [True, False]
    assert not Watch(json.loads(json.dumps(renewed.state()))).has_changed()
