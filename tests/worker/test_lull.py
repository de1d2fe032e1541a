"""When a worker lets news gather."""

from __future__ import annotations

import pytest

from aque.worker.lull import Lull


def pressed() -> Lull:
    """Return one that has heard of work while there was other."""
    lull = Lull()
    lull.hear(True, 0.0)
    return lull


def test_work_that_comes_to_an_idle_worker_is_not_kept_waiting() -> None:
    lull = Lull()
    lull.hear(False, 0.0)
    assert lull.begin(0.0, None, 0.0) == 0.0


def test_a_stream_of_tasks_is_gathered_for_as_long_as_it_flows() -> None:
    lull = pressed()
    for turn in range(10):
        assert lull.begin(float(turn), None, turn + 0.001) == pytest.approx(0.003)
        lull.note_claim(6, 4, True, 0.0, turn + 0.005)


def test_the_faster_tasks_come_the_shorter_is_the_lull() -> None:
    lull = pressed()
    lull.note_claim(8, 6, True, 0.0, 1.0)
    slow = lull.begin(1.0, None, 1.0)
    lull.note_claim(40, 38, True, 0.0, 1.004)
    assert 0.0 < lull.begin(1.004, None, 1.004) < slow / 4


def test_nobody_sleeps_while_something_is_left_to_be_claimed() -> None:
    lull = pressed()
    lull.note_claim(6, 0, False, 0.0, 0.0)
    assert lull.begin(0.0, None, 0.0) == 0.0


def test_a_lull_that_brought_little_is_the_last_for_longer_each_time() -> None:
    lull, now, pauses = Lull(), 1.0, []
    for _ in range(8):
        lull.hear(True, now)
        assert lull.begin(now, None, now) > 0.0
        now += 0.005
        lull.note_claim(1, 0, True, 0.0, now)
        failed = now
        while lull.begin(now, None, now) == 0.0:  # until the next is allowed
            now += 0.001
            lull.hear(True, now)
        pauses.append(now - failed)
    assert pauses == sorted(pauses)
    assert pauses[0] < 0.01
    assert 0.1 < pauses[-1] < 0.5


def test_a_lull_in_a_flood_leaves_no_runner_idle() -> None:
    lull = Lull()
    lull.note_claim(100, 98, True, 0.0, 0.0)
    assert lull.begin(0.0, 0.002, 0.0) == pytest.approx(0.001)
    assert lull.begin(0.0, None, 0.0) == 0.0
    lull.note_claim(100, 98, True, 0.001, 0.0)  # nor while the next transaction takes as long
    assert lull.begin(0.0, 0.002, 0.0) == pytest.approx(0.0005)
    lull.note_claim(100, 98, True, 0.003, 0.0)
    assert lull.begin(0.0, 0.002, 0.0) == 0.0


def test_there_is_no_lull_where_nothing_is_left_to_be_claimed() -> None:
    """A worker that leaves others something hears its own bell; the last ends are not to wait."""
    lull = pressed()
    lull.note_claim(0, 0, True, 0.0, 0.0)
    assert lull.begin(0.0, None, 0.0) == 0.0
