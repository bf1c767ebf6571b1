-- One line per backfill job, good under \watch. Rows are estimates: the table is never counted,
-- how far a pass is comes from the blocks it has read; percent and eta from the work that they are.

CREATE VIEW migrate.progress AS
SELECT b.job,
       b.revision,
       b.relation_name AS relation,
       CASE WHEN b.state = 'done' AND q.quarantined > 0
            THEN 'done with ' || q.quarantined || ' quarantined' ELSE b.state END AS state,
       n.rows_done,
       n.rows_total,
       b.rows_updated + r.rows AS rows_updated,
       pg_catalog.round(100 * f.fraction, 1) AS percent,
       CASE WHEN t.seconds > 0 THEN pg_catalog.round(n.rows_done / t.seconds)::int8 END AS rows_per_second,
       CASE WHEN b.state = 'running' AND f.fraction > 0
            THEN pg_catalog.make_interval(secs => pg_catalog.ceil((1 - f.fraction) / f.fraction * t.seconds)::float8)
       END AS eta,
       pg_catalog.repeat('█', pg_catalog.floor(20 * f.fraction)::int)
         || pg_catalog.repeat('░', 20 - pg_catalog.floor(20 * f.fraction)::int) AS bar,
       CASE WHEN b.state = 'paused' THEN 'paused: SELECT migrate.resume(' || b.job || ');'
            WHEN b.state NOT IN ('queued', 'running') THEN NULL
            WHEN b.next_pass_at > pg_catalog.clock_timestamp()
                 THEN 'waiting before pass ' || b.pass || ': writers do not fill the rows they change'
            WHEN b.throttle IS NOT NULL THEN b.throttle
            WHEN r.verifying THEN 'verifying'
            WHEN r.resting > 0 AND r.blocks_done = r.blocks_total
                 THEN 'waiting for rows that other sessions have locked'
            WHEN b.unstriped_until > pg_catalog.clock_timestamp()
                 THEN 'no room on the pages (more WAL, larger table): dead rows are kept by ' || b.unstriped_why
       END AS throttle,
       b.pass,
       r.blocks_done::int8 AS blocks_done,
       r.blocks_total::int8 AS blocks_total,
       CASE WHEN r.batches > 0 THEN pg_catalog.round(r.rows::numeric / r.batches)::int8 END AS rows_per_batch,
       r.stripes,
       CASE WHEN r.rows > 0 THEN pg_catalog.round(100.0 * r.rows_hot / r.rows, 1) END AS hot_percent,
       CASE WHEN r.rows > 0 THEN pg_catalog.round(r.wal_bytes::numeric / r.rows)::int8 END AS wal_per_row,
       q.quarantined,
       b.error ->> 'message' AS error,
       b.created_at,
       b.started_at,
       b.finished_at
FROM migrate.backfill b
CROSS JOIN LATERAL (
    SELECT coalesce(pg_catalog.sum(g.rows_updated), 0)::int8 AS rows,
           coalesce(pg_catalog.sum(g.blocks_done) FILTER (WHERE g.kind IN ('scan', 'keys')), 0) AS blocks_done,
           coalesce(pg_catalog.sum(g.end_block - g.first_block) FILTER (WHERE g.kind IN ('scan', 'keys')), 0) AS blocks_total,
           coalesce(pg_catalog.bool_or(g.kind = 'verify' AND NOT g.done), false) AS verifying,
           pg_catalog.count(*) FILTER (WHERE NOT g.done AND g.retry_at IS NOT NULL) AS resting,
           coalesce(pg_catalog.sum(g.work_done) FILTER (WHERE g.kind IN ('scan', 'keys')), 0) AS work_done,
           coalesce(pg_catalog.sum(g.batches), 0) AS batches,
           coalesce(pg_catalog.sum(g.rows_hot), 0) AS rows_hot,
           coalesce(pg_catalog.sum(g.wal_bytes), 0) AS wal_bytes,
           -- Of the piece that was worked on last.
           (pg_catalog.array_agg(g.stripes ORDER BY g.done, g.range DESC) FILTER (WHERE g.batches > 0 AND g.kind = 'scan'))[1] AS stripes
    FROM migrate.backfill_range g WHERE g.job = b.job
) r
CROSS JOIN LATERAL (
    SELECT CASE WHEN b.state = 'done' THEN 1
                WHEN r.blocks_total > 0 THEN r.work_done / r.blocks_total
                ELSE 0 END AS fraction,
           CASE WHEN b.state = 'done' THEN 1
                WHEN r.blocks_total > 0 THEN r.blocks_done / r.blocks_total
                ELSE 0 END AS read
) f
CROSS JOIN LATERAL (
    SELECT greatest(b.rows_estimate, r.rows) AS rows_total,
           pg_catalog.round(greatest(b.rows_estimate, r.rows) * f.read)::int8 AS rows_done
) n
CROSS JOIN LATERAL (
    SELECT EXTRACT(epoch FROM coalesce(b.finished_at, b.paused_at, pg_catalog.clock_timestamp())
                              - CASE WHEN b.state = 'done' THEN b.started_at ELSE b.pass_started_at END) AS seconds
) t
CROSS JOIN LATERAL (
    SELECT pg_catalog.count(*) AS quarantined FROM migrate.quarantine g WHERE g.job = b.job
) q
ORDER BY b.job;
