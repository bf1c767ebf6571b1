//! Functions that the swap of a type change calls.

use super::function;
use crate::engine;
use pgrx::prelude::*;

/// Drops the foreign keys over columns `old` and gives their names to those over columns `new`.
#[pg_extern(schema = "migrate")]
fn swap_foreign_keys(name: &str, old: Vec<String>, new: Vec<String>) {
    function(|| engine::swap_foreign_keys(name, &old, &new));
}

/// Moves identity, with everything its sequence is, from one column to another.
#[pg_extern(schema = "migrate")]
fn move_identity(name: &str, old: &str, new: &str) {
    function(|| engine::move_identity(name, old, new));
}

/// Brings back, as `shadow`, the column that the revision set aside under this name.
#[pg_extern(schema = "migrate")]
fn take_back_column(name: &str, column_name: &str, shadow: &str, revision: &str) {
    function(|| engine::take_back_column(name, column_name, shadow, revision));
}
