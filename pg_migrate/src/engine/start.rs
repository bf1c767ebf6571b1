//! From a document to recorded steps, and the expand phase.

use super::context::{Transactions, within};
use super::run;
use crate::catalog::Live;
use crate::document::model::Operation;
use crate::document::{self, Body, DirectiveKind, Document, Section};
use crate::fault::{Fault, Result, state};
use crate::ledger::{self, Event, Revision, State, StepRow};
use crate::pg::{parser, subtransaction};
use crate::recipe::step::Phase;
use crate::recipe::{self, Plan, Touch};
use serde_json::Value;

/// The operations of a document, and those of its hand-written way back.
pub fn operations_of(document: &Document) -> Result<(Vec<Operation>, Option<Vec<Operation>>)> {
    match &document.body {
        Body::Operations { up, down } => Ok((up.clone(), down.clone())),
        Body::Script { up, down } => Ok((section(up)?, down.as_ref().map(section).transpose()?)),
    }
}

fn section(section: &Section) -> Result<Vec<Operation>> {
    let mut operations = Vec::new();
    let mut end = 0;
    for statement in parser::split(&section.text, section.first_line)? {
        let ours = section
            .directives
            .iter()
            .filter(|directive| directive.offset >= end && directive.offset < statement.offset);
        let (mut as_written, mut immediately) = (false, false);
        for directive in ours {
            match directive.kind {
                DirectiveKind::AsWritten => as_written = true,
                DirectiveKind::Immediately => immediately = true,
                DirectiveKind::Ignore { .. } => {}
            }
        }
        end = statement.offset + statement.text.len();
        let line = section.first_line + statement.line - 1;
        let made = recipe::script::operations(&statement, as_written, immediately)
            .map_err(|fault| at_line(fault, line))?;
        document::validate_operations(&made).map_err(|fault| at_line(fault, line))?;
        operations.extend(made);
    }
    Ok(operations)
}

fn at_line(fault: Fault, line: usize) -> Fault {
    let place = format!("On line {line} of the script.");
    Fault {
        detail: Some(match fault.detail {
            Some(detail) => format!("{detail}\n{place}"),
            None => place,
        }),
        ..fault
    }
}

fn touches(value: &Value) -> Vec<Touch> {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

/// Another migration in flight that changes a column this one changes too.
fn conflict(revision: &str, plan: &Plan) -> Result<()> {
    for other in ledger::revisions_in_flight()? {
        if other.revision == revision || other.state == State::Pending {
            continue;
        }
        let clash = touches(&other.touches).into_iter().find(|theirs| {
            plan.touches.iter().any(|ours| {
                ours.table == theirs.table && (ours.column == theirs.column || theirs.column == "*")
            })
        });
        if let Some(touch) = clash {
            return Err(Fault::new(
                state::OBJECT_IN_USE,
                format!(
                    "migration \"{revision}\" and migration \"{}\", which is {}, change the same column \"{}\" of {}",
                    other.revision,
                    other.state.as_str(),
                    touch.column,
                    touch.table
                ),
            )
            .hint(format!(
                "End the other first: CALL migrate.contract('{0}'); or CALL migrate.downgrade to take it back.",
                other.revision
            )));
        }
    }
    Ok(())
}

/// Plans the operations, records the steps and runs the expand phase, in the current transaction.
/// `false`: another session is at it.
pub fn start(
    transactions: &mut dyn Transactions,
    revision: &Revision,
    direction: &str,
    operations: &[Operation],
) -> Result<bool> {
    if !ledger::lock_revision(&revision.revision)? {
        return Ok(false);
    }
    // Rolled back, so that the locks under which the catalog was read are let go: two migrations
    // that hold them would each wait for the other's to go away.
    let plan = within(revision, || {
        subtransaction::rehearse(|| recipe::plan(operations, &Live, &revision.revision))
    })?;
    if direction == "up" {
        conflict(&revision.revision, &plan)?;
        let inverse =
            serde_json::to_value(&plan.inverse).map_err(|err| Fault::internal(err.to_string()))?;
        let touched =
            serde_json::to_value(&plan.touches).map_err(|err| Fault::internal(err.to_string()))?;
        ledger::store_plan(
            &revision.revision,
            &inverse,
            plan.irreversible.as_deref(),
            &touched,
        )?;
    }
    ledger::insert_steps(&revision.revision, direction, &plan.steps)?;
    let state = if direction == "up" {
        State::Expanding
    } else {
        State::Downgrading
    };
    ledger::set_state(&revision.revision, state)?;
    ledger::event(&Event {
        revision: Some(&revision.revision),
        direction: Some(direction),
        what: "started",
        ..Event::default()
    })?;
    // In a driver: durable with its steps, so that from here on any other can take over.
    transactions.commit();
    expand(transactions, revision, direction)?;
    Ok(true)
}

/// Runs what is left of the expand phase, all in one transaction, and says where the migration
/// stands then.
pub fn expand(
    transactions: &mut dyn Transactions,
    revision: &Revision,
    direction: &str,
) -> Result<()> {
    let steps: Vec<StepRow> = ledger::steps(&revision.revision, direction)?
        .into_iter()
        .filter(|step| {
            step.phase == Phase::Expand && step.state != "done" && step.state != "skipped"
        })
        .collect();
    run::brief(transactions, revision, &steps)?;
    if direction == "up" {
        settle(&revision.revision)?;
    }
    transactions.commit();
    Ok(())
}

/// The state that follows from the steps of an upgrade: what is left to do decides.
pub fn settle(revision: &str) -> Result<State> {
    let left = |phase: Phase| {
        ledger::steps(revision, "up").map(|steps| {
            steps.iter().any(|step| {
                step.phase == phase && !matches!(step.state.as_str(), "done" | "skipped")
            })
        })
    };
    let state = if left(Phase::Migrate)? {
        State::Migrating
    } else if left(Phase::Contract)? {
        State::Expanded
    } else {
        State::Applied
    };
    ledger::set_state(revision, state)?;
    if matches!(state, State::Expanded | State::Applied) {
        ledger::event(&Event {
            revision: Some(revision),
            direction: Some("up"),
            what: state.as_str(),
            ..Event::default()
        })?;
    }
    Ok(state)
}
