-- The queue, first version. What a column means is said in aque/task.py; why the graph and the
-- claim look like this, in docs/architecture.md. Invariants stand here as CHECKs, so that no
-- program that writes to this file can break them. They compare by OR, never by IN: SQLite builds a
-- table of an IN list for each row, which doubled the cost of an insert.

CREATE TABLE setting (
    key TEXT PRIMARY KEY,
    value REAL NOT NULL
) WITHOUT ROWID;

-- The number of the latest event: each transition takes the next, what comes at once the same. And
-- the id of the latest task: ids are never used again. (AUTOINCREMENT would write one page more.)
CREATE TABLE sequence (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    changed INTEGER NOT NULL,
    task INTEGER NOT NULL
);
INSERT INTO sequence VALUES (1, 0, 0);

-- What many tasks share is stored once. How many tasks use it is counted in one small table, since
-- each submit changes that, and would else write pages of both; at 0 the row goes.
CREATE TABLE uses (
    kind TEXT NOT NULL CHECK (kind = 'environment' OR kind = 'requirements'),
    id INTEGER NOT NULL,
    count INTEGER NOT NULL CHECK (count >= 0),
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;

CREATE TABLE environment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hash TEXT NOT NULL UNIQUE,
    content TEXT NOT NULL
);

CREATE TABLE requirements (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    "user" TEXT NOT NULL,
    host TEXT,
    platform TEXT,
    cpus REAL NOT NULL CHECK (cpus >= 0),
    memory INTEGER NOT NULL CHECK (memory >= 0),
    limits TEXT,
    mounts TEXT,
    reserved INTEGER
);

-- Nothing refers to it by a foreign key: to forget a worker would look at every task.
CREATE TABLE worker (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('worker', 'xargs')),
    name TEXT NOT NULL,
    host TEXT NOT NULL,
    names TEXT NOT NULL DEFAULT '',
    platform TEXT NOT NULL DEFAULT '',
    boot TEXT NOT NULL,
    pid_namespace TEXT NOT NULL,
    pid INTEGER NOT NULL,
    pid_started INTEGER,
    "user" TEXT NOT NULL,
    cpus REAL NOT NULL,
    memory INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    started_at REAL NOT NULL,
    ended_at REAL,
    draining_at REAL,  -- since when it starts nothing more: it ends once what it runs has
    heartbeat INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX worker_live ON worker (id) WHERE ended_at IS NULL;

CREATE TABLE task (
    id INTEGER PRIMARY KEY,
    status TEXT NOT NULL,  -- the triggers below say which: unlike a CHECK, they can be replaced
    waiting INTEGER NOT NULL DEFAULT 0 CHECK (waiting >= 0),
    priority INTEGER NOT NULL,
    duration REAL NOT NULL DEFAULT 0 CHECK (duration >= 0),
    due_at REAL,
    requirements INTEGER NOT NULL REFERENCES requirements (id),
    parent INTEGER,
    changed INTEGER NOT NULL,
    name TEXT,
    pattern TEXT,
    func TEXT,
    args TEXT,
    kwargs TEXT,
    extra TEXT,
    cwd TEXT,
    environment INTEGER REFERENCES environment (id),
    umask INTEGER,
    import_path TEXT,
    interpreter TEXT,
    stdin TEXT,
    stdin_value BLOB,
    stdout TEXT,
    stderr TEXT,
    timeout REAL CHECK (timeout > 0),
    retries INTEGER NOT NULL DEFAULT 0 CHECK (retries >= 0),
    retry_delay REAL NOT NULL DEFAULT 0 CHECK (retry_delay >= 0),
    keep_background INTEGER NOT NULL DEFAULT 0 CHECK (keep_background IN (0, 1)),
    retried INTEGER NOT NULL DEFAULT 0 CHECK (retried >= 0),
    created_at REAL NOT NULL,
    started_at REAL,
    ended_at REAL,
    stopped_at REAL,
    cancel_at REAL,
    cancel_signal INTEGER,
    cancel_grace REAL,
    attempt INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    crashes INTEGER NOT NULL DEFAULT 0 CHECK (crashes >= 0),
    -- of a group that is still being put together: the worker that does so
    owner INTEGER,
    worker INTEGER,
    pid INTEGER,
    pid_started INTEGER,
    session INTEGER,
    exit_status INTEGER,
    exit_signal INTEGER,
    result TEXT,
    exception TEXT,
    error TEXT,
    cause INTEGER,
    user_time REAL,
    system_time REAL,
    max_rss INTEGER,
    progress_done REAL,
    progress_total REAL,
    progress_message TEXT,
    CHECK ((status = 'success' OR status = 'error' OR status = 'cancelled')
        = (ended_at IS NOT NULL)),
    CHECK (status <> 'running' OR worker IS NOT NULL),
    CHECK (status <> 'running' AND status <> 'success' OR waiting = 0),
    CHECK (status <> 'running' OR pattern IS NOT NULL)
);

-- The best task of each kind by one seek; the kinds themselves by skipping through it.
CREATE INDEX task_ready ON task (requirements, priority DESC, duration DESC, id)
    WHERE status = 'pending' AND waiting = 0 AND due_at IS NULL;
CREATE INDEX task_due ON task (due_at) WHERE status = 'pending' AND due_at IS NOT NULL;
CREATE INDEX task_running ON task (worker) WHERE status = 'running';
CREATE INDEX task_unready ON task (status) WHERE status IN ('creating', 'paused');
CREATE INDEX task_group ON task (id) WHERE pattern IS NULL AND ended_at IS NULL;
CREATE INDEX task_parent ON task (parent, status) WHERE parent IS NOT NULL;
CREATE INDEX task_ended ON task (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX task_changed ON task (changed);

-- Tokens that tasks take while they run; what is taken is counted from the running rows. One that
-- is a group's own goes with it.
CREATE TABLE "limit" (
    name TEXT PRIMARY KEY,
    capacity INTEGER NOT NULL CHECK (capacity >= 0),
    task INTEGER REFERENCES task (id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX limit_task ON "limit" (task) WHERE task IS NOT NULL;

-- `task` waits for `dependency`. A dependency that was removed leaves its edge behind.
CREATE TABLE dependency (
    task INTEGER NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    dependency INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('after', 'after-any', 'child')),
    PRIMARY KEY (task, dependency, kind),
    CHECK (task <> dependency)
) WITHOUT ROWID;
CREATE INDEX dependency_reverse ON dependency (dependency, task, kind);

-- Attempts before the present one. `requeued` is the status of one that did not come to its end.
CREATE TABLE attempt (
    task INTEGER NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    status TEXT NOT NULL,
    started_at REAL,
    ended_at REAL,
    worker INTEGER,
    exit_status INTEGER,
    exit_signal INTEGER,
    error TEXT,
    PRIMARY KEY (task, attempt)
) WITHOUT ROWID;

-- A row without data says that the stream goes on in a file.
CREATE TABLE output (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    task INTEGER NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    stream TEXT NOT NULL CHECK (stream IN ('stdout', 'stderr', 'log')),
    offset INTEGER NOT NULL,
    at REAL NOT NULL,
    data BLOB
);
CREATE INDEX output_task ON output (task, attempt);

-- Signals asked for, until the worker has passed them on.
CREATE TABLE signal (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    task INTEGER NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    signal INTEGER NOT NULL
);
CREATE INDEX signal_task ON signal (task);

CREATE TABLE removed (
    changed INTEGER PRIMARY KEY,
    task INTEGER NOT NULL
);

-- aque/states.py holds the table of transitions; this repeats it for every writer. AFTER, since
-- SQLite reads a row anew after a trigger that comes before: a quarter of an insert.
CREATE TRIGGER task_begins AFTER INSERT ON task
WHEN NEW.status <> 'pending' AND NEW.status <> 'paused' AND NEW.status <> 'creating'
BEGIN
    SELECT RAISE(ABORT, 'a task cannot begin in this state');
END;

CREATE TRIGGER task_transition AFTER UPDATE OF status ON task
WHEN NOT CASE OLD.status
    WHEN 'pending' THEN NEW.status = 'running' OR NEW.status = 'success' OR NEW.status = 'paused'
        OR NEW.status = 'error' OR NEW.status = 'cancelled' OR NEW.status = 'creating'
    WHEN 'running' THEN NEW.status = 'success' OR NEW.status = 'error' OR NEW.status = 'pending'
        OR NEW.status = 'cancelled'
    WHEN 'creating' THEN NEW.status = 'pending' OR NEW.status = 'paused'
        OR NEW.status = 'error' OR NEW.status = 'cancelled'
    WHEN 'paused' THEN NEW.status = 'pending' OR NEW.status = 'error' OR NEW.status = 'cancelled'
    ELSE NEW.status = 'pending' OR NEW.status = 'creating'
END
BEGIN
    SELECT RAISE(ABORT, 'a forbidden transition');
END;

-- For people and other programs to read; aque itself does not. docs/reading.md says how. A command is
-- taken from its JSON by hand, since not every SQLite knows JSON: words are parted by blanks, unquoted.
CREATE VIEW task_view AS
SELECT
    t.id,
    t.status,
    t.name,
    CASE
        WHEN t.pattern IS NULL THEN 'group'
        WHEN t.pattern = 'shell' THEN replace(replace(replace(replace(
            substr(t.args, 3, length(t.args) - 4),
            '\\', char(1)), '","', ' '), '\"', '"'), char(1), '\')
        ELSE replace(replace(coalesce(t.func, t.pattern), '{"$name":"', ''), '"}', '')
            || ' ' || coalesce(t.args, '[]')
    END AS command,
    r."user",
    t.priority,
    r.cpus,
    r.memory,
    r.limits,
    t.parent,
    t.waiting,
    t.attempt,
    datetime(t.created_at, 'unixepoch', 'localtime') AS created,
    datetime(t.started_at, 'unixepoch', 'localtime') AS started,
    datetime(t.ended_at, 'unixepoch', 'localtime') AS ended,
    round(coalesce(t.ended_at, strftime('%s', 'now') + 0.0) - t.started_at, 2) AS seconds,
    t.user_time + t.system_time AS cpu_seconds,
    t.max_rss,
    t.progress_done,
    t.progress_total,
    t.progress_message,
    w.host,
    w.name AS worker,
    t.error,
    t.cause
FROM task AS t
JOIN requirements AS r ON r.id = t.requirements
LEFT JOIN worker AS w ON w.id = t.worker;

-- What tasks wrote, as text, a row for each piece; NULL where a stream goes on in a file.
CREATE VIEW output_view AS
SELECT
    task,
    attempt,
    stream,
    datetime(at, 'unixepoch', 'localtime') AS at,
    CAST(data AS TEXT) AS text,
    number
FROM output;

-- Who waits for whom, with the states of both.
CREATE VIEW dependency_view AS
SELECT d.task, t.status, d.kind, d.dependency, o.status AS dependency_status
FROM dependency AS d
JOIN task AS t ON t.id = d.task
LEFT JOIN task AS o ON o.id = d.dependency;
