"""aque-priority: changes which tasks go first."""

from __future__ import annotations

from jobs import fetch, one_line, submit, work
from support import aque, child, claimable, enlist, group

from aque.brokers.base import Broker
from aque.prototype import Earlier


def test_what_waits_is_given_another_priority_and_its_children_too(broker: Broker) -> None:
    first, second = submit(broker, "true"), submit(broker, "true")
    top, below = broker.create([group(), child(Earlier(0))])
    assert aque("priority", "-5", str(first)).stdout == ""
    aque("priority", "2000", str(top))
    assert claimable(broker, enlist(broker)) == [below, second, first]
    assert [fetch(broker, id).priority for id in (first, second, below)] == [-5, 1000, 2000]


def test_what_has_ended_and_what_is_no_number_is_said(broker: Broker) -> None:
    id = str(submit(broker, "true"))
    work(broker)
    one_line(aque("priority", "5", id, status=1).stderr, "all of these have ended already")
    for words in (["high", id], ["1" * 30, id], ["--no", id], ["5"], []):
        one_line(aque("priority", *words, status=2).stderr, "aque-priority: ")
