"""Own whether and when a task that failed is tried again."""

from __future__ import annotations

#: No delay grows past this, in seconds.
LONGEST_DELAY = 86400.0


def delay(attempts: int, retry_delay: float) -> float:
    """Return the seconds to wait after `attempts` attempts: doubled each time, a day at most.

    Exponential backoff without jitter: one machine's retries do not storm a server.
    """
    return min(retry_delay * 2.0 ** min(attempts - 1, 60), LONGEST_DELAY)


def may_retry(attempts: int, retries: int) -> bool:
    """Whether a task may run again after `attempts` attempts, given its number of retries."""
    return attempts <= retries
