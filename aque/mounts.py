"""Own the file systems that are mounted on this host, and on which of them a path lies.

A mount is known by (type, source, mount point), as /proc/self/mountinfo tells them (proc(5)):
device numbers change at each boot and differ between hosts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

#: Types served by one kernel, as /proc/self/mountinfo and macOS' mount name them.
LOCAL_TYPES = frozenset("ext2 ext3 ext4 xfs btrfs zfs f2fs bcachefs tmpfs overlay apfs hfs".split())


class Mount(NamedTuple):
    type: str
    source: str
    point: str

    @property
    def is_local(self) -> bool:
        return self.type in LOCAL_TYPES


UNKNOWN = Mount("unknown", "", "/")


def table() -> list[Mount]:
    """Return what is mounted now; of several on one point the last one counts."""
    return list(_by_mountinfo() if sys.platform == "linux" else _by_psutil())


def longest_existing(path: str) -> str:
    """Return the longest part of a path that exists, without links."""
    existing = os.path.realpath(path)
    while not os.path.lexists(existing):
        existing = os.path.dirname(existing)
    return existing


def of(path: str, mounted: Sequence[Mount]) -> Mount:
    """Return the mount that `path`, or what of it exists, lies on."""
    existing = longest_existing(path)
    found, longest = UNKNOWN, -1
    for mount in mounted:
        inside = existing == mount.point or existing.startswith(mount.point.rstrip("/") + "/")
        if inside and len(mount.point) >= longest:  # a later mount on the same point hides it
            found, longest = mount, len(mount.point)
    return found


def visible(mounted: Sequence[Mount]) -> frozenset[Mount]:
    """Return the mounts that no later one on their point hides."""
    return frozenset({mount.point: mount for mount in mounted}.values())


def _by_mountinfo() -> Iterator[Mount]:
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            before, _, after = line.partition(b" - ")
            kind, source = after.split(b" ")[:2]
            yield Mount(_text(kind), _text(source), _text(before.split(b" ")[4]))


def _by_psutil() -> Iterator[Mount]:
    import psutil

    for partition in psutil.disk_partitions(all=True):
        yield Mount(partition.fstype, partition.device, partition.mountpoint)


def _text(field: bytes) -> str:
    for code, character in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n")):
        field = field.replace(code, character)
    return os.fsdecode(field.replace(b"\\134", b"\\"))
