"""A place that other users can reach."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from users import ALICE, USERS


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that is alice's, where she can be, and that all can enter."""
    directory = Path(tempfile.mkdtemp(dir="/tmp", prefix="aque-tests-"))
    directory.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(directory, USERS[ALICE], USERS[ALICE])
    yield directory
    shutil.rmtree(directory)
