"""The mounts of a task's paths: said ones bind, all of them order."""

from __future__ import annotations

import pytest

from aque.mounts import Mount
from aque.requirements import Requirements
from aque.schedule import mounts
from aque.schedule.eligible import Claimant, may_run, obstacles
from aque.schedule.resources import Resources

DISK = Mount("ext4", "/dev/sda1", "/")
FAST = Mount("xfs", "/dev/nvme0n1", "/scratch")
SHARE = Mount("nfs4", "filer:/projects", "/projects")
ROOM = Resources(4, 1 << 30, 4)


def who(*mounted: Mount) -> Claimant:
    return Claimant(1, "me", False, ROOM, ROOM, mounts=frozenset(mounted))


def test_a_text_comes_back_and_is_the_same_for_the_same_mounts() -> None:
    text = mounts.to_text([SHARE], [FAST, DISK, SHARE])
    assert text == mounts.to_text([SHARE], [DISK, FAST])
    assert mounts.parse(text) == mounts.Mounts((SHARE,), (DISK, FAST))
    assert mounts.to_text([], []) is None
    assert mounts.parse(None) == mounts.Mounts()


def test_a_said_mount_binds_and_a_guessed_one_does_not() -> None:
    said = Requirements("me", mounts=mounts.to_text([SHARE], []))
    guessed = Requirements("me", mounts=mounts.to_text([], [SHARE]))
    assert may_run(said, who(DISK, SHARE))
    assert not may_run(said, who(DISK))
    assert may_run(guessed, who(DISK))
    (obstacle,) = obstacles(said, who(DISK))
    assert obstacle == "filer:/projects (nfs4) is not mounted on /projects there"


def test_another_source_on_the_same_point_is_another_mount() -> None:
    said = Requirements("me", mounts=mounts.to_text([SHARE], []))
    assert not may_run(said, who(DISK, SHARE._replace(source="filer:/old")))


@pytest.mark.parametrize(
    ("used", "busy", "scale"),
    [
        ((), {}, 0),
        ((DISK,), {}, 0),
        ((SHARE,), {}, 1),
        ((DISK,), {DISK: 1}, 2),
        ((DISK,), {FAST: 3}, 0),
        ((DISK, FAST), {FAST: 3}, 4),
    ],
)
def test_idle_local_disks_come_first_and_the_busiest_last(
    used: tuple[Mount, ...], busy: dict[Mount, int], scale: int
) -> None:
    assert mounts.scale(mounts.to_text([], used), busy) == scale


def test_running_tasks_are_counted_by_each_of_their_mounts() -> None:
    running = [(mounts.to_text([DISK], [FAST]) or "", 2), (mounts.to_text([], [FAST]) or "", 3)]
    assert mounts.count_busy(running) == {DISK: 2, FAST: 5}
