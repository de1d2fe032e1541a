"""Which queue is meant, and what it lies on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aque import location
from aque.errors import UsageError
from aque.location import Location


def test_what_is_given_goes_before_the_environment_and_that_before_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AQUE_BROKER", "/env/queue.db")
    assert location.find("/given/queue.db").path == "/given/queue.db"
    assert location.find().path == "/env/queue.db"
    assert location.find("").path == "/env/queue.db"
    monkeypatch.delenv("AQUE_BROKER")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert location.find().path == str(tmp_path / "aque" / "queue.db")


@pytest.mark.parametrize("state", ["", "relative/path"])
def test_a_state_directory_that_is_not_absolute_is_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", state)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert location.default_path() == str(tmp_path / ".local/state/aque/queue.db")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a/b.db", ("/a/b.db", None)),
        ("b.db", ("b.db", None)),
        ("/a b/?x=1#%20.db", ("/a b/?x=1#%20.db", None)),
        ("sqlite:///a/b.db", ("/a/b.db", None)),
        ("sqlite:////a/b.db", ("//a/b.db", None)),
        ("sqlite:///a%20b%3F.db", ("/a b?.db", None)),
        ("sqlite:///a?journal=delete", ("/a", "delete")),
        ("sqlite:///a?journal=wal", ("/a", "wal")),
        ("sqlite:///a?", ("/a", None)),
        ("sqlite:///a%FF", ("/a\udcff", None)),
    ],
)
def test_a_broker_is_a_url_or_a_path(text: str, expected: tuple[str, str | None]) -> None:
    assert location.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://host/db",
        "sqlite://relative.db",
        "sqlite:///",
        "sqlite://",
        "sqlite:///a?journal=memory",
        "sqlite:///a?journal",
        "sqlite:///a?mode=ro",
        "sqlite:///a?journal=wal&x=1",
    ],
)
def test_a_url_that_is_no_queues_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        location.find(text)
    assert "\n" not in str(caught.value)


def test_a_path_is_made_absolute_and_a_tilde_is_ones_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert location.find("queue.db").path == str(tmp_path / "queue.db")
    assert location.find("~/queue.db").path == str(tmp_path / "home" / "queue.db")


def test_a_queue_has_one_place_by_whatever_link_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "other.db").symlink_to("queue.db")
    for name in ("real/queue.db", "link/queue.db", "link/other.db", "real/../link/queue.db"):
        assert location.find(str(tmp_path / name)).path == str(tmp_path / "real" / "queue.db")


@given(st.text(st.characters(blacklist_characters="\0/", blacklist_categories=("Cs",)), min_size=1))
def test_a_url_leads_back_to_the_place_it_was_made_of(name: str) -> None:
    for journal in location.JOURNALS:
        place = Location(os.path.abspath("/nowhere/" + name), journal, False)
        found = location.find(location.to_url(place))
        assert (found.path, found.journal) == (place.path, journal)


def test_what_is_on_a_local_disk_uses_the_log_and_on_others_does_not(tmp_path: Path) -> None:
    here = location.find(str(tmp_path / "queue.db"))
    is_local = location.file_system_type(str(tmp_path)) in location.LOCAL_TYPES
    assert here.journal == ("wal" if is_local else "delete")
    assert here.is_shared == (not is_local)
    assert location.find("/proc/queue.db").journal == "delete"
    forced = location.find(f"sqlite://{tmp_path}/queue.db?journal=delete")
    assert (forced.journal, forced.is_shared) == ("delete", True)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux'")
def test_the_file_system_is_that_of_the_nearest_thing_that_exists() -> None:
    assert location.file_system_type("/proc/no/such/thing") == "proc"
    assert location.file_system_type("/proc") == "proc"
    assert location.file_system_type("/sys/kernel") == "sysfs"


def test_a_mount_is_known_by_its_path_and_that_of_a_file_alone_is_refused(tmp_path: Path) -> None:
    odd = tmp_path / "a b\tc\\d"
    odd.mkdir()
    code = (
        "import subprocess, sys; from aque import location;"
        "subprocess.run(['mount', '-t', 'ramfs', 'none', sys.argv[1]], check=True);"
        "print(location.file_system_type(sys.argv[1] + '/queue.db'));"
        "file = sys.argv[1] + '/queue.db'; open(file, 'w').close();"
        "subprocess.run(['mount', '--bind', file, file], check=True);"
        "from aque.errors import BrokerError\n"
        "try: location.find(file)\n"
        "except BrokerError as error: print(str(error).rpartition('; ')[2])"
    )
    done = subprocess.run(
        ["unshare", "-m", sys.executable, "-c", code, str(odd)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip(f"no mounts here: {done.stderr.strip().splitlines()[-1:]}")
    assert done.stdout == "ramfs\nmount the directory that it is in\n"
