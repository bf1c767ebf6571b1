//! Taking migrations back: by undoing the steps before contract, by the inverse operations after.

use super::context::{Transactions, may_drive};
use super::drive::recording;
use super::run::{self, Progress};
use super::{contract, drift, locks, register, start};
use crate::document::model::Operation;
use crate::document::{self, Defaults};
use crate::fault::{Fault, Result, state};
use crate::ledger::{self, Event, Revision, State, StepRow};
use crate::pg::advisory::SessionLock;
use crate::pg::wait::{self, Patience};
use crate::recipe::step::{Kind, Phase};

/// Takes back everything above `target`, children first. Nothing runs if one of them has no way
/// back.
pub fn downgrade(transactions: &mut dyn Transactions, target: &str) -> Result<()> {
    let path = register::graph()?.downgrade_path(target)?;
    let mut revisions = Vec::new();
    for id in &path {
        let revision = register::find(id)?;
        may_drive(&revision)?;
        way_back(&revision)?;
        revisions.push(revision);
    }
    for revision in &revisions {
        one(transactions, revision)?;
    }
    Ok(())
}

/// Whether the way back is to undo the steps that were done: before the contract it is.
fn by_steps(revision: &Revision) -> Result<bool> {
    Ok(match revision.state {
        State::Applied => false,
        State::Downgrading => ledger::steps(&revision.revision, "down")?.is_empty(),
        _ => true,
    })
}

/// The operations that take an applied migration back, none before its contract; an error if there
/// is no way back.
fn way_back(revision: &Revision) -> Result<Vec<Operation>> {
    let id = revision.revision.as_str();
    let cannot = || Fault::wrong_state(format!("migration \"{id}\" cannot be taken back"));
    if revision.state == State::Contracting {
        return Err(Fault::wrong_state(format!(
            "migration \"{id}\" is in the middle of its contract"
        ))
        .hint(format!(
            "CALL migrate.contract('{id}') finishes it; then downgrade."
        )));
    }
    if by_steps(revision)? {
        let one_way = ledger::steps(id, "up")?.into_iter().find(|step| {
            step.state == "done" && step.args.get("one_way").is_some_and(|mark| *mark == true)
        });
        return match one_way {
            None => Ok(Vec::new()),
            Some(step) => Err(cannot()
                .detail(format!("No way back is given for step {}: {}", step.step, step.sql))
                .hint(format!(
                    "Finish it: CALL migrate.contract('{id}'); then a -- migrate:down section, if the document has one, takes it back."
                ))),
        };
    }
    let document = document::parse_with(
        &revision.document,
        &Defaults {
            revision: Some(revision.revision.clone()),
            down_revision: None,
        },
    )?;
    if let (_, Some(down)) = start::operations_of(&document)? {
        return Ok(down);
    }
    if let Some(why) = &revision.irreversible {
        return Err(cannot().detail(why.clone()).hint(
            "Write the way back by hand in a new migration, or add a -- migrate:down section to the next one of its kind.",
        ));
    }
    match &revision.inverse {
        Some(inverse) => serde_json::from_value(inverse.clone())
            .map(start::noting_drops)
            .map_err(|err| Fault::internal(format!("stored way back of \"{id}\": {err}"))),
        None if revision.state == State::Applied => Err(Fault::wrong_state(format!(
            "migration \"{id}\" was stamped, not run: its way back is not known"
        ))
        .hint("Take the change back by hand, then SELECT migrate.repair(…, 'abandon').")),
        None => Ok(Vec::new()),
    }
}

fn one(transactions: &mut dyn Transactions, revision: &Revision) -> Result<()> {
    let id = revision.revision.as_str();
    let Some(_lock) = SessionLock::try_take(id) else {
        return Err(Fault::new(
            state::OBJECT_IN_USE,
            format!("another session is working on migration \"{id}\""),
        )
        .hint("Stop it first: SELECT migrate.stop_worker(); or end the session that runs CALL migrate.upgrade()."));
    };
    match revision.state {
        State::Pending | State::Abandoned => return Ok(()),
        State::Applied => {
            let operations = way_back(revision)?;
            recording(transactions, revision, None, |transactions| {
                start::start(transactions, revision, "down", &operations)
            })?;
            inverse(transactions, revision)?;
        }
        State::Downgrading if by_steps(revision)? => {
            undo(transactions, revision)?;
        }
        State::Downgrading => {
            start::expand(transactions, revision, "down")?;
            inverse(transactions, revision)?;
        }
        _ => {
            // An interruption must not leave it to an upgrade to go on from steps half undone.
            ledger::set_state(id, State::Downgrading)?;
            ledger::event(&Event {
                revision: Some(id),
                direction: Some("down"),
                what: "started",
                ..Event::default()
            })?;
            transactions.commit();
            undo(transactions, revision)?;
        }
    }
    ledger::clear_steps(id, "up")?;
    ledger::clear_steps(id, "down")?;
    ledger::set_state(id, State::Pending)?;
    ledger::event(&Event {
        revision: Some(id),
        direction: Some("down"),
        what: "taken back",
        ..Event::default()
    })?;
    drift::at_rest(transactions.mode())?;
    transactions.commit();
    Ok(())
}

/// The migrate and contract phases of the way back.
fn inverse(transactions: &mut dyn Transactions, revision: &Revision) -> Result<()> {
    let id = revision.revision.as_str();
    let mut patience = Patience::default();
    while let Some(step) = ledger::next_step(id, "down", Phase::Migrate)? {
        wait::check_interrupts();
        let progress = recording(transactions, revision, Some(&step), |transactions| {
            run::step(transactions, revision, &step)
        })?;
        transactions.commit();
        match progress {
            Progress::Idle => patience.wait(),
            _ => patience.begin_anew(),
        }
    }
    contract::phase(transactions, revision, "down")
}

/// Undoes the steps that ran, last first. Neighbouring brief ones go in one transaction: trigger
/// and column leave together, so that no write finds one without the other.
fn undo(transactions: &mut dyn Transactions, revision: &Revision) -> Result<()> {
    let mut brief: Vec<StepRow> = Vec::new();
    for step in ledger::steps_done(&revision.revision, "up")? {
        if step.kind == Kind::Backfill {
            ledger::cancel_job_of(&step.revision, &step.direction, step.step)?;
            ledger::set_step(&step, "undone", None)?;
            continue;
        }
        let long = step.undo.iter().any(|undo| undo.kind != Kind::Ddl);
        if long {
            flush(transactions, revision, &mut brief)?;
            for each in &step.undo {
                run::undo(transactions, revision, &step, each)
                    .map_err(|fault| run::at_step(fault, &step))?;
            }
            ledger::set_step(&step, "undone", None)?;
            transactions.commit();
        } else if step.state == "done" {
            brief.push(step);
        }
    }
    flush(transactions, revision, &mut brief)
}

fn flush(
    transactions: &mut dyn Transactions,
    revision: &Revision,
    steps: &mut Vec<StepRow>,
) -> Result<()> {
    let steps = std::mem::take(steps);
    let Some(first) = steps.first() else {
        return Ok(());
    };
    let wants: Vec<_> = steps
        .iter()
        .filter(|step| !step.undo.is_empty())
        .flat_map(run::wants)
        .collect();
    let mut report = |why: Option<&str>| ledger::set_waiting(first, why);
    locks::with(transactions, &wants, &mut report, &mut || {
        for step in &steps {
            for each in &step.undo {
                super::context::within(revision, || crate::pg::spi::run(&each.sql, &[]))
                    .map_err(|fault| run::at_step(fault, step))?;
            }
            ledger::set_step(step, "undone", None)?;
        }
        Ok(())
    })?;
    transactions.commit();
    Ok(())
}
