//! Ends a migration: verifies, then removes the old shape. The only destructive verb.

use super::context::{Transactions, may_drive};
use super::drive::recording;
use super::{drift, register, run};
use crate::fault::{Fault, Result, state};
use crate::ledger::{self, Event, Revision, State, StepRow};
use crate::pg::advisory::SessionLock;
use crate::pg::torture::{self, Point};
use crate::recipe::step::{Kind, Phase};

/// Contracts one migration that is expanded, or resumes a contract that was interrupted.
pub fn contract(transactions: &mut dyn Transactions, word: &str) -> Result<()> {
    let revision = register::find(word)?;
    may_drive(&revision)?;
    let id = revision.revision.as_str();
    match revision.state {
        State::Expanded | State::Contracting => {}
        State::Applied => {
            return Err(
                Fault::wrong_state(format!("migration \"{id}\" is already applied"))
                    .detail("There is nothing left to contract."),
            );
        }
        other => {
            return Err(Fault::wrong_state(format!(
                "migration \"{id}\" is {} and cannot be contracted",
                other.as_str()
            ))
            .hint("CALL migrate.upgrade() brings it to expanded first."));
        }
    }
    let Some(_lock) = SessionLock::try_take(id) else {
        return Err(Fault::new(
            state::OBJECT_IN_USE,
            format!("another session is working on migration \"{id}\""),
        )
        .hint("SELECT * FROM migrate.status; shows it. Try again when it is through."));
    };
    torture::at(Point::ContractBegin);
    if revision.state == State::Expanded {
        super::drive::catch_up(transactions, &revision)?;
    }
    ledger::set_state(id, State::Contracting)?;
    transactions.commit();
    phase(transactions, &revision, "up")?;
    ledger::set_state(id, State::Applied)?;
    ledger::event(&Event {
        revision: Some(id),
        direction: Some("up"),
        what: "applied",
        ..Event::default()
    })?;
    drift::at_rest(transactions.mode())?;
    transactions.commit();
    Ok(())
}

/// The contract phase: every verification, then what runs outside a transaction, then all brief
/// steps of a table in one transaction.
pub fn phase(
    transactions: &mut dyn Transactions,
    revision: &Revision,
    direction: &str,
) -> Result<()> {
    let id = revision.revision.as_str();
    let mut group: Vec<StepRow> = Vec::new();
    let steps = of_contract(id, direction)?;
    let begun = steps.iter().any(|step| step.is_over() && takes_away(step));
    if !begun {
        settle(transactions, revision, direction)?;
    }
    for step in of_contract(id, direction)? {
        // What was verified before an interruption is verified again, for time has passed; but not
        // once something is gone that it reads.
        let again = step.kind == Kind::Verify && !begun && step.state == "done";
        if step.is_over() && !again {
            continue;
        }
        let joins = step.kind == Kind::Ddl
            && group
                .last()
                .is_none_or(|last| last.relation == step.relation);
        if !joins {
            flush(transactions, revision, &mut group)?;
        }
        if step.kind == Kind::Ddl {
            group.push(step);
        } else {
            recording(transactions, revision, Some(&step), |transactions| {
                run::step(transactions, revision, &step)
            })
            .inspect_err(|_| back_to_expanded(transactions, &step))?;
        }
    }
    flush(transactions, revision, &mut group)
}

fn of_contract(id: &str, direction: &str) -> Result<Vec<StepRow>> {
    let steps = ledger::steps(id, direction)?.into_iter();
    Ok(steps.filter(|step| step.phase == Phase::Contract).collect())
}

/// Whether the step does more than look, or build what nobody uses yet.
fn takes_away(step: &StepRow) -> bool {
    !matches!(step.kind, Kind::Verify | Kind::Partitions) && !run::builds(step)
}

/// Builds what partitions lack that came since they were last looked for.
fn settle(transactions: &mut dyn Transactions, revision: &Revision, direction: &str) -> Result<()> {
    let id = revision.revision.as_str();
    for step in of_contract(id, direction)? {
        if step.kind == Kind::Partitions && step.is_over() {
            ledger::set_step(&step, "queued", None)?;
        }
    }
    loop {
        let next = of_contract(id, direction)?
            .into_iter()
            .find(|step| !step.is_over() && (step.kind == Kind::Partitions || run::builds(step)));
        let Some(step) = next else {
            return Ok(());
        };
        recording(transactions, revision, Some(&step), |transactions| {
            run::step(transactions, revision, &step)
        })
        .inspect_err(|_| back_to_expanded(transactions, &step))?;
    }
}

/// What fails before anything is taken away leaves the migration where it was.
fn back_to_expanded(transactions: &mut dyn Transactions, step: &StepRow) {
    if !takes_away(step) && step.direction == "up" {
        let done = of_contract(&step.revision, "up").is_ok_and(|steps| {
            steps
                .iter()
                .any(|step| takes_away(step) && step.state == "done")
        });
        if !done && ledger::set_state(&step.revision, State::Expanded).is_ok() {
            transactions.commit();
        }
    }
}

fn flush(
    transactions: &mut dyn Transactions,
    revision: &Revision,
    group: &mut Vec<StepRow>,
) -> Result<()> {
    let steps = std::mem::take(group);
    recording(transactions, revision, steps.first(), |transactions| {
        run::brief(transactions, revision, &steps)
    })
}
