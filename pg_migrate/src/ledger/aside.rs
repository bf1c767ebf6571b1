//! `migrate.aside`: tables and columns set aside instead of dropped.

use super::owned;
use crate::fault::Result;
use crate::pg::spi::{self, Arg};
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
pub struct Aside {
    pub aside: i64,
    pub revision: String,
    pub kind: String,
    pub relation: u32,
    pub original_schema: String,
    pub original_table: String,
    pub original_column: Option<String>,
    pub aside_name: String,
}

const COLUMNS: &str = "aside, coalesce(revision, '') AS revision, kind, relation::oid::int8 AS relation, original_schema, original_table, original_column, aside_name";

pub fn remember_aside(
    revision: &str,
    relation: u32,
    schema: &str,
    table: &str,
    column: Option<&str>,
    name: &str,
) -> Result<()> {
    owned(|| {
        spi::run(
            "INSERT INTO migrate.aside (revision, kind, relation, original_schema, original_table, original_column, aside_name) \
             VALUES ($1, CASE WHEN $5 IS NULL THEN 'table' ELSE 'column' END, $2, $3, $4, $5, $6)",
            &[
                Arg::Text(revision),
                Arg::Oid(relation),
                Arg::Text(schema),
                Arg::Text(table),
                Arg::OptText(column),
                Arg::Text(name),
            ],
        )
        .map(drop)
    })
}

/// The newest thing set aside under this name that is still there.
pub fn aside_of(schema: &str, table: &str, column: Option<&str>) -> Result<Option<Aside>> {
    owned(|| {
        spi::first(
            &format!(
                "SELECT {COLUMNS} FROM migrate.aside \
                 WHERE original_schema = $1 AND original_table = $2 AND original_column IS NOT DISTINCT FROM $3 \
                   AND restored_at IS NULL AND purged_at IS NULL ORDER BY aside DESC LIMIT 1"
            ),
            &[Arg::Text(schema), Arg::Text(table), Arg::OptText(column)],
        )
    })
}

/// Everything set aside longer ago than `older_than` (an interval as text) and still there.
pub fn asides_before(older_than: &str) -> Result<Vec<Aside>> {
    owned(|| {
        spi::select(
            &format!(
                "SELECT {COLUMNS} FROM migrate.aside WHERE restored_at IS NULL AND purged_at IS NULL \
                 AND set_aside_at <= pg_catalog.clock_timestamp() - $1::interval ORDER BY aside"
            ),
            &[Arg::Text(older_than)],
        )
    })
}

pub fn forget_aside(aside: i64, purged: bool) -> Result<()> {
    owned(|| {
        spi::run(
            "UPDATE migrate.aside SET purged_at = CASE WHEN $2 THEN pg_catalog.clock_timestamp() END, \
                    restored_at = CASE WHEN NOT $2 THEN pg_catalog.clock_timestamp() END WHERE aside = $1",
            &[Arg::Int(aside), Arg::Bool(purged)],
        )
        .map(drop)
    })
}

/// The number that tells the next object set aside from those before it.
pub fn next_aside_number() -> Result<i64> {
    #[derive(Deserialize)]
    struct Next {
        value: i64,
    }
    let rows: Vec<Next> = owned(|| {
        spi::select(
            "SELECT coalesce(max(aside), 0) + 1 AS value FROM migrate.aside",
            &[],
        )
    })?;
    Ok(rows.first().map_or(1, |row| row.value))
}
