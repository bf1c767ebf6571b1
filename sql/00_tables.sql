-- The state of every migration. Written only by the extension's own functions, in the same
-- transaction as the work they describe; dumped by pg_dump.

CREATE SCHEMA migrate;

CREATE TABLE migrate.revision (
    revision        text PRIMARY KEY,
    ordinal         bigint GENERATED ALWAYS AS IDENTITY,
    down_revision   text[] NOT NULL DEFAULT '{}',
    depends_on      text[] NOT NULL DEFAULT '{}',
    branch_labels   text[] NOT NULL DEFAULT '{}',
    message         text,
    document        text NOT NULL,
    checksum        text NOT NULL,
    state           text NOT NULL DEFAULT 'pending'
                    CHECK (state IN ('pending','expanding','migrating','expanded','contracting','applied','downgrading','abandoned')),
    -- Asked for by apply or upgrade: drivers start it as soon as its parents allow.
    requested       boolean NOT NULL DEFAULT false,
    -- Operations that take the applied migration back; captured from the catalog when it was planned.
    inverse         jsonb,
    irreversible    text,              -- why it cannot be taken back, in words
    -- Columns whose shape this migration changes: [{"table": ..., "column": ...}].
    touches         jsonb NOT NULL DEFAULT '[]',
    -- Roles and relations by name in a dump: their numbers mean nothing in another cluster.
    owner           regrole NOT NULL,  -- rights with which its steps run
    login           regrole NOT NULL,  -- role a background worker logs in as before SET ROLE owner
    search_path     text NOT NULL DEFAULT '', -- in which its names resolve, whoever drives it
    registered_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at      timestamptz,
    finished_at     timestamptz
);

CREATE TABLE migrate.step (
    revision        text NOT NULL REFERENCES migrate.revision ON DELETE CASCADE,
    direction       text NOT NULL CHECK (direction IN ('up','down')),
    step            int NOT NULL,
    phase           text NOT NULL CHECK (phase IN ('expand','migrate','contract')),
    kind            text NOT NULL CHECK (kind IN ('ddl','concurrent','validate','backfill','verify','partitions')),
    relation        text,              -- schema-qualified, quoted; the table it locks
    sql             text NOT NULL,
    undo            jsonb NOT NULL DEFAULT '[]',
    args            jsonb NOT NULL DEFAULT '{}',
    lock            text,
    rewrites        boolean NOT NULL DEFAULT false,
    scans           boolean NOT NULL DEFAULT false,
    warning         text,
    state           text NOT NULL DEFAULT 'queued'
                    CHECK (state IN ('queued','running','done','failed','skipped','undone')),
    attempts        int NOT NULL DEFAULT 0,
    started_at      timestamptz,
    finished_at     timestamptz,
    error           jsonb,
    waiting         text,              -- why the step is not moving, in words
    PRIMARY KEY (revision, direction, step)
);

-- A backfill job. It belongs to a step, or stands alone (migrate.backfill called by hand).
CREATE TABLE migrate.backfill (
    job             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    revision        text REFERENCES migrate.revision ON DELETE CASCADE,
    direction       text,
    step            int,
    relation        regclass NOT NULL, -- a dump carries its name, not its number
    relation_name   text NOT NULL,     -- for display and for errors once the table is gone
    assignments     jsonb NOT NULL,    -- {"column": "expression", …}
    predicate       text,              -- as given; null: derived from the assignments
    copy            jsonb,             -- {"into": table, "columns": […]}: rows are copied; null: columns are set
    -- The expressions read rows of other tables: a row is locked before they are evaluated.
    locks_first     boolean NOT NULL DEFAULT false,
    condition       text NOT NULL,     -- the rows still to be done, as SQL over one row
    -- Filling a row makes the condition false for it, by construction; otherwise that is checked.
    self_ending     boolean NOT NULL,
    sync_trigger    text,              -- the triggers that keep up with concurrent writers, if any: OID and xmin
    owner           regrole NOT NULL,
    login           regrole NOT NULL,
    search_path     text NOT NULL DEFAULT '',
    state           text NOT NULL DEFAULT 'queued'
                    CHECK (state IN ('queued','running','paused','done','failed','cancelled')),
    pass            int NOT NULL DEFAULT 0,    -- 0: not surveyed yet
    previous_rows   bigint NOT NULL DEFAULT 0, -- rows updated in the pass before
    rows_updated    bigint NOT NULL DEFAULT 0, -- by earlier passes; those of this pass are in its ranges
    rows_estimate   bigint NOT NULL DEFAULT 0,
    target_ms       int NOT NULL DEFAULT 50 CHECK (target_ms BETWEEN 1 AND 60000),
    stripes         int NOT NULL DEFAULT 0 CHECK (stripes BETWEEN 0 AND 64), -- visits of a window; 0: as is best
    synchronous     boolean NOT NULL DEFAULT false, -- false: batches are committed with synchronous_commit = off
    unstriped_until timestamptz,       -- an old snapshot keeps dead rows: windows are not divided
    unstriped_why   text,              -- whose, in words
    throttle        text,              -- why it is waiting, in words
    error           jsonb,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at      timestamptz,
    pass_started_at timestamptz,       -- moved forward by the time spent paused
    next_pass_at    timestamptz,
    paused_at       timestamptz,
    finished_at     timestamptz
);

-- A piece of one storage relation (a plain table or a partition leaf). Claimed by FOR UPDATE SKIP
-- LOCKED; cursor, counters and rows move in one transaction. Counters are here and not with the
-- job, or callers at work on one job would wait for each other.
CREATE TABLE migrate.backfill_range (
    job             bigint NOT NULL REFERENCES migrate.backfill ON DELETE CASCADE,
    range           bigint GENERATED ALWAYS AS IDENTITY,
    -- scan: blocks to fill; keys: a table to be walked by key; verify: one look at the whole table; stale: of a heap file that is gone.
    kind            text NOT NULL DEFAULT 'scan' CHECK (kind IN ('scan','keys','verify','stale')),
    relation        regclass NOT NULL,
    filenode        oid NOT NULL,      -- the heap file the block numbers speak of
    first_block     bigint NOT NULL,
    next_block      bigint NOT NULL,
    end_block       bigint NOT NULL,   -- exclusive
    after           text[],            -- keys: the key of the last row that was looked at
    -- Blocks with rows that others had locked, to be revisited: first, end, first, end, …
    skipped         bigint[] NOT NULL DEFAULT '{}',
    "window"        jsonb,             -- blocks from next_block on that are visited several times
    blocks_done     bigint NOT NULL DEFAULT 0, -- those of the window by its rows that are filled
    work_done       bigint NOT NULL DEFAULT 0, -- those of the window by the work that is done
    chunk_blocks    int NOT NULL DEFAULT 8, -- heap blocks per statement; follows measured time
    rows_updated    bigint NOT NULL DEFAULT 0,
    rows_hot        bigint NOT NULL DEFAULT 0, -- of them, those whose new version stayed on its page
    wal_bytes       bigint NOT NULL DEFAULT 0,
    stripes         int,               -- visits of the last window; null: not divided
    batches         bigint NOT NULL DEFAULT 0,
    busy_ms         double precision NOT NULL DEFAULT 0, -- time spent inside batches
    retries         int NOT NULL DEFAULT 0,
    retry_at        timestamptz,
    worked_at       timestamptz,       -- by the last batch
    found           bigint,            -- verify: rows that were still to be done (counted up to a limit)
    finished_at     timestamptz,
    done            boolean NOT NULL DEFAULT false,
    PRIMARY KEY (job, range)
);
CREATE INDEX backfill_range_open ON migrate.backfill_range (job, range) WHERE NOT done;

-- Limits of what holds backfills back, where they are not the defaults. job null: of every job that
-- has none of its own; limit null: off.
CREATE TABLE migrate.throttle (
    throttle        text NOT NULL,
    job             bigint REFERENCES migrate.backfill ON DELETE CASCADE,
    "limit"         text,
    set_at          timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX throttle_key ON migrate.throttle (throttle, coalesce(job, 0));

-- Rows that a backfill could not fill: their expression or a constraint failed.
CREATE TABLE migrate.quarantine (
    job             bigint NOT NULL REFERENCES migrate.backfill ON DELETE CASCADE,
    relation        regclass NOT NULL,
    relation_name   text NOT NULL,
    tid             tid NOT NULL,
    key             jsonb,             -- the primary key's values, where there is one
    error           jsonb NOT NULL,
    at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job, relation, tid)
);

-- Tables and columns set aside instead of dropped.
CREATE TABLE migrate.aside (
    aside           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    revision        text,
    kind            text NOT NULL CHECK (kind IN ('table','column')),
    relation        regclass NOT NULL,
    original_schema text NOT NULL,
    original_table  text NOT NULL,
    original_column text,
    aside_name      text NOT NULL,
    set_aside_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    restored_at     timestamptz,
    purged_at       timestamptz
);

-- Append-only: who did what, from where, when, how long, with which statement and which error.
CREATE TABLE migrate.event (
    event           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    revision        text,
    direction       text,
    step            int,
    what            text NOT NULL,
    role            text NOT NULL,
    session_role    text NOT NULL,
    application     text,
    client_addr     inet,
    pid             int NOT NULL DEFAULT pg_catalog.pg_backend_pid(),
    duration        interval,
    sql             text,
    error           jsonb,
    detail          text
);
CREATE INDEX event_revision ON migrate.event (revision, event);

-- The schema as a migration left it when it came to rest: only the last row counts.
CREATE TABLE migrate.picture (
    picture         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    taken_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- What migrate.fingerprint() said: {"object": "definition", …}; null: something was locked for so
    -- long that it could not be asked, or a function that held locks would have had too much to ask.
    objects         jsonb
);

-- Work for a background worker: one top-level statement, or driving the queue.
CREATE TABLE migrate.worker (
    worker          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind            text NOT NULL CHECK (kind IN ('statement','driver')),
    sql             text,
    owner           regrole NOT NULL,
    login           regrole NOT NULL,
    search_path     text NOT NULL DEFAULT '',
    state           text NOT NULL DEFAULT 'starting' CHECK (state IN ('starting','running','done','failed','stopping')),
    pid             int,
    error           jsonb,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at     timestamptz
);

-- Tables set aside live here, out of the application's search path.
CREATE SCHEMA migrate_aside;

DO $$
DECLARE
    r regclass;
BEGIN
    FOR r IN SELECT c.oid FROM pg_catalog.pg_class c
             WHERE c.relnamespace = 'migrate'::regnamespace AND c.relkind IN ('r', 'S')
    LOOP
        PERFORM pg_catalog.pg_extension_config_dump(r, '');
    END LOOP;
END
$$;
