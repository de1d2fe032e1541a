"""Python's collector is put off for a while, and then as it was."""

from __future__ import annotations

import gc
from contextlib import suppress

from aque.garbage import Uncollected


def test_the_collector_is_as_it_was_before() -> None:
    with suppress(ZeroDivisionError), Uncollected():
        assert not gc.isenabled()
        raise ZeroDivisionError
    assert gc.isenabled()
    gc.disable()
    try:
        with Uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
