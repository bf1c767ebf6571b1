//! The sync triggers that are there.

use super::Table;
use crate::fault::{Fault, Result, state};
use crate::pg::spi::{self, Arg};
use serde::Deserialize;

/// Whether `t`, a row of `pg_trigger`, is one of ours. Asks for no right in the schema.
pub const SYNC_TRIGGERS: &str = "t.tgfoid OPERATOR(pg_catalog.=) ANY ( \
    SELECT p.oid FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace s \
           ON s.oid OPERATOR(pg_catalog.=) p.pronamespace \
    WHERE s.nspname OPERATOR(pg_catalog.=) 'migrate' \
      AND p.proname OPERATOR(pg_catalog.=) 'sync_column_trigger')";

#[derive(Deserialize)]
pub struct Found {
    pub oid: u32,
    pub relation: u32,
    name: String,
    table: String,
    /// The one of the partitioned table it came with.
    clone: bool,
}

/// The sync triggers of these columns on the table and, by `below`, on its partitions and on the
/// tables that inherit from it.
pub fn triggers(relation: u32, old: &str, new: &str, below: bool) -> Result<Vec<Found>> {
    spi::select(
        &format!(
            "SELECT t.oid::pg_catalog.int8 AS oid, t.tgrelid::pg_catalog.int8 AS relation, t.tgname AS name, \
                t.tgparentid OPERATOR(pg_catalog.<>) 0 AS clone, \
                pg_catalog.format('%I.%I', n.nspname, c.relname) AS \"table\" \
         FROM (WITH RECURSIVE tables AS ( \
                   SELECT $1 AS oid \
                   UNION ALL \
                   SELECT i.inhrelid FROM pg_catalog.pg_inherits i \
                          JOIN tables ON i.inhparent OPERATOR(pg_catalog.=) tables.oid \
                   WHERE $4) \
               SELECT DISTINCT oid FROM tables) tables \
              JOIN pg_catalog.pg_trigger t ON t.tgrelid OPERATOR(pg_catalog.=) tables.oid \
              JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) tables.oid \
              JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace, \
              (SELECT pg_catalog.convert_to($2, pg_catalog.getdatabaseencoding()) \
                      OPERATOR(pg_catalog.||) '\\x00'::pg_catalog.bytea \
                      OPERATOR(pg_catalog.||) \
                      pg_catalog.convert_to($3, pg_catalog.getdatabaseencoding()) \
                      OPERATOR(pg_catalog.||) '\\x00'::pg_catalog.bytea AS prefix) named \
         WHERE {SYNC_TRIGGERS} \
           AND pg_catalog.substring(t.tgargs, 1, pg_catalog.length(named.prefix)) \
               OPERATOR(pg_catalog.=) named.prefix"
        ),
        &[
            Arg::Oid(relation),
            Arg::Text(old),
            Arg::Text(new),
            Arg::Bool(below),
        ],
    )
}

/// Whether the table has the trigger.
pub fn is_there(relation: u32, old: &str, new: &str) -> Result<bool> {
    triggers(relation, old, new, false).map(|found| !found.is_empty())
}

/// Takes the trigger off, also of tables that inherit from this one, and gives its name. Takes
/// ACCESS EXCLUSIVE for an instant.
pub fn drop_trigger(relation: u32, old: &str, new: &str) -> Result<String> {
    let table = Table::owned(relation)?;
    let found = triggers(relation, old, new, true)?;
    let Some(own) = found.iter().find(|one| one.relation == relation) else {
        return Err(Fault::new(
            state::UNDEFINED_OBJECT,
            format!(
                "table {} has no sync trigger for columns \"{old}\" and \"{new}\"",
                table.name
            ),
        )
        .hint(format!(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = {}::regclass;",
            spi::literal(&table.name)
        )));
    };
    for one in found.iter().filter(|one| !one.clone) {
        Table::owned(one.relation)?;
        spi::run(
            &format!("DROP TRIGGER {} ON {}", spi::ident(&one.name), one.table),
            &[],
        )?;
    }
    Ok(own.name.clone())
}
