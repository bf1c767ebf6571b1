//! `migrate.picture`: the schema as the last migration left it.

use super::owned;
use crate::fault::Result;
use crate::pg::spi::{self, Arg};
use serde::Deserialize;

/// An object that is not as the last migration left it.
#[derive(Debug, Deserialize)]
pub struct Drifted {
    pub object: String,
    /// `made`, `changed` or `gone`.
    pub change: String,
    /// Everything about it, as the migration left it and as it is now.
    pub expected: Option<String>,
    pub found: Option<String>,
}

/// Takes a picture.
pub fn keep_picture() -> Result<()> {
    keep(
        "INSERT INTO migrate.picture (objects) \
         SELECT coalesce(pg_catalog.jsonb_object_agg(object, definition), '{}') FROM migrate.fingerprint()",
    )
}

/// Notes that no picture could be taken.
pub fn keep_no_picture() -> Result<()> {
    keep("INSERT INTO migrate.picture DEFAULT VALUES")
}

/// Nobody waits: it is a row of its own, and of older ones those are deleted that nobody else is
/// deleting.
fn keep(insert: &str) -> Result<()> {
    owned(|| {
        spi::run(insert, &[])?;
        spi::run(
            "DELETE FROM migrate.picture WHERE picture IN (\
                 SELECT picture FROM migrate.picture ORDER BY picture DESC OFFSET 1 FOR UPDATE SKIP LOCKED)",
            &[],
        )
        .map(drop)
    })
}

/// Whether the database has more than `most` tables, views and their like.
pub fn is_large(most: i64) -> Result<bool> {
    #[derive(Deserialize)]
    struct Size {
        large: bool,
    }
    let size: Option<Size> = spi::first(
        "SELECT pg_catalog.count(*) > $1 AS large FROM (\
             SELECT 1 FROM pg_catalog.pg_class \
             WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND oid >= 16384 LIMIT $1 + 1) AS found",
        &[Arg::Int(most)],
    )?;
    Ok(size.is_some_and(|size| size.large))
}

/// Whether there is a picture to compare with; `None`: no migration has come to rest yet.
pub fn has_picture() -> Result<Option<bool>> {
    #[derive(Deserialize)]
    struct Last {
        taken: bool,
    }
    let last: Option<Last> = owned(|| {
        spi::first(
            "SELECT objects IS NOT NULL AS taken FROM migrate.picture ORDER BY picture DESC LIMIT 1",
            &[],
        )
    })?;
    Ok(last.map(|last| last.taken))
}

/// What differs from the last picture, by object. The extension itself changes with its updates.
pub fn drifted() -> Result<Vec<Drifted>> {
    owned(|| {
        spi::select(
            "WITH last AS (SELECT objects FROM migrate.picture ORDER BY picture DESC LIMIT 1), \
             expected AS (SELECT e.key AS object, e.value AS definition FROM last, pg_catalog.jsonb_each_text(last.objects) e), \
             found AS (SELECT object, definition FROM migrate.fingerprint() WHERE EXISTS (SELECT 1 FROM last WHERE objects IS NOT NULL)) \
             SELECT coalesce(e.object, f.object) AS object, \
                    CASE WHEN e.object IS NULL THEN 'made' WHEN f.object IS NULL THEN 'gone' ELSE 'changed' END AS change, \
                    e.definition AS expected, f.definition AS found \
             FROM expected e FULL JOIN found f ON f.object = e.object \
             WHERE e.definition IS DISTINCT FROM f.definition \
               AND coalesce(e.object, f.object) <> 'extension pg_migrate' \
             ORDER BY 1",
            &[],
        )
    })
}
