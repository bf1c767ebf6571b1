//! A backfill step: its job, its batches, and what follows when it is through.

use crate::backfill;
use crate::catalog;
use crate::engine::context::{Mode, Transactions, within};
use crate::engine::run::{self, Progress};
use crate::fault::{Fault, Result};
use crate::ledger::{self, Event, Revision, StepRow};
use crate::pg::advisory::SessionLock;
use crate::pg::subtransaction;
use crate::pg::torture::{self, Point};
use crate::pg::wait::{self, Patience};
use crate::recipe::step::Kind;
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
                let job =
                    within(revision, || define(step)).map_err(|fault| run::at_step(fault, step))?;
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
        let all = filled(revision, step, job)?;
        transactions.commit();
        if all {
            return Ok(Progress::Done);
        }
    }
    loop {
        // No subtransaction around it: that a job has failed is kept with the error.
        let batch = backfill::batch(job).map_err(|fault| run::at_step(fault, step))?;
        let mut all = false;
        if batch.done {
            ledger::job_done(job).map_err(|fault| run::at_step(fault, step))?;
            all = filled(revision, step, job)?;
        }
        transactions.commit();
        if all {
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

/// Makes the job of the step, which also does those of later steps that can be done in the same pass:
/// of the same table, with nothing in between that they could need.
fn define(step: &StepRow) -> Result<i64> {
    let alone = backfill::Spec::of_step(step)?;
    let joined = subtransaction::attempt(|| {
        let mut spec = alone.clone();
        let mut any = false;
        for later in ledger::steps(&step.revision, &step.direction)? {
            if later.step <= step.step || later.phase != step.phase {
                continue;
            }
            match later.kind {
                Kind::Backfill if later.state == "queued" => {
                    any |= backfill::join(&mut spec, &backfill::Spec::of_step(&later)?)?;
                }
                Kind::Backfill | Kind::Concurrent | Kind::Validate | Kind::Verify => {}
                _ => break,
            }
        }
        match any {
            true => backfill::define(&spec).map(Some),
            false => Ok(None),
        }
    });
    match joined {
        Ok(Some(job)) => Ok(job),
        Err(fault) if fault.is_interruption() => Err(fault),
        // What is wrong with another step is said when its turn comes.
        Ok(None) | Err(_) => subtransaction::attempt(|| backfill::define(&alone)),
    }
}

/// The columns of the trigger that keeps up with the writers of a backfill.
fn synced(step: &StepRow) -> Option<(&str, &str, &str)> {
    let sync = step.args.get("sync")?;
    let name = |key: &str| sync.get(key).and_then(serde_json::Value::as_str);
    Some((step.relation.as_deref()?, name("old")?, name("new")?))
}

/// Partitions that came since they were looked for are filled too: whether there are any.
fn more(revision: &Revision, step: &StepRow, job: i64) -> Result<bool> {
    let Some((table, old, new)) = synced(step) else {
        return Ok(false);
    };
    let late = within(revision, || match catalog::resolve(table)? {
        Some(relation) => subtransaction::attempt(|| sync::late(relation, old, new)),
        None => Ok(Vec::new()),
    })?;
    for leaf in &late {
        // What is known of it is from before it was detached.
        ledger::set_stale(job, *leaf, 0, 0)?;
    }
    if !late.is_empty() {
        ledger::set_job_state(job, "running", None)?;
    }
    Ok(!late.is_empty())
}

/// The job is through: from now on a null in the new column is one on purpose. `false`: partitions
/// have come, and the job goes on.
fn filled(revision: &Revision, step: &StepRow, job: i64) -> Result<bool> {
    if ledger::lock_job(job)?.is_none() {
        return Ok(false);
    }
    if more(revision, step, job)? {
        return Ok(false);
    }
    if !ledger::finish_step(step, Duration::ZERO)? {
        return Ok(true); // another driver saw it first
    }
    finished(revision, step)?;
    ledger::event(&Event {
        revision: Some(&step.revision),
        direction: Some(&step.direction),
        step: Some(step.step),
        what: "step done",
        sql: Some(&step.sql),
        ..Event::default()
    })?;
    Ok(true)
}

fn finished(revision: &Revision, step: &StepRow) -> Result<()> {
    torture::at(Point::StepFilled);
    let Some((table, old, new)) = synced(step) else {
        return Ok(());
    };
    within(revision, || match catalog::resolve(table)? {
        Some(relation) => subtransaction::attempt(|| sync::finished(relation, old, new, false)),
        None => Ok(()),
    })
}

/// Before the contract: fills partitions that were attached since the backfills were done.
pub fn catch_up(transactions: &mut dyn Transactions, revision: &Revision) -> Result<()> {
    for step in ledger::steps(&revision.revision, "up")? {
        if step.kind != Kind::Backfill || step.state != "done" {
            continue;
        }
        let Some(job) = ledger::job_of(&step.revision, &step.direction, step.step)? else {
            continue;
        };
        let mut came = false;
        while more(revision, &step, job)? {
            came = true;
            transactions.commit();
            let mut patience = Patience::default();
            loop {
                wait::check_interrupts();
                let batch = backfill::batch(job).map_err(|fault| run::at_step(fault, &step))?;
                transactions.commit();
                if batch.done {
                    ledger::job_done(job).map_err(|fault| run::at_step(fault, &step))?;
                    break;
                }
                match batch.idle {
                    true => patience.wait(),
                    false => patience.begin_anew(),
                }
            }
        }
        if came {
            finished(revision, &step)?;
            transactions.commit();
        }
    }
    Ok(())
}
