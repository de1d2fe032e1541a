"""aque-limit: sets limits, and shows them."""

from __future__ import annotations

import json
import os
import pty

import pytest
from jobs import one_line, submit
from support import aque, claim, enlist

from aque.brokers.base import Broker


def test_limits_are_set_and_listed(broker: Broker) -> None:
    assert aque("limit", "nuke=10", "maya=2").stdout == ""
    submit(broker, "true", limits={"nuke": 3})
    claim(broker, enlist(broker))
    assert aque("limit").stdout == "maya\t0\t2\nnuke\t3\t10\n"
    assert aque("limit", "nuke").stdout == "nuke\t3\t10\n"
    shown = json.loads(aque("limit", "--json", "maya").stdout)
    assert shown == {"maya": {"capacity": 2, "used": 0}}


def test_a_limit_is_set_and_shown_at_once(broker: Broker) -> None:
    assert aque("limit", "nuke=1", "nuke").stdout == "nuke\t0\t1\n"


@pytest.mark.parametrize("word", ["nuke=", "nuke=x", "nuke=-1", "nuke=1.5", "=3", "a:b=1", "a,b=1"])
def test_a_bad_limit_is_named(broker: Broker, word: str) -> None:
    one_line(aque("limit", word, status=2).stderr, "aque-limit: ", repr(word))
    assert broker.limits() == {}


@pytest.mark.parametrize("number", ["²", "9" * 30])
def test_a_number_that_no_queue_can_store_is_named(broker: Broker, number: str) -> None:
    one_line(aque("limit", f"nuke={number}", status=2).stderr, f"nuke={number}")


def test_an_unknown_limit_is_named_with_how_to_make_it(broker: Broker) -> None:
    one_line(aque("limit", "nuke", status=1).stderr, "aque-limit nuke=N")


def test_without_limits_it_says_how_to_make_one(broker: Broker) -> None:
    assert (aque("limit").stdout, aque("limit", "--json").stdout) == ("", "{}\n")
    one_line(aque("limit").stderr, "there are no limits; aque-limit NAME=N makes one")


def test_a_terminal_is_shown_what_the_columns_are(broker: Broker) -> None:
    broker.set_limits({"nuke": 10, "evil\x1b[2J": 2})
    mine, theirs = pty.openpty()
    aque("limit", capture_output=False, stdout=theirs)
    os.close(theirs)
    lines = os.read(mine, 4096).decode().splitlines()
    os.close(mine)
    assert [line.split() for line in lines] == [
        ["LIMIT", "USED", "OF"],
        [r"evil\x1b[2J", "0", "2"],
        ["nuke", "0", "10"],
    ]
    assert len(set(map(len, lines))) == 1
