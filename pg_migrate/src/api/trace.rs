//! `migrate.trace`: what statements really do.

use super::function;
use crate::engine;
use crate::fault::{Fault, Result};
use crate::lint::trace::{self, Row, State};
use pgrx::JsonB;
use pgrx::prelude::*;
use serde_json::{Map, Value};

type TraceRows = TableIterator<
    'static,
    (
        name!(statement, i32),
        name!(line, Option<i32>),
        name!(kind, String),
        name!(state, String),
        name!(lock, Option<String>),
        name!(locks, JsonB),
        name!(rewrites, Vec<String>),
        name!(scans, Vec<String>),
        name!(builds, Vec<String>),
        name!(validates, Vec<String>),
        name!(blocked, Vec<String>),
        name!(inside, Vec<String>),
        name!(evidence, Vec<String>),
        name!(remains, Vec<String>),
        name!(milliseconds, Option<f64>),
        name!(detail, Option<String>),
        name!(sql, String),
    ),
>;

fn shaped(rows: Vec<Row>) -> TraceRows {
    let number = |value: usize| i32::try_from(value).unwrap_or(i32::MAX);
    let row = |row: Row| {
        let seen = row.seen;
        let locks: Map<String, Value> = seen
            .locks
            .iter()
            .map(|(name, lock)| (name.clone(), Value::from(lock.mode())))
            .collect();
        (
            number(row.statement),
            row.line.map(number),
            row.kind,
            row.state.word().to_owned(),
            seen.lock.map(|lock| lock.mode().to_owned()),
            JsonB(Value::Object(locks)),
            seen.rewrites,
            seen.scans,
            seen.evidence.builds,
            seen.evidence.validates,
            seen.blocked,
            seen.inside,
            seen.evidence.messages,
            seen.remains,
            (row.state == State::Done).then_some(seen.took.as_secs_f64() * 1000.0),
            row.detail,
            row.sql,
        )
    };
    TableIterator::new(rows.into_iter().map(row).collect::<Vec<_>>())
}

fn given<'a>(text: Option<&'a str>, what: &str) -> Result<&'a str> {
    text.ok_or_else(|| Fault::invalid(format!("the {what} must not be null")))
}

/// Runs the SQL in a subtransaction that is rolled back, and tells of each statement what it did:
/// the locks it took, what it rewrote, scanned, built and validated, who had to wait.
#[pg_extern(schema = "migrate")]
#[allow(clippy::type_complexity)] // the SQL signature is read from it
fn trace(
    sql: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(statement, i32),
        name!(line, Option<i32>),
        name!(kind, String),
        name!(state, String),
        name!(lock, Option<String>),
        name!(locks, JsonB),
        name!(rewrites, Vec<String>),
        name!(scans, Vec<String>),
        name!(builds, Vec<String>),
        name!(validates, Vec<String>),
        name!(blocked, Vec<String>),
        name!(inside, Vec<String>),
        name!(evidence, Vec<String>),
        name!(remains, Vec<String>),
        name!(milliseconds, Option<f64>),
        name!(detail, Option<String>),
        name!(sql, String),
    ),
> {
    function(|| Ok(shaped(trace::trace(given(sql, "sql")?)?)))
}

/// The same of a migration, a document or the revision of a registered one: a row for each of its
/// steps up to its contract. A concurrent build is traced as the plain one that a transaction allows.
#[pg_extern(schema = "migrate")]
#[allow(clippy::type_complexity)] // the SQL signature is read from it
fn trace_migration(
    document: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(statement, i32),
        name!(line, Option<i32>),
        name!(kind, String),
        name!(state, String),
        name!(lock, Option<String>),
        name!(locks, JsonB),
        name!(rewrites, Vec<String>),
        name!(scans, Vec<String>),
        name!(builds, Vec<String>),
        name!(validates, Vec<String>),
        name!(blocked, Vec<String>),
        name!(inside, Vec<String>),
        name!(evidence, Vec<String>),
        name!(remains, Vec<String>),
        name!(milliseconds, Option<f64>),
        name!(detail, Option<String>),
        name!(sql, String),
    ),
> {
    function(|| {
        let document = engine::named_or_read(given(document, "document")?)?;
        Ok(shaped(trace::traced(|| engine::run_through(&document))?))
    })
}
