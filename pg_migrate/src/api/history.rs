//! History without running anything.

use super::function;
use crate::document::nearest;
use crate::engine;
use crate::fault::Fault;
use pgrx::prelude::*;

/// Marks a revision, and what comes before it, as applied without running it.
#[pg_extern(schema = "migrate")]
fn stamp(revision: &str) -> SetOfIterator<'static, String> {
    SetOfIterator::new(function(|| engine::stamp(revision)))
}

/// Records that history begins here: a first revision that is applied and does nothing.
#[pg_extern(schema = "migrate")]
fn baseline(revision: &str, message: default!(Option<&str>, "NULL")) -> String {
    function(|| engine::baseline(revision, message).map(|()| revision.to_owned()))
}

/// After a failure: `retry` queues the failed step again, `skip` passes over it, `abandon` takes a
/// migration that has changed nothing out of history.
#[pg_extern(schema = "migrate")]
fn repair(revision: &str, action: &str) -> String {
    function(|| engine::repair(revision, action))
}

/// The revision graph as a Mermaid flowchart, or as Graphviz DOT with `format => 'dot'`.
#[pg_extern(schema = "migrate")]
fn graph(format: default!(&str, "'mermaid'")) -> String {
    function(|| {
        let graph = engine::graph()?;
        match format {
            "mermaid" => Ok(graph.mermaid()),
            "dot" => Ok(graph.dot()),
            other => {
                let fault = Fault::invalid(format!("unknown graph format \"{other}\""));
                Err(match nearest(other, ["mermaid", "dot"]) {
                    Some(near) => fault.hint(format!("Did you mean \"{near}\"?")),
                    None => fault.hint("Use mermaid or dot."),
                })
            }
        }
    })
}

/// Records that a step of a migration that was begun was run by hand, as `migrate.plan_sql` shows
/// it. Gives the state of the migration.
#[pg_extern(schema = "migrate")]
fn record_step(revision: &str, step: i32) -> String {
    function(|| engine::record_step(revision, step))
}
