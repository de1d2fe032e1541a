"""Own the states of a task and the one table of transitions between them."""

CREATING = "creating"
PENDING = "pending"
PAUSED = "paused"
RUNNING = "running"
SUCCESS = "success"
ERROR = "error"
CANCELLED = "cancelled"

#: May be claimed, once nothing it waits for is left.
READY_STATES = frozenset({PENDING})
#: Not claimed as they are: still being put together, or held.
UNREADY_STATES = frozenset({CREATING, PAUSED})
#: Has a process, or is about to have one.
ACTIVE_STATES = frozenset({RUNNING})
#: Ended; only a retry leads out of these.
COMPLETE_STATES = frozenset({SUCCESS, ERROR, CANCELLED})

#: Every state, in the order of a task's life.
STATES = (CREATING, PENDING, PAUSED, RUNNING, SUCCESS, ERROR, CANCELLED)
#: Not started: what a dependency's end or a kill changes at once.
WAITING_STATES = READY_STATES | UNREADY_STATES
#: Not ended.
UNFINISHED_STATES = WAITING_STATES | ACTIVE_STATES
#: Ended, and what needs it fails.
FAILED_STATES = COMPLETE_STATES - {SUCCESS}

#: Where a task may begin.
INITIAL_STATES = frozenset({CREATING, PENDING, PAUSED})

#: (from, to) -> the acts that take a task there.
TRANSITIONS = {
    (CREATING, PENDING): "submit",
    (CREATING, PAUSED): "submit with hold",
    (PENDING, PAUSED): "pause",
    (PAUSED, PENDING): "resume",
    (PENDING, RUNNING): "claim",
    (PENDING, SUCCESS): "a group: all it waits for has succeeded",
    (CREATING, ERROR): "a dependency failed",
    (PENDING, ERROR): "a dependency failed",
    (PAUSED, ERROR): "a dependency failed",
    (CREATING, CANCELLED): "cancel",
    (PENDING, CANCELLED): "cancel",
    (PAUSED, CANCELLED): "cancel",
    (RUNNING, SUCCESS): "finish",
    (RUNNING, ERROR): "finish",
    (RUNNING, CANCELLED): "finish, after cancel",
    (RUNNING, PENDING): "requeue",
    (SUCCESS, PENDING): "retry",
    (ERROR, PENDING): "retry",
    (CANCELLED, PENDING): "retry",
    (PENDING, CREATING): "resume a run",
    (SUCCESS, CREATING): "resume a run",
    (ERROR, CREATING): "resume a run",
    (CANCELLED, CREATING): "resume a run",
}
