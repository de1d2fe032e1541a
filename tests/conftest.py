"""Each test has queues of its own, far from those of whoever runs it, and leaves no process."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import users
from support import eventually
from users import ALICE, USERS

from aque import brokers
from aque.brokers.base import Broker


def pytest_configure() -> None:
    """Hear the signals that nohup, or a shell with `&`, has ignored: what we start would not."""
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the chaos, which takes a minute, so that the others run beside it."""
    items.sort(key=lambda item: "tests/chaos" not in str(item.path))


@pytest.fixture(autouse=True)
def own_queue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Have AQUE_BROKER and the default name queues of this test alone; return the first's path."""
    for name in list(os.environ):
        if name.startswith("AQUE_"):
            monkeypatch.delenv(name)
    (tmp_path / "own").mkdir(mode=0o700)
    path = str(tmp_path / "own" / "queue.db")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("AQUE_BROKER", path)
    return path


@pytest.fixture
def broker(own_queue: str) -> Iterator[Broker]:
    opened = brokers.from_url(own_queue, durable=False)
    yield opened
    opened.close()


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that is alice's, where she can be, and that all can enter."""
    directory = Path(tempfile.mkdtemp(dir="/tmp", prefix="aque-tests-"))
    directory.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(directory, USERS[ALICE], USERS[ALICE])
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session", autouse=True)
def no_process_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """See at the end that whatever the tests started has ended, orphans too."""
    base = str(tmp_path_factory.getbasetemp())
    yield
    users.leave()

    def left() -> list[str]:
        found = psutil.Process().children(recursive=True)
        found += [process for process in psutil.process_iter() if _is_ours(process, base)]
        return sorted({str(process) for process in found if process.pid != os.getpid()})

    eventually(lambda: _none(left()))


def _none(found: list[str]) -> bool:
    assert not found, f"processes left by the tests: {found}"
    return True


def _is_ours(process: psutil.Process, base: str) -> bool:
    try:
        return process.environ().get("AQUE_BROKER", "").partition("://")[2].startswith(
            base
        ) or process.environ().get("AQUE_BROKER", "").startswith(base)
    except psutil.Error:
        return False
