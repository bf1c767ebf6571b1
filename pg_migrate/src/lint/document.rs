//! Documents: only what runs as it is written is judged, for the rest has recipes.

use super::finding::{Deed, Finding, Severity};
use super::judge::{Judge, Runner};
use super::rules;
use super::settings::Settings;
use super::suppress::Remarks;
use crate::document::model::Operation;
use crate::document::{Body, DirectiveKind, Document};
use crate::fault::Result;
use crate::history::Graph;
use crate::ledger;
use crate::pg::parser::{self, Statement};
use std::collections::HashSet;
use std::rc::Rc;

/// What is said of a statement that runs as it is written.
pub struct Written {
    /// As the step has it.
    pub sql: String,
    /// Of the document; `None`: of a document in JSON.
    pub line: Option<i32>,
    pub findings: Vec<Finding>,
}

/// The hazards of the statements that a migration runs as they are written. Nothing of a document
/// up to the revision of `migrate.lint_since`.
pub fn of_document(document: &Document) -> Result<Vec<Written>> {
    let settings = Settings::read()?;
    if let Some(since) = &settings.since
        && is_before(&document.revision, since)?
    {
        return Ok(Vec::new());
    }
    match &document.body {
        Body::Script { up, .. } => {
            let statements = parser::split(&up.text, up.first_line)?;
            let mut marked = HashSet::new();
            for directive in &up.directives {
                if directive.kind == DirectiveKind::AsWritten {
                    marked.insert(statements.partition_point(|s| s.offset < directive.offset));
                }
            }
            if marked.is_empty() {
                return Ok(Vec::new());
            }
            let remarks = Remarks::read(&up.text, &statements);
            let found = Judge::new(&settings, Runner::Engine, remarks).script(&statements)?;
            let first = i32::try_from(up.first_line).unwrap_or(1);
            Ok(by_statement(found, &statements, |at| marked.contains(&at))
                .into_iter()
                .map(|mut written| {
                    written.line = written.line.map(|line| line + first - 1);
                    written
                })
                .collect())
        }
        Body::Operations { up, .. } => {
            let mut all = Vec::new();
            for operation in up {
                let Operation::Sql(sql) = operation else {
                    continue;
                };
                if sql.online {
                    continue;
                }
                // Running it says what is wrong.
                let Ok(statements) = parser::split(&sql.up, 1) else {
                    continue;
                };
                let judge = Judge::new(&settings, Runner::Engine, Remarks::default());
                let found = judge.script(&statements)?;
                let findings: Vec<Finding> = found
                    .into_iter()
                    .filter(|finding| finding.severity > Severity::Advice)
                    .collect();
                if !findings.is_empty() {
                    all.push(Written {
                        sql: sql.up.clone(),
                        line: None,
                        findings,
                    });
                }
            }
            Ok(all)
        }
    }
}

fn by_statement(
    found: Vec<Finding>,
    statements: &[Statement],
    wanted: impl Fn(usize) -> bool,
) -> Vec<Written> {
    let mut all: Vec<Written> = Vec::new();
    let mut last = None;
    for finding in found {
        let at = usize::try_from(finding.deed.statement - 1).unwrap_or(0);
        if !wanted(at) || finding.severity <= Severity::Advice {
            continue;
        }
        let Some(statement) = statements.get(at) else {
            continue;
        };
        if last == Some(at)
            && let Some(written) = all.last_mut()
        {
            written.findings.push(finding);
            continue;
        }
        last = Some(at);
        all.push(Written {
            sql: statement.text.clone(),
            line: Some(finding.deed.line),
            findings: vec![finding],
        });
    }
    all
}

/// Whether a registered revision comes before another, or is it.
pub fn is_before(revision: &str, since: &str) -> Result<bool> {
    let graph = Graph::new(ledger::nodes()?);
    let since = graph.resolve(since)?.revision.clone();
    Ok(revision == since || graph.ancestors(&since).contains(revision))
}

/// One row for each statement of a migration that is not judged.
pub fn not_judged(statements: &[Statement], revision: &str, since: &str) -> Vec<Finding> {
    statements
        .iter()
        .zip(1..)
        .map(|(statement, number)| Finding {
            deed: Rc::new(Deed {
                statement: number,
                line: i32::try_from(statement.line).unwrap_or(i32::MAX),
                sql: statement.text.clone(),
                ..Deed::default()
            }),
            rule: rules::SAFE,
            severity: Severity::Safe,
            relation: None,
            lock: None,
            size: None,
            message: format!("not judged: {revision} is not after {since} (migrate.lint_since)"),
            recipe: None,
        })
        .collect()
}
