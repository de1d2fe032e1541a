"""Ringing and hearing bells."""

from __future__ import annotations

import os
import select
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import eventually, python, started_python

from aque import bell
from aque.listening import Listener

RING = "import sys; from aque import bell; bell.ring(sys.argv[1], sys.argv[2])"

MakeListener = Callable[..., Listener]

inotify = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux'")


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[MakeListener]:
    made: list[Listener] = []

    def make(*names: str, **options: object) -> Listener:
        made.append(Listener(str(tmp_path), names, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for listener in made:
        listener.close()


@inotify
def test_a_ring_wakes_a_listener_in_another_process(listen: MakeListener, tmp_path: Path) -> None:
    listener = listen(bell.READY, bell.DONE, poll=60.0)
    begin = time.monotonic()
    with started_python(RING, str(tmp_path), bell.DONE):
        assert listener.wait(30.0) == {bell.DONE}
    assert time.monotonic() - begin < 25


@inotify
def test_every_listener_hears_a_ring(listen: MakeListener, tmp_path: Path) -> None:
    listeners = [listen(bell.READY) for _ in range(5)]
    bell.ring(str(tmp_path), bell.READY)
    assert [listener.wait(5.0) for listener in listeners] == [{bell.READY}] * 5


@inotify
def test_many_rings_between_two_looks_are_one(listen: MakeListener, tmp_path: Path) -> None:
    listener = listen(bell.READY, bell.OUTPUT)
    for _ in range(100):
        bell.ring(str(tmp_path), bell.READY)
    assert listener.wait(5.0) == {bell.READY}
    assert listener.wait(0.0) == set()


@inotify
def test_a_bell_that_is_not_listened_for_is_not_heard(listen: MakeListener, tmp_path: Path) -> None:
    listener = listen(bell.READY)
    bell.ring(str(tmp_path), bell.DONE)
    assert listener.wait(0.05) == set()


@inotify
def test_a_ring_before_the_wait_is_not_lost(listen: MakeListener, tmp_path: Path) -> None:
    listener = listen(bell.READY)
    bell.ring(str(tmp_path), bell.READY)
    assert select.select([listener.fileno()], [], [], 5)[0]
    assert listener.drain() == {bell.READY}
    assert not select.select([listener.fileno()], [], [], 0)[0]


@inotify
def test_a_bell_that_was_deleted_is_made_and_heard_again(
    listen: MakeListener, tmp_path: Path
) -> None:
    listener = listen(bell.READY, bell.DONE, poll=60.0)
    for remove in (os.unlink, lambda path: os.rename(path, path + ".away")):
        remove(bell.bell_path(str(tmp_path), bell.READY))
        eventually(lambda: bell.READY in listener.wait(1.0))
        while listener.wait(0.0):
            pass
        bell.ring(str(tmp_path), bell.READY)
        assert bell.READY in listener.wait(5.0)


@inotify
def test_a_listener_whose_directory_is_gone_polls_and_never_spins(tmp_path: Path) -> None:
    directory = tmp_path / "queue.db.d"
    directory.mkdir()
    listener = Listener(str(directory), (bell.READY, bell.DONE), poll=0.1)
    descriptor = listener.fileno()
    os.unlink(bell.bell_path(str(directory), bell.READY))
    os.rename(directory, tmp_path / "away")
    eventually(lambda: listener.drain() and listener.fileno() == -1)
    shutil.rmtree(tmp_path / "away")
    listener.drain()
    assert not select.select([descriptor], [], [], 0)[0], "a loop that watches it would spin"
    assert listener.wait(0.01) == {bell.READY, bell.DONE}, "anything may have rung"
    directory.mkdir()
    eventually(lambda: listener.wait(0.01) and listener.fileno() >= 0)
    bell.ring(str(directory), bell.READY)
    assert listener.wait(5.0) == {bell.READY}
    listener.close()


def test_a_ring_where_nothing_is_is_no_error(tmp_path: Path) -> None:
    bell.ring(str(tmp_path / "no such directory"), bell.READY)
    (tmp_path / "file").write_text("")
    bell.ring(str(tmp_path / "file"), bell.READY)


def test_where_bells_cannot_be_heard_all_may_have_rung(listen: MakeListener) -> None:
    listener = listen(bell.READY, bell.SIGNAL, is_shared=True)
    assert listener.fileno() == -1
    assert listener.wait() == {bell.READY, bell.SIGNAL}


def test_polling_slows_down_while_nothing_is_found_and_quickens_again(
    listen: MakeListener,
) -> None:
    listener = listen(bell.READY, is_shared=True)
    shortest, longest = bell.SHARED_POLL
    seen = [listener.interval]
    for _ in range(8):
        listener.drain()
        seen.append(listener.interval)
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (shortest, longest)
    listener.heard_something()
    assert listener.interval == shortest
    for _ in range(5000):
        listener.drain()
    assert listener.interval == longest


def test_a_wait_ends_after_its_timeout(listen: MakeListener) -> None:
    for listener in (listen(bell.READY), listen(bell.READY, is_shared=True)):
        begin = time.monotonic()
        listener.wait(0.02)
        listener.wait(-5.0)
        assert time.monotonic() - begin < 5


def test_bells_are_as_private_or_as_shared_as_their_directory(tmp_path: Path) -> None:
    for mode, umask in ((0o700, 0o022), (0o770, 0o022), (0o770, 0o077)):
        directory = tmp_path / f"{mode:o}-{umask:o}"
        directory.mkdir()
        directory.chmod(mode)
        before = os.umask(umask)
        try:
            bell.ring(str(directory), bell.READY)
        finally:
            os.umask(before)
        made = os.stat(bell.bell_path(str(directory), bell.READY))
        assert made.st_mode & 0o777 == mode & 0o666


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_bell_made_by_root_belongs_to_who_owns_the_directory(tmp_path: Path) -> None:
    directory = tmp_path / "theirs"
    directory.mkdir()
    os.chown(directory, 65534, 65534)
    bell.ring(str(directory), bell.READY)
    made = os.stat(bell.bell_path(str(directory), bell.READY))
    assert (made.st_uid, made.st_gid) == (65534, 65534)


def test_a_closed_listener_has_no_descriptor(listen: MakeListener) -> None:
    listener = listen(bell.READY)
    listener.close()
    listener.close()
    assert listener.fileno() == -1


def test_no_link_is_followed_when_a_bell_is_made(tmp_path: Path) -> None:
    target = tmp_path / "target"
    os.symlink(target, bell.bell_path(str(tmp_path), bell.READY))
    bell.ring(str(tmp_path), bell.READY)
    assert not target.exists()


def test_ringing_loads_no_ctypes(tmp_path: Path) -> None:
    code = f"{RING}; assert 'ctypes' not in sys.modules"
    python(code, str(tmp_path), bell.READY)
