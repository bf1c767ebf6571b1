//! `migrate.quarantine`: the rows that a job could not fill.

use super::owned;
use crate::fault::{Fault, Result};
use crate::pg::spi::{self, Arg};
use serde::Deserialize;
use serde_json::Value;

/// Keeps a row that could not be filled, once.
pub fn quarantine(
    job: i64,
    relation: u32,
    name: &str,
    tid: &str,
    key: Option<&Value>,
    error: &Fault,
) -> Result<()> {
    let error = serde_json::to_value(error).map_err(|err| Fault::internal(err.to_string()))?;
    owned(|| {
        spi::run(
            "INSERT INTO migrate.quarantine (job, relation, relation_name, tid, key, error) \
             VALUES ($1, $2, $3, $4::tid, $5, $6) \
             ON CONFLICT (job, relation, tid) DO UPDATE SET key = excluded.key, error = excluded.error, at = excluded.at",
            &[
                Arg::Int(job),
                Arg::Oid(relation),
                Arg::Text(name),
                Arg::Text(tid),
                Arg::OptJson(key),
                Arg::Json(&error),
            ],
        )
        .map(drop)
    })
}

/// Forgets the quarantined rows of the pass before, or of one relation that begins again: those that
/// are still bad are met again.
pub fn clear_quarantine(job: i64, relation: Option<u32>) -> Result<()> {
    owned(|| {
        spi::run(
            "DELETE FROM migrate.quarantine WHERE job = $1 AND ($2 = 0 OR relation::oid = $2)",
            &[Arg::Int(job), Arg::Oid(relation.unwrap_or_default())],
        )
        .map(drop)
    })
}

pub fn quarantined(job: i64) -> Result<i64> {
    #[derive(Deserialize)]
    struct Count {
        count: i64,
    }
    let rows: Vec<Count> = owned(|| {
        spi::write(
            "SELECT pg_catalog.count(*) AS count FROM migrate.quarantine WHERE job = $1",
            &[Arg::Int(job)],
        )
    })?;
    Ok(rows.first().map_or(0, |row| row.count))
}

/// A row that could not be filled.
#[derive(Debug, Clone, Deserialize)]
pub struct Quarantined {
    pub relation: u32,
    pub tid: String,
    pub key: Option<Value>,
}

pub fn quarantine_of(job: i64) -> Result<Vec<Quarantined>> {
    owned(|| {
        spi::write(
            "SELECT relation::oid::int8 AS relation, tid::text AS tid, key FROM migrate.quarantine \
             WHERE job = $1 ORDER BY relation::oid, tid",
            &[Arg::Int(job)],
        )
    })
}

/// Takes a row out of the quarantine.
pub fn release(job: i64, relation: u32, tid: &str) -> Result<()> {
    owned(|| {
        spi::run(
            "DELETE FROM migrate.quarantine WHERE job = $1 AND relation::oid = $2 AND tid = $3::tid",
            &[Arg::Int(job), Arg::Oid(relation), Arg::Text(tid)],
        )
        .map(drop)
    })
}

/// The first quarantined row in words, for an error's detail.
pub fn first_quarantined(job: i64) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Row {
        text: String,
    }
    let rows: Vec<Row> = owned(|| {
        spi::write(
            "SELECT pg_catalog.concat('The first: ', coalesce(key::text, relation_name || ' ' || tid::text), ': ', \
                    error ->> 'message') AS text \
             FROM migrate.quarantine WHERE job = $1 ORDER BY at, tid LIMIT 1",
            &[Arg::Int(job)],
        )
    })?;
    Ok(rows.into_iter().next().map(|row| row.text))
}
