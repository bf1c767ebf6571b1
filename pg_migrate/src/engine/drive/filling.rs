//! A backfill step: its job, its batches, and what follows when it is through.

use crate::backfill;
use crate::catalog;
use crate::engine::context::{Mode, Transactions, within};
use crate::engine::run::{self, Progress};
use crate::fault::{Fault, Result};
use crate::ledger::{self, Event, Revision, StepRow};
use crate::pg::advisory::SessionLock;
use crate::pg::subtransaction;
use crate::sync;
use std::time::Duration;

/// One batch of a backfill step; makes the job at the first call.
pub fn batch(
    transactions: &mut dyn Transactions,
    revision: &Revision,
    step: &StepRow,
) -> Result<Progress> {
    let job = match ledger::job_of(&step.revision, &step.direction, step.step)? {
        Some(job) => job,
        None => {
            // Two drivers may come here at once: only one makes the job.
            let Some(_lock) = SessionLock::try_take(&step.revision) else {
                return Ok(Progress::Idle);
            };
            transactions.commit();
            if let Some(job) = ledger::job_of(&step.revision, &step.direction, step.step)? {
                job
            } else {
                let spec = backfill::Spec::of_step(step)?;
                let job = within(revision, || {
                    subtransaction::attempt(|| backfill::define(&spec))
                })
                .map_err(|fault| run::at_step(fault, step))?;
                ledger::begin_step(step)?;
                transactions.commit();
                job
            }
        }
    };
    if step.state == "failed" {
        // Asked for again: rows that could not be filled are tried once more.
        backfill::retry(step)?;
        ledger::begin_step(step)?;
        transactions.commit();
    }
    if ledger::job_done(job).map_err(|fault| run::at_step(fault, step))? {
        filled(revision, step)?;
        transactions.commit();
        return Ok(Progress::Done);
    }
    loop {
        // No subtransaction around it: that a job has failed is kept with the error.
        let batch = backfill::batch(job).map_err(|fault| run::at_step(fault, step))?;
        if batch.done {
            ledger::job_done(job).map_err(|fault| run::at_step(fault, step))?;
            filled(revision, step)?;
        }
        transactions.commit();
        if batch.done {
            return Ok(Progress::Done);
        }
        if transactions.mode() != Mode::Rehearsal {
            return Ok(if batch.idle {
                Progress::Idle
            } else {
                Progress::More
            });
        }
        if batch.idle {
            return Err(Fault::wrong_state(
                "a row of the rehearsed backfill is locked by another session",
            ));
        }
    }
}

/// The job is through: from now on a null in the new column is one on purpose.
fn filled(revision: &Revision, step: &StepRow) -> Result<()> {
    if !ledger::finish_step(step, Duration::ZERO)? {
        return Ok(()); // another driver saw it first
    }
    let name = |key: &str| {
        step.args
            .get("sync")
            .and_then(|sync| sync.get(key))
            .and_then(serde_json::Value::as_str)
    };
    if let (Some(old), Some(new), Some(table)) = (name("old"), name("new"), &step.relation) {
        within(revision, || match catalog::resolve(table)? {
            Some(relation) => subtransaction::attempt(|| sync::finished(relation, old, new)),
            None => Ok(()),
        })?;
    }
    ledger::event(&Event {
        revision: Some(&step.revision),
        direction: Some(&step.direction),
        step: Some(step.step),
        what: "step done",
        sql: Some(&step.sql),
        ..Event::default()
    })
}
