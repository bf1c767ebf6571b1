//! `migrate.verify`: what stands against ending a migration, without changing anything.

use super::context::within;
use crate::catalog::{self, IndexState};
use crate::fault::Result;
use crate::ledger::{self, Revision, State};
use crate::pg::{spi, subtransaction};
use crate::recipe::step::Kind;
use crate::sync;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// One check and how many offenders it found.
#[derive(Debug)]
pub struct Finding {
    pub check: String,
    pub found: i64,
    pub detail: Option<String>,
}

/// Whether old and new application may write side by side.
fn runs(state: State) -> bool {
    matches!(state, State::Migrating | State::Expanded)
}

/// Runs the verifications of the revision's steps, and looks at its indexes, constraints and
/// triggers.
pub fn verify(revision: &Revision) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut tables = BTreeSet::new();
    for step in ledger::steps(&revision.revision, "up")? {
        tables.extend(step.relation.clone());
        match step.kind {
            Kind::Verify | Kind::Partitions
                if !matches!(step.state.as_str(), "done" | "skipped") =>
            {
                #[derive(Deserialize)]
                struct Count {
                    count: i64,
                }
                let count: Option<Count> = within(revision, || {
                    subtransaction::attempt(|| spi::first(&step.sql, &[]))
                })?;
                findings.push(Finding {
                    check: step
                        .args
                        .get("message")
                        .and_then(Value::as_str)
                        .unwrap_or(&step.sql)
                        .to_owned(),
                    found: count.map_or(0, |row| row.count),
                    detail: Some(step.sql.clone()),
                });
            }
            Kind::Backfill => {
                let sync = |side| {
                    let name = step.args.get("sync").and_then(|sync| sync.get(side));
                    name.and_then(Value::as_str)
                };
                if let (Some(table), Some(old), Some(new)) =
                    (step.relation.as_deref(), sync("old"), sync("new"))
                    && runs(revision.state)
                    && let Some(oid) = within(revision, || catalog::resolve(table))?
                {
                    let missing = !sync::is_there(oid, old, new)?;
                    findings.push(Finding {
                        check: format!(
                            "the sync trigger of {table} for column \"{new}\" is missing"
                        ),
                        found: i64::from(missing),
                        detail: missing.then(|| {
                            "what the applications write to one side does not reach the other"
                                .to_owned()
                        }),
                    });
                }
            }
            Kind::Concurrent => {
                if let Some(index) = step.args.get("index").and_then(Value::as_str)
                    && step.state == "done"
                {
                    let state = within(revision, || catalog::index_state(index))?;
                    findings.push(Finding {
                        check: format!("index {index} is not valid"),
                        found: i64::from(state == IndexState::Invalid),
                        detail: None,
                    });
                }
            }
            _ => {}
        }
    }
    for table in tables {
        let Some(oid) = within(revision, || catalog::resolve(&table))? else {
            continue;
        };
        let open = catalog::unvalidated(oid)?;
        findings.push(Finding {
            check: format!("constraints of {table} are not validated"),
            found: i64::try_from(open.len()).unwrap_or(i64::MAX),
            detail: (!open.is_empty()).then(|| open.join(", ")),
        });
        let later = catalog::later_triggers(oid)?;
        if !later.is_empty() {
            findings.push(Finding {
                check: format!("triggers of {table} run after its sync triggers"),
                found: i64::try_from(later.len()).unwrap_or(i64::MAX),
                detail: Some(format!(
                    "what they change in a synced column does not reach the other side: {}",
                    later.join(", ")
                )),
            });
        }
        let asleep = catalog::sleeping_triggers(oid)?;
        findings.push(Finding {
            check: format!("sync triggers of {table} do not fire always"),
            found: i64::try_from(asleep.len()).unwrap_or(i64::MAX),
            detail: (!asleep.is_empty()).then(|| asleep.join(", ")),
        });
    }
    Ok(findings)
}
