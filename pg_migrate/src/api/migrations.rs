//! Registering, planning and rehearsing migrations.

use super::{function, lint};
use crate::document::{self, Defaults, Document};
use crate::engine::{self, Caller, Mode, Preview, Registered};
use crate::fault::{Fault, Result};
use crate::ledger::{self, State, StepRow};
use crate::pg::error;
use pgrx::prelude::*;

type StepRows = TableIterator<
    'static,
    (
        name!(revision, String),
        name!(step, Option<i32>),
        name!(phase, Option<String>),
        name!(kind, Option<String>),
        name!(sql, Option<String>),
        name!(state, String),
        name!(detail, Option<String>),
    ),
>;

fn word<T: serde::Serialize>(value: &T) -> Option<String> {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
}

fn given(document: Option<&str>) -> Result<&str> {
    document.ok_or_else(|| {
        Fault::invalid("the document must not be null")
            .hint("Give an SQL script or JSON, or the revision of a registered migration.")
    })
}

/// What a caller says of a document beside its text.
fn read(
    text: &str,
    revision: Option<String>,
    down_revision: Option<Vec<String>>,
) -> Result<Document> {
    let document = document::parse_with(
        text,
        &Defaults {
            revision,
            down_revision,
        },
    )?;
    if let Some(message) = document.no_version_schema() {
        error::notice(Fault::new("00000", message).hint(
            "Until contract the new application finds what is new under its name beside what is old.",
        ));
    }
    Ok(document)
}

fn step_rows(revision: &str) -> Result<StepRows> {
    let steps = ledger::steps(revision, "up")?;
    if steps.is_empty() {
        let state = ledger::revision(revision)?.map_or(State::Pending, |row| row.state);
        let detail = (state == State::Pending)
            .then(|| "queued: its parent has not been expanded".to_owned());
        return Ok(TableIterator::once((
            revision.to_owned(),
            None,
            None,
            None,
            None,
            state.as_str().to_owned(),
            detail,
        )));
    }
    let shaped = |row: StepRow| {
        let detail = row.error.map(|fault| fault.to_string()).or(row.warning);
        (
            row.revision,
            Some(row.step),
            word(&row.phase),
            word(&row.kind),
            Some(row.sql),
            row.state,
            detail,
        )
    };
    Ok(TableIterator::new(
        steps.into_iter().map(shaped).collect::<Vec<_>>(),
    ))
}

fn applied(document: &Document) -> Result<StepRows> {
    let id = document.revision.as_str();
    match engine::register(document)? {
        Registered::Known(row) if row.state != State::Pending => {
            error::notice(Fault::new(
                "00000",
                format!(
                    "migration \"{id}\" is registered already and {}: nothing to do",
                    row.state.as_str()
                ),
            ));
        }
        Registered::Known(row) | Registered::New(row) => {
            lint::notices(document)?;
            engine::begin(&mut Caller(Mode::Caller), &row)?;
        }
    }
    engine::announce(id)?;
    step_rows(id)
}

fn added(document: &Document) -> Result<String> {
    if let Registered::Known(row) = engine::register(document)? {
        error::notice(Fault::new(
            "00000",
            format!(
                "migration \"{}\" is registered already and {}",
                row.revision,
                row.state.as_str()
            ),
        ));
    }
    Ok(document.revision.clone())
}

/// Registers a migration (the same document twice is found again) and runs every step that may run
/// in the caller's transaction; the rest is queued for a driver. One row per step.
#[pg_extern(schema = "migrate")]
#[allow(clippy::type_complexity)] // the SQL signature is read from it
fn apply(
    document: Option<&str>,
    revision: default!(Option<String>, "NULL"),
    down_revision: default!(Option<Vec<String>>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(revision, String),
        name!(step, Option<i32>),
        name!(phase, Option<String>),
        name!(kind, Option<String>),
        name!(sql, Option<String>),
        name!(state, String),
        name!(detail, Option<String>),
    ),
> {
    function(|| applied(&read(given(document)?, revision, down_revision)?))
}

/// Registers a migration without running it; gives its revision.
#[pg_extern(schema = "migrate")]
fn add(
    document: Option<&str>,
    revision: default!(Option<String>, "NULL"),
    down_revision: default!(Option<Vec<String>>, "NULL"),
) -> String {
    function(|| added(&read(given(document)?, revision, down_revision)?))
}

type PlanRows = TableIterator<
    'static,
    (
        name!(step, i32),
        name!(phase, Option<String>),
        name!(kind, Option<String>),
        name!(sql, String),
        name!(lock, Option<String>),
        name!(rewrites, bool),
        name!(scans, bool),
        name!(in_transaction, bool),
        name!(rows, Option<i64>),
        name!(estimate, Option<String>),
        name!(warning, Option<String>),
        name!(replaces, Option<String>),
    ),
>;

fn plan_rows(preview: Preview, written: &[(String, String)]) -> Result<PlanRows> {
    if !preview.passed_over.is_empty() {
        error::notice(
            Fault::new("00000", "settings of the script are passed over")
                .detail(format!("{}.", preview.passed_over.join(", ")))
                .hint("Steps have limits of their own: see migrate.lock_timeout and migrate.lock_deadline."),
        );
    }
    let mut rows = Vec::new();
    let last = preview.steps.last().map(|(number, _)| *number);
    for (number, step) in preview.steps {
        let size = engine::size_of(&step)?;
        let mut warnings: Vec<String> = step.warning.clone().into_iter().collect();
        let said = written.iter().find(|(sql, _)| *sql == step.sql);
        warnings.extend(said.map(|(_, said)| said.clone()));
        if let Some(why) = &preview.irreversible
            && last == Some(number)
        {
            warnings.push(format!("cannot be taken back: {why}"));
        }
        rows.push((
            number,
            word(&step.phase),
            word(&step.kind),
            step.sql.clone(),
            step.strongest().map(|lock| lock.mode().to_owned()),
            step.rewrites,
            step.scans,
            step.in_transaction(),
            size.as_ref().map(|size| size.rows),
            size.map(|size| size.estimate),
            (!warnings.is_empty()).then(|| warnings.join("; ")),
            step.args
                .get("replaces")
                .and_then(serde_json::Value::as_str)
                .map(str::to_owned),
        ));
    }
    Ok(TableIterator::new(rows))
}

/// What `apply` would do, as one row per step; changes nothing. `replaces`: the statement of the
/// script that the step stands for, where it is not that itself. Takes a document or a revision.
#[pg_extern(schema = "migrate")]
#[allow(clippy::type_complexity)] // the SQL signature is read from it
fn plan(
    document: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(step, i32),
        name!(phase, Option<String>),
        name!(kind, Option<String>),
        name!(sql, String),
        name!(lock, Option<String>),
        name!(rewrites, bool),
        name!(scans, bool),
        name!(in_transaction, bool),
        name!(rows, Option<i64>),
        name!(estimate, Option<String>),
        name!(warning, Option<String>),
        name!(replaces, Option<String>),
    ),
> {
    function(|| {
        let text = given(document)?;
        let preview = engine::preview(text)?;
        plan_rows(preview, &lint::warnings(&engine::named_or_read(text)?)?)
    })
}

/// The plan as plain SQL, one statement a row, for review or for psql's `\gexec`. `phase`:
/// `expand`, `migrate` or `contract` alone.
#[pg_extern(schema = "migrate")]
fn plan_sql(
    document: Option<&str>,
    phase: default!(Option<&str>, "NULL"),
) -> SetOfIterator<'static, String> {
    SetOfIterator::new(function(|| {
        given(document).and_then(|text| engine::script(text, phase))
    }))
}

type Differences = TableIterator<
    'static,
    (
        name!(turn, String),
        name!(object, String),
        name!(expected, Option<String>),
        name!(found, Option<String>),
    ),
>;

fn rehearsed(document: &Document) -> Result<Differences> {
    let differences = engine::rehearse(document)?;
    let verdict = if differences.is_empty() {
        format!(
            "migration \"{}\" goes up, down and up again, and every way back restores the schema",
            document.revision
        )
    } else {
        format!(
            "migration \"{}\" leaves {} difference(s)",
            document.revision,
            differences.len()
        )
    };
    error::notice(Fault::new("00000", verdict));
    Ok(TableIterator::new(
        differences
            .into_iter()
            .map(|d| (d.turn.to_owned(), d.object, d.expected, d.found))
            .collect::<Vec<_>>(),
    ))
}

/// Runs a migration up, down and up again in a subtransaction that is rolled back; one row for
/// each object that a way back does not restore. Takes a document or a revision.
#[pg_extern(schema = "migrate")]
#[allow(clippy::type_complexity)] // the SQL signature is read from it
fn test(
    document: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(turn, String),
        name!(object, String),
        name!(expected, Option<String>),
        name!(found, Option<String>),
    ),
> {
    function(|| rehearsed(&engine::named_or_read(given(document)?)?))
}

/// What others have changed in the schema since a migration last came to rest: one row per object that
/// was `made`, `changed` or is `gone`, with everything about it then and now. Changes nothing.
#[pg_extern(schema = "migrate")]
#[allow(clippy::type_complexity)] // the SQL signature is read from it
fn drift() -> TableIterator<
    'static,
    (
        name!(object, String),
        name!(change, String),
        name!(expected, Option<String>),
        name!(found, Option<String>),
    ),
> {
    function(|| {
        Ok(TableIterator::new(
            engine::drift()?
                .into_iter()
                .map(|one| (one.object, one.change, one.expected, one.found))
                .collect::<Vec<_>>(),
        ))
    })
}

/// Looks for what stands against ending the migration: rows on which old and new column disagree,
/// invalid indexes, unvalidated constraints, missing triggers. One row per check.
#[pg_extern(schema = "migrate")]
#[allow(clippy::type_complexity)] // the SQL signature is read from it
fn verify(
    revision: &str,
) -> TableIterator<
    'static,
    (
        name!(check, String),
        name!(found, i64),
        name!(detail, Option<String>),
    ),
> {
    function(|| {
        let findings = engine::verify(&engine::find(revision)?)?;
        Ok(TableIterator::new(
            findings
                .into_iter()
                .map(|f| (f.check, f.found, f.detail))
                .collect::<Vec<_>>(),
        ))
    })
}
