"""bin/docs screens writes into a page what its commands show, and leaves what holds."""

from __future__ import annotations

from pathlib import Path

from docs import console, screens, watched

PAGE = """# A page

```console
$ echo "took $((1 + 1))s in" $PWD; echo two
took 7s in ...
one
$ printf '' &&
> echo more
...re
$ true
```

```python
print("untouched")
```
"""


def test_what_has_changed_is_written_and_what_holds_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert screens.renew(page) == ['echo "took $((1 + 1))s in" $PWD; echo two']
    assert page.read_text() == PAGE.replace("\none\n", "\ntwo\n")
    assert screens.renew(page) == []
    page.write_text(PAGE.replace("took 7s in ...\n", ""))
    screens.renew(page)
    assert "\ntook 2s in ...\ntwo\n" in page.read_text()


def test_every_page_with_a_console_is_run_by_a_test() -> None:
    names = {page.name for page in console.pages()}
    assert {"README.md", "tutorial.md", "python.md", "reading.md", "aque-status.md"} <= names


def test_the_watch_looks_as_its_page_shows_it(tmp_path: Path) -> None:
    drawn = watched.draw(tmp_path)
    assert watched.is_alike(drawn, watched.shown()), f"{drawn}\n(bin/docs screens writes it)"
    assert max(map(len, drawn.splitlines())) <= 80
