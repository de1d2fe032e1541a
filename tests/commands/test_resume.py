"""aque-resume: lets go on what was held."""

from __future__ import annotations

from jobs import ended, fetch, one_line, submit
from support import aque, started_worker

from aque import states
from aque.brokers.base import Broker


def test_what_was_submitted_on_hold_runs_once_it_is_resumed(broker: Broker) -> None:
    aque("init", "--set", "poll=30")
    id = int(aque("submit", "--hold", "true").stdout)
    with started_worker(broker):
        ended(broker, submit(broker, "true"))
        assert fetch(broker, id).status == states.PAUSED
        assert aque("resume", str(id)).stdout == ""
        assert ended(broker, id, 5).status == states.SUCCESS


def test_what_is_not_paused_cannot_be_resumed(broker: Broker) -> None:
    id = submit(broker, "true")
    one_line(aque("resume", str(id), status=1).stderr, "aque-resume: ", "paused")
    assert fetch(broker, id).status == states.PENDING
