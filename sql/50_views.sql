-- What people look at. The views run with the rights of the extension's owner: whoever may read
-- them sees every migration.

-- One row per migration: where it stands and what it waits for.
CREATE VIEW migrate.status AS
SELECT r.revision,
       r.state,
       r.message,
       s.done || '/' || s.total AS steps,
       coalesce(
           CASE WHEN s.failed IS NOT NULL THEN 'step ' || s.failed || ' failed: ' || s.error END,
           s.waiting,
           CASE
             WHEN r.state IN ('expanding', 'migrating', 'contracting', 'downgrading') AND NOT d.driven
               THEN 'no driver: CALL migrate.upgrade(); or SELECT migrate.start_worker(); or SELECT migrate.schedule();'
             WHEN r.state = 'pending' AND r.requested THEN 'waits for its parent, or for a driver: CALL migrate.upgrade();'
             WHEN r.state = 'expanded' THEN 'ready for CALL migrate.contract(' || pg_catalog.quote_literal(r.revision) || ')'
           END) AS waiting,
       d.driven,
       pg_catalog.pg_get_userbyid(r.owner) AS owner,
       r.started_at,
       r.finished_at
FROM migrate.revision r
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state IN ('done', 'skipped')) AS done,
           count(*) AS total,
           min(step) FILTER (WHERE state = 'failed') AS failed,
           min(error ->> 'message') FILTER (WHERE state = 'failed') AS error,
           min(waiting) AS waiting
    FROM migrate.step
    WHERE revision = r.revision AND direction = CASE WHEN r.state = 'downgrading' THEN 'down' ELSE 'up' END) s ON true
LEFT JOIN LATERAL (
    -- Whoever works on a migration holds its advisory lock, or runs a driver.
    SELECT EXISTS (
        SELECT 1 FROM pg_catalog.pg_stat_activity a
        WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid()
          AND ((a.backend_type = 'pg_migrate worker')
            OR (a.state = 'active' AND a.query ~* '^\s*call\s+migrate\.(upgrade|work|contract|downgrade)'))) AS driven) d ON true
WHERE r.state <> 'abandoned'
ORDER BY r.ordinal;

-- The graph's ends: revisions that no other follows.
CREATE VIEW migrate.heads AS
SELECT r.revision, r.state, r.branch_labels, r.message
FROM migrate.revision r
WHERE r.state <> 'abandoned'
  AND NOT EXISTS (SELECT 1 FROM migrate.revision c WHERE c.state <> 'abandoned' AND r.revision = ANY (c.down_revision))
ORDER BY r.ordinal;

-- The event log: who did what, from where, when, how long, and which error.
CREATE VIEW migrate.history AS
SELECT e.at, e.revision, e.what, e.direction, e.step, e.duration,
       e.role, e.session_role, e.application, e.client_addr, e.pid,
       coalesce(e.error ->> 'message', e.detail) AS detail, e.sql, e.error
FROM migrate.event e
ORDER BY e.event;

-- Every step of every migration.
CREATE VIEW migrate.steps AS
SELECT s.revision, s.direction, s.step, s.phase, s.kind, s.state, s.sql, s.relation,
       upper(pg_catalog.regexp_replace(s.lock, '([a-z])([A-Z])', '\1 \2', 'g')) AS lock,
       s.attempts, s.started_at, s.finished_at - s.started_at AS duration,
       s.waiting, s.error ->> 'message' AS error, s.error ->> 'detail' AS error_detail, s.warning
FROM migrate.step s
JOIN migrate.revision r USING (revision)
ORDER BY r.ordinal, s.direction DESC, s.step;
