"""Own who is who: the user that tasks are submitted as and run as."""

from __future__ import annotations

import grp
import os
import pwd
from functools import lru_cache


def user_name(uid: int | None = None) -> str:
    """Return the name of a user, by default our own; the number where it has no name."""
    return _name(os.geteuid() if uid is None else uid)


@lru_cache
def group_names() -> frozenset[str]:
    """Return the names of the groups this process is in; the number of one that has none."""
    return frozenset(_group_name(gid) for gid in {os.getegid(), *os.getgroups()})


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


@lru_cache
def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
