"""Own who is who: the user that tasks are submitted as and run as."""

from __future__ import annotations

import grp
import os
import pwd
from functools import lru_cache

from aque.errors import UsageError


def user_name(uid: int | None = None) -> str:
    """Return the name of a user, by default our own; the number where it has no name."""
    return _name(os.geteuid() if uid is None else uid)


def login_environ(user: str) -> dict[str, str]:
    """Return what a login sets in a user's environment. Raises UsageError where there is none."""
    try:
        found = pwd.getpwnam(user)
    except (KeyError, ValueError, UnicodeEncodeError):
        raise UsageError(f"there is no user {user!r} on this host") from None
    name, shell = found.pw_name, found.pw_shell or "/bin/sh"
    return {"HOME": found.pw_dir, "USER": name, "LOGNAME": name, "SHELL": shell}


def check_user(user: str) -> None:
    """Raise UsageError where tasks may not be submitted for this user: root may, for all."""
    login_environ(user)
    if user != user_name() and os.geteuid() != 0:
        raise UsageError(f"only root may submit for another user, as {user}")


def may_run_as(worker: str, user: str) -> bool:
    """Whether a worker of this user may run tasks of that one: its own, and root everybody's.

    Root's workers are not enlisted in a queue that anybody else may write to.
    """
    return worker in (user, user_name(0))


def group_ids() -> set[int]:
    """Return the groups this process is in, by their numbers."""
    return {os.getegid(), *os.getgroups()}


def group_name(gid: int) -> str:
    """Return the name of a group; the number where it has none."""
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
