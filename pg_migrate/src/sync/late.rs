//! Partitions that came after the trigger: their rows did not pass through it before.

use super::install::{Found, Table, triggers};
use crate::fault::Result;
use crate::pg::spi::{self, Arg};
use crate::pg::trigger;
use serde::Deserialize;

/// The comment on the trigger of a partition that came later and whose rows are being filled.
const SEEN: &str = "pg_migrate: being filled";

#[derive(Deserialize)]
pub struct Young {
    pub oid: u32,
    relation: u32,
}

/// Partitions whose trigger is younger than that of the table and has not been seen before: what
/// they brought along is not filled, whatever was done to them earlier. From now on they are seen.
/// Nothing where the trigger is gone.
pub fn late(relation: u32, old: &str, new: &str) -> Result<Vec<u32>> {
    Table::owned(relation)?;
    let young = unseen(relation, &triggers(relation, old, new, true)?)?;
    for one in &young {
        trigger::set_comment(one.relation, one.oid, SEEN)?;
    }
    Ok(young.into_iter().map(|one| one.relation).collect())
}

/// Those among the triggers of the table and its partitions that are late.
pub fn unseen(relation: u32, found: &[Found]) -> Result<Vec<Young>> {
    let Some(whole) = found.iter().find(|one| one.relation == relation) else {
        return Ok(Vec::new());
    };
    // All that were made together have one xmin.
    spi::select(
        "SELECT t.oid::pg_catalog.int8 AS oid, t.tgrelid::pg_catalog.int8 AS relation \
         FROM pg_catalog.pg_trigger t \
         JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) t.tgrelid AND c.relispartition \
         WHERE t.oid::pg_catalog.int8 OPERATOR(pg_catalog.=) ANY ($1) \
           AND t.xmin::pg_catalog.text OPERATOR(pg_catalog.<>) \
               (SELECT w.xmin::pg_catalog.text FROM pg_catalog.pg_trigger w WHERE w.oid OPERATOR(pg_catalog.=) $2) \
           AND pg_catalog.obj_description(t.oid, 'pg_trigger') IS NULL",
        &[
            Arg::Ints(found.iter().map(|one| i64::from(one.oid)).collect()),
            Arg::Oid(whole.oid),
        ],
    )
}
