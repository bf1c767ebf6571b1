//! From a document to recorded steps, and the expand phase.

use super::context::{Transactions, within};
use super::{drift, run};
use crate::catalog::Live;
use crate::document::model::{Operation, Sql};
use crate::document::{self, Body, DirectiveKind, Document, Section};
use crate::fault::{Fault, Result, state};
use crate::ledger::{self, Event, Revision, State, StepRow};
use crate::pg::{parser, subtransaction};
use crate::recipe::step::Phase;
use crate::recipe::{self, How, Plan, Touch};
use serde_json::Value;

/// The operations of a document, and those of its hand-written way back.
pub fn operations_of(document: &Document) -> Result<(Vec<Operation>, Option<Vec<Operation>>)> {
    match &document.body {
        Body::Operations { up, down } => {
            let up = up.iter().cloned().map(understood).collect::<Result<_>>()?;
            Ok((up, down.clone()))
        }
        Body::Script { up, down } => {
            let path = path_of(up)?;
            if let Some(down) = down
                && let Some(other) = path_of(down)?
                && path.as_ref() != Some(&other)
            {
                return Err(Fault::new(
                    state::FEATURE_NOT_SUPPORTED,
                    "the down section sets another search_path than the up section",
                )
                .detail(format!(
                    "Up: {}. Down: {other}.",
                    path.as_deref().unwrap_or("that of the session")
                ))
                .hint(
                    "A migration has one search path: set the same in both, or qualify the names.",
                ));
            }
            Ok((section(up)?, down.as_ref().map(section).transpose()?))
        }
    }
}

/// An sql operation of one statement without a way back: what can be told of it from the statement
/// itself, as in a script.
fn understood(operation: Operation) -> Result<Operation> {
    let Operation::Sql(sql) = &operation else {
        return Ok(operation);
    };
    let told = sql.creates.is_some() || sql.comments.is_some() || !sql.drops.is_empty();
    if sql.down.is_some() || sql.on_complete || told {
        return Ok(operation);
    }
    let statements = match parser::split(&sql.up, 1) {
        Ok(statements) => statements,
        Err(fault) if fault.is_interruption() => return Err(fault),
        // Running it says what is wrong.
        Err(_) => return Ok(operation),
    };
    let [statement] = statements.as_slice() else {
        return Ok(operation);
    };
    Ok(
        match recipe::script::operations(statement, true, false)?.as_slice() {
            [Operation::Sql(read)] => Operation::Sql(Sql {
                up: sql.up.clone(),
                no_transaction: sql.no_transaction || read.no_transaction,
                creates: read.creates.clone(),
                drops: read.drops.clone(),
                comments: read.comments.clone(),
                ..sql.clone()
            }),
            _ => operation,
        },
    )
}

fn section(section: &Section) -> Result<Vec<Operation>> {
    let mut operations = Vec::new();
    let mut end = 0;
    let statements = parser::split(&section.text, section.first_line)?;
    let mut reader = recipe::script::Reader::new(&statements);
    for statement in statements {
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
        let made = reader
            .next(&statement, as_written, immediately)
            .map_err(|fault| at_line(fault, line))?;
        document::validate_operations(&made).map_err(|fault| at_line(fault, line))?;
        operations.extend(made);
    }
    Ok(operations)
}

/// Takes down which views the statements written as the way back drop, so that what the views used
/// can be dropped too.
pub fn noting_drops(mut operations: Vec<Operation>) -> Vec<Operation> {
    for operation in &mut operations {
        let Operation::Sql(sql) = operation else {
            continue;
        };
        // A way back that cannot be read says so when it runs.
        for statement in parser::split(&sql.up, 1).unwrap_or_default() {
            let made = recipe::script::operations(&statement, false, false).unwrap_or_default();
            for operation in made {
                if let Operation::DropView(view) = operation {
                    sql.drops.push(view.name);
                }
            }
        }
    }
    operations
}

fn path_of(section: &Section) -> Result<Option<String>> {
    let statements = parser::split(&section.text, section.first_line)?;
    Ok(recipe::script::search_path(&statements))
}

/// The search path that the document brings with it; `None`: the session's counts.
pub fn search_path(document: &Document) -> Result<Option<String>> {
    match &document.body {
        Body::Operations { .. } => Ok(None),
        Body::Script { up, .. } => path_of(up),
    }
}

/// The settings a script gives that its steps do not follow.
pub fn passed_over(document: &Document) -> Result<Vec<String>> {
    match &document.body {
        Body::Operations { .. } => Ok(Vec::new()),
        Body::Script { up, .. } => {
            let statements = parser::split(&up.text, up.first_line)?;
            Ok(recipe::script::passed_over(&statements))
        }
    }
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
        let theirs = touches(&other.touches);
        let ours = plan.touches.iter().chain(&plan.uses);
        let clash = ours
            .flat_map(|ours| theirs.iter().map(move |theirs| (ours, theirs)))
            .find(|(ours, theirs)| ours.clashes(theirs));
        if let Some((ours, theirs)) = clash {
            let what = match (ours.column.as_str(), theirs.column.as_str()) {
                ("*", "*") => format!("table {}", ours.table),
                ("*", column) | (column, _) => format!("column \"{column}\" of {}", ours.table),
            };
            let plain = |touch: &Touch| !matches!(touch.how, How::Hold | How::Use | How::Read);
            let doing = match (plain(ours), plain(theirs)) {
                (true, true) => format!("change the same {what}"),
                (false, _) => format!(
                    "cannot be in flight at once: the first uses {what}, which the other changes"
                ),
                (true, false) => format!(
                    "cannot be in flight at once: the first changes {what}, which the other uses"
                ),
            };
            let end = match other.state {
                State::Migrating | State::Expanding => "When it is expanded",
                _ => "End the other first",
            };
            return Err(Fault::new(
                state::OBJECT_IN_USE,
                format!(
                    "migration \"{revision}\" and migration \"{}\", which is {}, {doing}",
                    other.revision,
                    other.state.as_str(),
                ),
            )
            .hint(format!(
                "{end}: CALL migrate.contract('{0}'); or CALL migrate.downgrade to take it back.",
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
    if direction == "up" {
        drift::note(&revision.revision, transactions.mode())?;
    }
    // Rolled back, so that the locks under which the catalog was read are let go: two migrations
    // that hold them would each wait for the other's to go away.
    let plan = within(revision, || {
        subtransaction::rehearse(|| recipe::plan(operations, &Live, &revision.revision))
    })?;
    conflict(&revision.revision, &plan)?;
    if direction == "up" {
        let inverse =
            serde_json::to_value(&plan.inverse).map_err(|err| Fault::internal(err.to_string()))?;
        let held: Vec<&Touch> = plan.touches.iter().chain(&plan.uses).collect();
        let touched =
            serde_json::to_value(&held).map_err(|err| Fault::internal(err.to_string()))?;
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
        drift::at_rest(transactions.mode())?;
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
