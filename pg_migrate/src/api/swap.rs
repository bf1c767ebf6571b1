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

/// Drops an index of a partitioned table, or its constraint; another one takes its place and the
/// names of its parts.
#[pg_extern(schema = "migrate")]
fn swap_partitioned_index(old: &str, new: &str) {
    function(|| engine::swap_partitioned_index(old, new));
}

/// Puts a primary key over columns `new` of a partitioned table in place of that over `old`.
#[pg_extern(schema = "migrate")]
fn swap_partitioned_key(
    name: &str,
    constraint_name: &str,
    old: Vec<String>,
    new: Vec<String>,
    definition: &str,
    index_definition: &str,
    deferral: &str,
) {
    function(|| {
        engine::swap_partitioned_key(&engine::Key {
            table: name,
            constraint: constraint_name,
            old: &old,
            new: &new,
            definition,
            index: index_definition,
            tail: deferral,
        })
    });
}

/// How many rows refer to the primary key of a partitioned table, and would find nothing once
/// columns `new` are in the place of `old`.
#[pg_extern(schema = "migrate")]
fn foreign_key_misses(name: &str, old: Vec<String>, new: Vec<String>) -> i64 {
    function(|| engine::foreign_key_misses(name, &old, &new))
}

/// Validates the foreign keys to a table that are not.
#[pg_extern(schema = "migrate")]
fn validate_foreign_keys(name: &str) {
    function(|| engine::validate_foreign_keys(name));
}

/// Gives column `new` of every partition what its column `old` is told to be otherwise than that of
/// the whole.
#[pg_extern(schema = "migrate")]
fn carry_partition_settings(name: &str, old: &str, new: &str) {
    function(|| engine::carry_partition_settings(name, old, new));
}
