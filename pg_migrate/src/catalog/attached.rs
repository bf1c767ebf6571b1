//! What hangs on columns, and the foreign keys of a table.

use super::relation;
use crate::fault::Result;
use crate::pg::settings::Scope;
use crate::pg::spi::{self, Arg};
use crate::pg::{relation_column, subtransaction};
use crate::recipe::facts::{Attached, ForeignKey};
use serde::de::DeserializeOwned;

const ATTACHED: &str = "SELECT kind, what, mark, relation_name AS relation, rank, drops, makes, detail, obstacle \
     FROM migrate.attached($1::oid, $2)";
const FOREIGN_KEYS: &str = include_str!("foreign_keys.sql");

/// Reads definitions with every name in full: with a search path, what is on it is printed bare,
/// and may mean something else when it is read again.
fn in_full<T: DeserializeOwned>(sql: &str, args: &[Arg]) -> Result<Vec<T>> {
    subtransaction::attempt(|| {
        let scope = Scope::new();
        scope.set("search_path", "pg_catalog");
        let rows = spi::select(sql, args)?;
        drop(scope);
        Ok(rows)
    })
}

/// Everything that hangs on the columns; those that are not in the catalog yet have nothing.
pub fn attached(table: &str, columns: &[String]) -> Result<Vec<Attached>> {
    let oid = relation::must_resolve(table)?;
    let numbers: Vec<i64> = columns
        .iter()
        .filter_map(|column| relation_column::number(oid, column))
        .map(i64::from)
        .collect();
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    spi::select(ATTACHED, &[Arg::Oid(oid), Arg::Ints(numbers)])
}

pub fn foreign_keys(table: &str) -> Result<Vec<ForeignKey>> {
    match relation::resolve(table)? {
        Some(oid) => in_full(FOREIGN_KEYS, &[Arg::Oid(oid)]),
        None => Ok(Vec::new()),
    }
}
