"""Own whether and when a task that failed is tried again."""

from __future__ import annotations

#: No delay grows past this, in seconds.
LONGEST_DELAY = 86400.0


def delay(retried: int, retry_delay: float) -> float:
    """Return the seconds to wait after `retried` retries: doubled each time, a day at most.

    Exponential backoff without jitter: one machine's retries do not storm a server.
    """
    return min(retry_delay * 2.0 ** min(retried, 60), LONGEST_DELAY)


def may_retry(retried: int, retries: int) -> bool:
    """Whether a task that was retried so often may run again, given its number of retries."""
    return retried < retries
