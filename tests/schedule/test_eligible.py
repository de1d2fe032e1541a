"""Who may ever run what, and the words for why not."""

from __future__ import annotations

from typing import Any

import pytest

from aque.requirements import Requirements
from aque.schedule.eligible import Claimant, may_run, obstacles
from aque.schedule.resources import Resources

NOTHING = Resources(0, 0, 0)


def claimant(**fields: Any) -> Claimant:
    defaults: dict[str, Any] = {
        "worker": 7, "user": "me", "is_exclusive": False, "free": NOTHING, "host": NOTHING,
        "names": frozenset({"render7", "10.0.3.7"}), "platform": "linux",
    }  # fmt: skip
    return Claimant(**{**defaults, **fields})


def need(**fields: Any) -> Requirements:
    return Requirements(**{"user": "me", **fields})


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, []),
        ({"cpus": 1e9, "memory": 1 << 60}, []),
        ({"limits": '{"nuke":1}'}, []),
        ({"user": "you"}, ["it runs tasks of me, not of you"]),
        ({"host": "render*"}, []),
        ({"host": "10.0.0.0/8"}, []),
        ({"host": "sim*"}, ["its host does not match sim*"]),
        ({"platform": "linux"}, []),
        ({"platform": "Linux"}, []),
        ({"platform": "!darwin"}, []),
        ({"platform": "darwin"}, ["its platform is linux, not darwin"]),
        (
            {"user": "you", "host": "sim*", "platform": "win*"},
            [
                "it runs tasks of me, not of you",
                "its host does not match sim*",
                "its platform is linux, not win*",
            ],
        ),
        ({"reserved": 7}, []),
        ({"reserved": 7, "user": "you", "host": "sim*"}, []),
        ({"reserved": 8}, ["it is reserved for another worker"]),
    ],
)
def test_what_keeps_a_worker_from_a_task(fields: dict[str, Any], says: list[str]) -> None:
    assert list(obstacles(need(**fields), claimant())) == says
    assert may_run(need(**fields), claimant()) is (not says)


@pytest.mark.parametrize(("worker", "expected"), [(None, False), (7, True), (8, False)])
def test_an_exclusive_worker_runs_only_its_own(worker: int | None, expected: bool) -> None:
    assert may_run(need(reserved=worker), claimant(is_exclusive=True)) is expected


def test_what_a_worker_could_use_is_its_share_of_its_host() -> None:
    host = Resources(8, 100, 1)
    assert claimant(host=host).whole == host
    assert claimant(host=host, share=Resources(2, 500, 9)).whole == Resources(2, 100, 1)
