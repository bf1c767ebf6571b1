//! `migrate.backfill_range`: the pieces of a job.

use super::{Window, owned};
use crate::fault::{Fault, Result};
use crate::pg::spi::{self, Arg};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// A piece of one storage relation.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Range {
    pub range: i64,
    /// `scan`, `keys` or `verify`.
    pub kind: String,
    pub relation: u32,
    pub filenode: u32,
    pub next_block: i64,
    pub end_block: i64,
    pub skipped: Vec<i64>,
    pub chunk_blocks: i64,
    pub retries: i32,
    pub window: Window,
    /// Walked by key: the last one looked at.
    pub after: Option<Vec<String>>,
}

/// What a batch did to its range.
#[derive(Debug)]
pub struct Moved {
    pub next_block: i64,
    pub skipped: Vec<i64>,
    pub chunk_blocks: i64,
    pub window: Window,
    pub rows: i64,
    /// Those that stayed on their pages, and bytes of WAL written.
    pub hot: i64,
    pub wal: i64,
    /// Into how many visits the window is divided.
    pub stripes: Option<i32>,
    pub took: Duration,
    pub retries: i32,
    /// Not to be looked at again before this time has passed.
    pub rest: Option<Duration>,
    pub found: Option<i64>,
    pub done: bool,
}

const COLUMNS: &str = "range, kind, relation::oid::int8 AS relation, filenode::int8 AS filenode, next_block, end_block, \
                       skipped, chunk_blocks, retries, after, \
                       coalesce(\"window\", '{}') AS \"window\"";

/// Claims a piece of the job until the transaction ends: one with blocks nobody has read yet, else
/// one with skipped rows whose time has come. `known`, those the session was at before, come first;
/// one that another session was at moments ago is not claimed while any of them is open, and comes
/// last; new ones only while those have fewer than `most` blocks; those in `but` are passed over. `None`: others have all there is, or it is to be left alone for a while.
pub fn claim(job: i64, known: &[i64], most: i64, but: &[i64]) -> Result<Option<Range>> {
    const OPEN: &str = "(SELECT coalesce(pg_catalog.sum(k.end_block - k.next_block + 1), 0) \
                         FROM migrate.backfill_range k WHERE k.job = $1 AND NOT k.done AND k.range = ANY ($2))";
    // A worker that died, or has long been kept from its range, must not keep others from it.
    const LATELY: &str = "pg_catalog.clock_timestamp() - interval '5 seconds'";
    let whose = [
        "range = ANY ($2) AND $3 > 0 ORDER BY pg_catalog.array_position($2, range)".to_owned(),
        // In the order of the index: there may be thousands.
        format!("batches = 0 AND $3 > {OPEN} ORDER BY range"),
        format!(
            "batches > 0 AND $3 > 0 AND ({OPEN} = 0 OR worked_at <= {LATELY}) \
             ORDER BY worked_at > {LATELY}, range"
        ),
    ];
    for which in ["next_block < end_block", "next_block >= end_block"] {
        for whose in &whose {
            let rows: Vec<Range> = owned(|| {
                spi::write(
                    &format!(
                        "SELECT {COLUMNS} FROM migrate.backfill_range \
                         WHERE job = $1 AND NOT done AND range <> ALL ($4) AND {which} \
                           AND (retry_at IS NULL OR retry_at <= pg_catalog.clock_timestamp()) AND {whose} \
                         LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED"
                    ),
                    &[
                        Arg::Int(job),
                        Arg::Ints(known.to_vec()),
                        Arg::Int(most),
                        Arg::Ints(but.to_vec()),
                    ],
                )
            })?;
            if let Some(range) = rows.into_iter().next() {
                return Ok(Some(range));
            }
        }
    }
    Ok(None)
}

pub fn move_range(job: i64, range: i64, moved: &Moved) -> Result<()> {
    let rest = moved.rest.map_or(0, |time| time.as_millis() as i64);
    let window =
        serde_json::to_value(&moved.window).map_err(|err| Fault::internal(err.to_string()))?;
    owned(|| {
        spi::run(
            "UPDATE migrate.backfill_range SET next_block = $3, skipped = $4, chunk_blocks = $5, \
                    rows_updated = rows_updated + $6, batches = batches + 1, worked_at = pg_catalog.clock_timestamp(), busy_ms = busy_ms + $7, retries = $8, \
                    retry_at = CASE WHEN $9 > 0 THEN pg_catalog.clock_timestamp() + $9 * interval '1 millisecond' END, \
                    found = $10, \"window\" = $12, done = $11, blocks_done = $3 - first_block + $13, \
                    rows_hot = rows_hot + $14, wal_bytes = wal_bytes + $15, stripes = coalesce($16, stripes), \
                    work_done = $3 - first_block + $17, \
                    finished_at = CASE WHEN $11 THEN pg_catalog.clock_timestamp() END \
             WHERE job = $1 AND range = $2",
            &[
                Arg::Int(job),
                Arg::Int(range),
                Arg::Int(moved.next_block),
                Arg::Ints(moved.skipped.clone()),
                Arg::Int(moved.chunk_blocks),
                Arg::Int(moved.rows),
                Arg::Float(moved.took.as_secs_f64() * 1000.0),
                Arg::Int(moved.retries.into()),
                Arg::Int(rest),
                Arg::OptInt(moved.found),
                Arg::Bool(moved.done),
                Arg::Json(&window),
                Arg::Int(moved.window.blocks_done(moved.next_block)),
                Arg::Int(moved.hot),
                Arg::Int(moved.wal),
                Arg::OptInt(moved.stripes.map(i64::from)),
                Arg::Int(moved.window.work_done(moved.next_block)),
            ],
        )
        .map(drop)
    })
}

/// How far a range has been walked by key.
pub fn keep_key(job: i64, range: i64, after: Option<&[String]>) -> Result<()> {
    let Some(after) = after else { return Ok(()) };
    owned(|| {
        spi::run(
            "UPDATE migrate.backfill_range SET after = $3 WHERE job = $1 AND range = $2",
            &[Arg::Int(job), Arg::Int(range), Arg::Texts(after.to_vec())],
        )
        .map(drop)
    })
}

/// Adds pieces of `size` blocks that cover `[0, blocks)` of a heap file; an empty one counts as done.
pub fn insert_ranges(
    job: i64,
    kind: &str,
    relation: u32,
    filenode: u32,
    blocks: i64,
    size: i64,
    chunk: i64,
) -> Result<()> {
    owned(|| {
        spi::run(
            "INSERT INTO migrate.backfill_range (job, kind, relation, filenode, first_block, next_block, end_block, chunk_blocks, done) \
             SELECT $1, $2, $3, $4::oid, b, b, least(b + $6, $5), $7, $5 = 0 \
             FROM pg_catalog.generate_series(0, greatest($5 - 1, 0), $6) AS b ORDER BY b",
            &[
                Arg::Int(job),
                Arg::Text(kind),
                Arg::Oid(relation),
                Arg::Int(filenode.into()),
                Arg::Int(blocks),
                Arg::Int(size),
                Arg::Int(chunk),
            ],
        )
        .map(drop)
    })
}

/// The heap file has been replaced: its pieces that are done, and `range` which the caller holds,
/// say nothing of the new one. Those that others hold will come here by themselves.
pub fn set_stale(job: i64, relation: u32, filenode: u32, range: i64) -> Result<()> {
    owned(|| {
        spi::run(
            "UPDATE migrate.backfill_range SET kind = 'stale', done = true \
             WHERE job = $1 AND relation = $2 AND kind IN ('scan', 'keys') AND filenode::int8 <> $3 AND (done OR range = $4)",
            &[
                Arg::Int(job),
                Arg::Oid(relation),
                Arg::Int(filenode.into()),
                Arg::Int(range),
            ],
        )
        .map(drop)
    })
}

/// Whether pieces of this heap file (of any, with `None`) are known.
pub fn covered(job: i64, relation: u32, filenode: Option<u32>) -> Result<bool> {
    let rows: Vec<Value> = owned(|| {
        spi::write(
            "SELECT range FROM migrate.backfill_range WHERE job = $1 AND relation = $2 AND kind IN ('scan', 'keys') \
             AND ($3 IS NULL OR filenode::int8 = $3) LIMIT 1",
            &[
                Arg::Int(job),
                Arg::Oid(relation),
                Arg::OptInt(filenode.map(i64::from)),
            ],
        )
    })?;
    Ok(!rows.is_empty())
}

/// Where the pass stands.
#[derive(Debug, Clone, Deserialize)]
pub struct Standing {
    pub open: i64,
    /// Rows updated in this pass.
    pub rows: i64,
    pub blocks_done: i64,
    pub blocks_total: i64,
    /// What the verification of this pass found.
    pub found: Option<i64>,
    /// The job has come to its end.
    pub done: bool,
    pub quarantined: i64,
    /// A part of the table is walked by key.
    pub by_key: bool,
}

pub fn standing(job: i64) -> Result<Standing> {
    let rows: Vec<Standing> = owned(|| {
        spi::write(
            "SELECT pg_catalog.count(*) FILTER (WHERE NOT done) AS open, \
                    coalesce(pg_catalog.sum(rows_updated), 0)::int8 AS rows, \
                    coalesce(pg_catalog.sum(blocks_done) FILTER (WHERE kind IN ('scan', 'keys')), 0)::int8 AS blocks_done, \
                    coalesce(pg_catalog.sum(end_block - first_block) FILTER (WHERE kind IN ('scan', 'keys')), 0)::int8 AS blocks_total, \
                    pg_catalog.max(found) FILTER (WHERE kind = 'verify' AND done) AS found, \
                    (SELECT state = 'done' FROM migrate.backfill WHERE job = $1) AS done, \
                    (SELECT pg_catalog.count(*) FROM migrate.quarantine WHERE job = $1) AS quarantined, \
                    coalesce(pg_catalog.bool_or(kind = 'keys'), false) AS by_key \
             FROM migrate.backfill_range WHERE job = $1",
            &[Arg::Int(job)],
        )
    })?;
    rows.into_iter()
        .next()
        .ok_or_else(|| Fault::internal("no standing of a job"))
}
