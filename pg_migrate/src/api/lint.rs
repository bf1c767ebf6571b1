//! Hazards.

use super::function;
use crate::fault::{Fault, Result};
use crate::lint::{self, Finding};
use crate::pg::spi;
use pgrx::JsonB;
use pgrx::prelude::*;

/// The argument as it comes: pgrx's own conversion panics on what is not UTF-8, as text is in a
/// database of another encoding.
type Text<'a> = Option<&'a [u8]>;

fn given<'a>(sql: Text<'a>) -> Result<&'a str> {
    let bytes = sql.ok_or_else(|| {
        Fault::invalid("the script must not be null")
            .hint("SELECT * FROM migrate.lint('ALTER TABLE …');")
    })?;
    std::str::from_utf8(bytes).map_err(|_| crate::pg::parser::not_ascii())
}

type Rows = TableIterator<
    'static,
    (
        name!(statement, i32),
        name!(line, i32),
        name!(rule, String),
        name!(severity, String),
        name!(relation, Option<pg_sys::Oid>),
        name!(lock, Option<String>),
        name!(rewrites, bool),
        name!(scans, bool),
        name!(blocks, Option<String>),
        name!(size, Option<String>),
        name!(message, String),
        name!(recipe, Option<String>),
        name!(sql, String),
        name!(duration, Option<String>),
        name!(operation, Option<JsonB>),
        name!(locks, JsonB),
    ),
>;

/// The OIDs of the relations, as far as they exist.
fn oids(findings: &[Finding]) -> Result<std::collections::HashMap<String, u32>> {
    #[derive(serde::Deserialize)]
    struct Row {
        name: String,
        oid: u32,
    }
    let mut names: Vec<String> = findings
        .iter()
        .filter_map(|finding| finding.relation.clone())
        .collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Ok(std::collections::HashMap::new());
    }
    let rows: Vec<Row> = spi::select(
        "SELECT q.name, q.oid FROM ( \
             SELECT n AS name, pg_catalog.to_regclass(n)::oid::int8 AS oid FROM pg_catalog.unnest($1) n) q \
         WHERE q.oid IS NOT NULL",
        &[spi::Arg::Texts(names)],
    )?;
    Ok(rows.into_iter().map(|row| (row.name, row.oid)).collect())
}

fn rows(findings: Vec<Finding>) -> Result<Rows> {
    let oids = oids(&findings)?;
    let shaped = move |finding: Finding| {
        let (size, duration) = finding.size_and_duration();
        let lock = finding.lock.or(finding.deed.lock);
        let locks = lint::locks(&finding);
        let relation = finding.relation.as_ref().and_then(|key| oids.get(key));
        (
            finding.deed.statement,
            finding.deed.line,
            finding.rule.to_owned(),
            finding.severity.word().to_owned(),
            relation.map(|oid| pg_sys::Oid::from(*oid)),
            lock.map(|lock| lock.mode().to_owned()),
            finding.deed.rewrites,
            finding.deed.scans,
            lock.map(|lock| lint::blocks(lock).to_owned()),
            size,
            finding.message,
            finding.recipe,
            finding.deed.sql.clone(),
            duration,
            finding.deed.operation.clone().map(JsonB),
            JsonB(locks),
        )
    };
    Ok(TableIterator::new(findings.into_iter().map(shaped)))
}

/// The hazards of a script, judged against this database; at least one row for each statement
/// (`severity` is `safe` where there is none, and `message` says why). Changes nothing.
#[pg_extern(sql = r#"
CREATE FUNCTION migrate.lint(sql text)
    RETURNS TABLE (statement int, line int, rule text, severity text, relation regclass, lock text, rewrites boolean,
        scans boolean, blocks text, size text, message text, recipe text, sql text, duration text, operation jsonb, locks jsonb)
LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#, requires = ["tables"])]
#[allow(clippy::type_complexity)] // the SQL signature is read from it
fn lint_rows(
    sql: Option<&[u8]>,
) -> TableIterator<
    'static,
    (
        name!(statement, i32),
        name!(line, i32),
        name!(rule, String),
        name!(severity, String),
        name!(relation, Option<pg_sys::Oid>),
        name!(lock, Option<String>),
        name!(rewrites, bool),
        name!(scans, bool),
        name!(blocks, Option<String>),
        name!(size, Option<String>),
        name!(message, String),
        name!(recipe, Option<String>),
        name!(sql, String),
        name!(duration, Option<String>),
        name!(operation, Option<JsonB>),
        name!(locks, JsonB),
    ),
> {
    function(|| rows(lint::lint(given(sql)?)?))
}

/// The same as one text: `text`, `json`, `github` (annotations) or `sarif`. `file`: what the script
/// is called there.
#[pg_extern(sql = r#"
CREATE FUNCTION migrate.lint_report(sql text, format text DEFAULT 'text', file text DEFAULT 'migration.sql')
    RETURNS text
LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#, requires = ["tables"])]
fn lint_report(sql: Option<&[u8]>, format: Option<&[u8]>, file: Option<&[u8]>) -> String {
    let word = |text: Text| String::from_utf8_lossy(text.unwrap_or_default()).into_owned();
    function(|| lint::report(&lint::lint(given(sql)?)?, &word(format), &word(file)))
}

/// The rules: what they are called, and what they are for.
#[pg_extern(schema = "migrate")]
fn lint_rules() -> TableIterator<
    'static,
    (
        name!(rule, String),
        name!(family, String),
        name!(severity, String),
        name!(summary, String),
    ),
> {
    TableIterator::new(lint::rules().map(|(family, rule)| {
        (
            rule.name.to_owned(),
            family.to_owned(),
            rule.severity.word().to_owned(),
            rule.summary.to_owned(),
        )
    }))
}

/// Warnings for the reader of a plan, by the SQL of the step.
pub fn warnings(document: &crate::document::Document) -> Result<Vec<(String, String)>> {
    let written = lint::of_document(document)?;
    Ok(written
        .into_iter()
        .map(|one| {
            let said: Vec<String> = one
                .findings
                .iter()
                .map(|finding| format!("{}: {}", finding.rule, finding.message))
                .collect();
            (one.sql, said.join("; "))
        })
        .collect())
}

/// Tells the user what runs as it is written and hurts.
pub fn notices(document: &crate::document::Document) -> Result<()> {
    for one in lint::of_document(document)? {
        for finding in &one.findings {
            let place = one
                .line
                .map(|line| format!("line {line}: "))
                .unwrap_or_default();
            let mut fault = Fault::new(
                "00000",
                format!("{place}{} ({})", finding.message, finding.rule),
            )
            .detail(format!("As written: {}", lint::first_line(&one.sql)));
            if let Some(recipe) = &finding.recipe {
                fault = fault.hint(recipe.clone());
            }
            crate::pg::error::notice(fault);
        }
    }
    Ok(())
}
