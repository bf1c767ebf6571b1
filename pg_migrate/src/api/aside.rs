//! Functions that steps call to set aside and to bring back, and the purge.

use super::function;
use crate::engine;
use pgrx::prelude::*;

/// Moves a table out of the application's sight instead of dropping it. An empty one is dropped.
#[pg_extern(schema = "migrate")]
fn set_aside_table(name: &str, revision: &str) {
    function(|| engine::set_aside_table(name, revision));
}

/// Hides a column instead of dropping it. That of an empty table is dropped.
#[pg_extern(schema = "migrate")]
fn set_aside_column(name: &str, column_name: &str, revision: &str) {
    function(|| engine::set_aside_column(name, column_name, revision));
}

/// Brings back the newest table that was set aside under this name.
#[pg_extern(schema = "migrate")]
fn restore_table(name: &str) {
    function(|| engine::restore_table(name));
}

/// Brings back the newest column that was set aside under this name.
#[pg_extern(schema = "migrate")]
fn restore_column(name: &str, column_name: &str) {
    function(|| engine::restore_column(name, column_name));
}

/// Renames a table and leaves an updatable view under the old name.
#[pg_extern(schema = "migrate")]
fn rename_table(name: &str, new_name: &str) {
    function(|| engine::rename_table(name, new_name));
}

/// Takes `rename_table` back.
#[pg_extern(schema = "migrate")]
fn rename_table_back(name: &str, old_name: &str) {
    function(|| engine::rename_table_back(name, old_name));
}

/// Gives everybody the rights to the rows of one table that they have in another.
#[pg_extern(schema = "migrate")]
fn carry_grants(from_table: &str, to_table: &str) {
    function(|| engine::carry_grants(from_table, to_table));
}

/// Drops for good what was set aside longer ago than `older_than`; says what it dropped.
#[pg_extern(schema = "migrate")]
fn purge(older_than: pgrx::datum::Interval) -> SetOfIterator<'static, String> {
    SetOfIterator::new(function(|| engine::purge(&older_than.to_string())))
}
