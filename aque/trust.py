"""Own who is who: the user that tasks are submitted as and run as."""

from __future__ import annotations

import os
import pwd


def user_name(uid: int | None = None) -> str:
    """Return the name of a user, by default our own; the number where it has no name."""
    number = os.geteuid() if uid is None else uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
