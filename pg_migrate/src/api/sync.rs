//! The native triggers.

use crate::pg::{error, subtransaction};
use crate::sync;
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;
use std::ffi::CStr;

fn text(name: &CStr) -> std::borrow::Cow<'_, str> {
    name.to_string_lossy()
}

/// Keeps two columns of a table in sync, or (old column `''`) one with an expression over the
/// others. Returns the trigger's name.
#[pg_extern(sql = r#"
CREATE FUNCTION migrate.sync_column_trigger("table" regclass, old_column name, new_column name,
    up text DEFAULT NULL, down text DEFAULT NULL, on_conflict text DEFAULT 'new') RETURNS text
LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#, requires = ["tables"])]
fn install_sync_trigger(
    table: Oid,
    old_column: &CStr,
    new_column: &CStr,
    up: Option<&str>,
    down: Option<&str>,
    on_conflict: &str,
) -> String {
    error::or_raise(subtransaction::attempt(|| {
        let (old, new) = (text(old_column), text(new_column));
        sync::install(table.to_u32(), &old, &new, up, down, on_conflict)
    }))
}

/// Keeps several old columns of a table in sync with a new one: it by `up`, each of them by its
/// expression in `downs`. `back`: the old ones come back after they were away. Returns the
/// trigger's name.
#[pg_extern(sql = r#"
CREATE FUNCTION migrate.sync_columns_trigger("table" regclass, old_columns text[], new_column name,
    up text, downs text[], back boolean DEFAULT false) RETURNS text
LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#, requires = ["tables"])]
fn install_sync_triggers(
    table: Oid,
    old_columns: Vec<String>,
    new_column: &CStr,
    up: &str,
    downs: Vec<String>,
    back: bool,
) -> String {
    error::or_raise(subtransaction::attempt(|| {
        let new = text(new_column);
        sync::install_several(table.to_u32(), &old_columns, &new, up, &downs, back)
    }))
}

/// Takes the trigger off again. Returns its name.
#[pg_extern(sql = r#"
CREATE FUNCTION migrate.drop_sync_trigger("table" regclass, old_column name, new_column name) RETURNS text
LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#, requires = ["sync"])]
fn drop_sync_trigger(table: Oid, old_column: &CStr, new_column: &CStr) -> String {
    error::or_raise(subtransaction::attempt(|| {
        sync::drop_trigger(table.to_u32(), &text(old_column), &text(new_column))
    }))
}

/// Says that a backfill made by hand is done: a null in the new column is one on purpose from now on.
#[pg_extern(sql = r#"
CREATE FUNCTION migrate.sync_filled("table" regclass, old_column name, new_column name) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#, requires = ["sync"])]
fn sync_filled(table: Oid, old_column: &CStr, new_column: &CStr) {
    error::or_raise(subtransaction::attempt(|| {
        sync::finished(table.to_u32(), &text(old_column), &text(new_column), true)
    }));
}

/// Keeps two tables in step while columns move from the one to the other. `back`: they come back.
#[pg_extern(sql = r#"
CREATE FUNCTION migrate.sync_split(source regclass, target regclass, key text[], columns text[],
    back boolean DEFAULT false) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#, requires = ["sync"])]
fn install_split(source: Oid, target: Oid, key: Vec<String>, columns: Vec<String>, back: bool) {
    error::or_raise(subtransaction::attempt(|| {
        sync::install_split(source.to_u32(), target.to_u32(), &key, &columns, back)
    }));
}

/// Takes the triggers of a split off both tables.
#[pg_extern(sql = r#"
CREATE FUNCTION migrate.drop_sync_split(source regclass, target regclass) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#, requires = ["sync"])]
fn drop_split(source: Oid, target: Oid) {
    error::or_raise(subtransaction::attempt(|| {
        sync::drop_split(source.to_u32(), target.to_u32())
    }));
}

/// Whether a row version was written before the table had the trigger: what a backfill has to copy.
#[pg_extern(sql = r#"
CREATE FUNCTION migrate.split_unseen("table" oid, target text, version xid) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#, requires = ["sync"])]
fn split_unseen(table: Oid, target: &str, version: pgrx::pg_sys::TransactionId) -> bool {
    error::or_raise(sync::unseen(table.to_u32(), target, version.into_inner()))
}
