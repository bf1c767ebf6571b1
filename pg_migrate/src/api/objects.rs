//! Functions that steps on views, types and other objects call.

use super::function;
use crate::engine;
use pgrx::prelude::*;

/// Runs a CREATE OR REPLACE VIEW; drops and makes again where PostgreSQL cannot replace.
#[pg_extern(schema = "migrate")]
fn replace_view(name: &str, statement: &str) {
    function(|| engine::replace_view(name, statement));
}

/// Moves a table or view to another schema and leaves an updatable view in its old place.
#[pg_extern(schema = "migrate")]
fn move_relation(name: &str, new_schema: &str) {
    function(|| engine::move_relation(name, new_schema));
}

/// Takes `move_relation` back.
#[pg_extern(schema = "migrate")]
fn move_relation_back(name: &str, old_schema: &str) {
    function(|| engine::move_relation_back(name, old_schema));
}

/// Drops a type, or hides it with the columns set aside that have it.
#[pg_extern(schema = "migrate")]
fn set_aside_type(name: &str, revision: &str) {
    function(|| engine::set_aside_type(name, revision));
}

/// Says on a way back that something cannot be taken away.
#[pg_extern(schema = "migrate")]
fn stays(what: &str) {
    engine::stays(what);
}
