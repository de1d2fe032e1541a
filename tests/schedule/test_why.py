"""What is said of a task that waits is what the claim would find, with its numbers."""

from __future__ import annotations

from dataclasses import replace

from aque.brokers.claims import Ahead, Candidate, Limit
from aque.mounts import Mount
from aque.requirements import Requirements
from aque.schedule import mounts
from aque.schedule.eligible import Claimant
from aque.schedule.resources import Resources
from aque.schedule.why import Seat, Situation, reasons

WHOLE = Resources(4, 1 << 30, 8)


def seat(free: Resources = WHOLE, holders: tuple[int, ...] = (), user: str = "me") -> Seat:
    names = frozenset({"box", "10.0.0.7"})
    claimant = Claimant(1, user, False, free, WHOLE, names, "linux")
    return Seat("box:1", claimant, free, holders)


def why(need: Requirements, *seats: Seat, ahead: int = 0, **limits: Limit) -> list[str]:
    held = {name: tuple(range(1, limit.used + 1)) for name, limit in limits.items()}
    return reasons(99, need, Situation(seats, limits, held, Ahead(ahead, None)))


def test_without_a_worker_that_is_all_there_is_to_say() -> None:
    assert why(Requirements("me")) == ["no worker is running; aque-worker starts one"]


def test_without_a_worker_what_one_here_would_lack_is_said() -> None:
    def unable(need: Requirements, **limits: Limit) -> list[str]:
        here = Claimant(0, "me", False, WHOLE, WHOLE, frozenset({"box"}), "linux")
        first, *found = reasons(99, need, Situation([], limits, {}, Ahead(0, None), here=here))
        assert first == "no worker is running, and one that is started here cannot run it:"
        return found

    assert unable(Requirements("me", cpus=16)) == ["it needs 16 cpus, and this host has 4"]
    assert unable(Requirements("me", host="nowhere")) == ["its host does not match nowhere"]
    need = Requirements("me", limits='{"nuke":3}')
    few = "it needs 3 of limit nuke, which has 2; aque-limit nuke=3 makes it enough"
    assert unable(need, nuke=Limit(2, 0)) == [few]
    assert why(need, seat(), nuke=Limit(2, 1))[0] == few


def test_a_task_that_could_run_is_told_its_place() -> None:
    (reason,) = why(Requirements("me"), seat(), ahead=2)
    assert reason == "it is 3rd in line and starts as soon as a slot is free"


def test_a_mount_of_another_host_is_not_promised() -> None:
    share = Mount("nfs4", "filer:/projects", "/projects")
    need = Requirements("me", mounts=mounts.to_text([share], []))
    assert why(need, seat()) == [
        "worker box:1: whether filer:/projects (nfs4) is mounted on /projects there is not known "
        "here; ask on its host",
        "1st in line",
    ]
    known = replace(seat(), claimant=replace(seat().claimant, mounts=frozenset({share})))
    (reason,) = why(need, seat(), known)
    assert "starts as soon as" in reason


def test_a_host_that_does_not_match_is_named_with_its_worker() -> None:
    found = why(Requirements("me", host="render*,!10.0.0.0/8"), seat())
    assert found == [
        "no live worker may run it:",
        "worker box:1: its host does not match render*,!10.0.0.0/8",
    ]


def test_another_users_worker_is_no_help() -> None:
    assert why(Requirements("me"), seat(user="you"))[1] == (
        "worker box:1: it runs tasks of you, not of me"
    )


def test_what_is_too_large_for_every_worker_never_runs() -> None:
    (reason, _) = [*why(Requirements("me", cpus=16), seat()), None]
    assert reason == "it needs 16 cpus, and the largest worker has 4"
    (reason, _) = [*why(Requirements("me", memory=1 << 34), seat()), None]
    assert reason == "it needs 16 GiB of memory, and the largest worker has 1 GiB"


def test_what_is_held_is_said_with_who_holds_it() -> None:
    found = why(Requirements("me", cpus=3), seat(Resources(1, 1 << 30, 8), (5, 9)), ahead=10)
    assert found == ["worker box:1: needs 3 cpus and 1 are free (held by 5, 9)", "11th in line"]


def test_a_limit_is_said_with_its_tokens_and_who_has_them() -> None:
    need = Requirements("me", limits='{"nuke":2}')
    assert why(need, seat(), nuke=Limit(10, 9))[0] == (
        "it needs 2 of limit nuke: 9 of 10 used by 1, 2, 3, 4, 5 and 4 more"
    )
    assert why(need, seat())[0] == "there is no limit nuke any more; aque-limit nuke=N makes it"


def test_where_durations_are_known_the_start_is_estimated() -> None:
    def expected(work: float | None, left: float | None, cpus: float = 4.0) -> str:
        (reason,) = reasons(
            99,
            Requirements("me"),
            Situation([seat()], {}, {}, Ahead(9, work), work_left=left, cpus=cpus),
        )
        return reason.removeprefix("it is 10th in line").removesuffix(
            " and starts as soon as a slot is free"
        )

    assert expected(4 * 600.0, 4 * 120.0) == ", to start in about 12 min"
    assert expected(4 * 40.0, 0.0) == ", to start in about 40 s"
    assert expected(4 * 4 * 3600.0, 0.0) == ", to start in about 4.0 h"
    assert expected(None, 0.0) == expected(5.0, None) == expected(5.0, 5.0, cpus=0.0) == ""


def test_what_may_be_kept_for_the_first_in_line_is_said() -> None:
    need, small = Requirements("me", cpus=4), Requirements("me", cpus=1)
    heads = [(Candidate(99, 1000, 0.0), small), (Candidate(7, 2000, 0.0), need)]
    situation = Situation([seat(Resources(2, 1 << 30, 8))], {}, {}, Ahead(1, None), heads)
    assert reasons(99, small, situation) == [
        "task 7 is first in line and waits for room; "
        "once it has waited 60 s there, what is free is kept for it",
        "2nd in line",
    ]
    roomy = Situation([seat(Resources(4, 1 << 30, 8))], {}, {}, Ahead(1, None), heads)
    assert reasons(99, small, roomy) == ["it is 2nd in line and starts as soon as a slot is free"]
    behind = Situation([seat(Resources(2, 1 << 30, 8))], {}, {}, Ahead(0, None), heads[:1])
    assert reasons(99, small, behind) == ["it is 1st in line and starts as soon as a slot is free"]
