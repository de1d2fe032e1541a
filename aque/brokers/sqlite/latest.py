"""Own which columns of a task tell of its latest attempt, and until when each does.

PROCESS is what runs: what makes a task wait again clears it, so none that waits has any of it.
OUTCOME is how the attempt ended: a task that waits for its next one still shows it, and a claim
clears it. A retry by a person begins anew: it clears both, and REST, what else came meanwhile.
(A group has no attempts; what progress its aque-xargs tells of it is its own.)
"""

from __future__ import annotations

from collections.abc import Iterable

PROCESS = tuple(
    (
        "worker pid pid_started session started_at stopped_at"
        " progress_done progress_total progress_message"
    ).split()
)
OUTCOME = tuple("exit_status exit_signal exception error user_time system_time max_rss".split())
REST = tuple("ended_at result cause cancel_at cancel_signal cancel_grace due_at owner".split())


def cleared(columns: Iterable[str]) -> str:
    """Return the SQL that sets these columns to nothing."""
    return ", ".join(f"{column} = NULL" for column in columns)
