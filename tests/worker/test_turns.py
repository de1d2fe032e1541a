"""Short turns are asked for where that can be had; nothing fails where it cannot."""

from __future__ import annotations

import sys

import pytest

from aque.worker import turns


def test_a_python_without_ctypes_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctypes", None)
    turns.shorten()
