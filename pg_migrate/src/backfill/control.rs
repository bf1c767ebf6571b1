//! Which job comes next, and what a user can tell a job to do. Obeyed by the next batch.

use super::work::{Batch, batch, may_drive};
use crate::fault::{Fault, Result};
use crate::ledger::{self, Event, Job, StepRow};
use crate::pg::error;

/// A job that belongs to no migration, has work, and may be driven by the current user.
pub fn next_job() -> Result<Option<i64>> {
    Ok(ledger::open_jobs(true)?
        .into_iter()
        .find(|job| may_drive(job).is_ok())
        .map(|job| job.job))
}

/// One batch of whichever job has work, those of migrations included. `None`: there is no job that
/// the current user may drive. A job that fails is left behind with a warning.
pub fn any_batch() -> Result<Option<Batch>> {
    let mut idle = None;
    for job in ledger::open_jobs(false)? {
        if may_drive(&job).is_err() {
            continue;
        }
        match tolerant_batch(job.job)? {
            Some(batch) if !batch.idle => return Ok(Some(batch)),
            Some(batch) => idle = Some(batch),
            None => {}
        }
    }
    Ok(idle)
}

/// One batch. `None`: the job has failed in it, which a warning says and the caller's commit keeps.
/// Errors of the moment are raised.
pub fn tolerant_batch(job: i64) -> Result<Option<Batch>> {
    let found = ledger::job(job)?;
    may_drive(&found)?;
    let over = matches!(found.state.as_str(), "failed" | "cancelled");
    match batch(job) {
        Ok(batch) => Ok(Some(batch)),
        Err(fault) if !over && ledger::job(job)?.state == "failed" => {
            error::warning(Fault {
                message: format!("backfill job {job} has failed: {}", fault.message),
                ..fault
            });
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

/// The job, which the current user may drive.
fn mine(job: i64) -> Result<Job> {
    let job = ledger::job(job)?;
    may_drive(&job)?;
    Ok(job)
}

fn not_now(job: &Job, verb: &str) -> Fault {
    Fault::wrong_state(format!(
        "backfill job {} is {} and cannot be {verb}",
        job.job, job.state
    ))
}

fn event(job: &Job, what: &str) -> Result<()> {
    ledger::event(&Event {
        revision: job.revision.as_deref(),
        what,
        detail: Some(&format!("job {} on {}", job.job, job.relation_name)),
        ..Event::default()
    })
}

/// Stops the job until `resume`.
pub fn pause(job: i64) -> Result<()> {
    let job = mine(job)?;
    match job.state.as_str() {
        "paused" => Ok(()),
        "queued" | "running" => {
            ledger::set_job_state(job.job, "paused", None)?;
            event(&job, "backfill paused")
        }
        _ => Err(not_now(&job, "paused")),
    }
}

/// Goes on with a paused job; begins one again that has failed, was cancelled, or has ended with
/// rows it could not fill. What is filled stays so.
pub fn resume(job: i64) -> Result<()> {
    let job = mine(job)?;
    match job.state.as_str() {
        "queued" | "running" => return Ok(()),
        "paused" => {
            let state = if job.pass == 0 { "queued" } else { "running" };
            ledger::set_job_state(job.job, state, None)?;
        }
        "done" if ledger::quarantined(job.job)? == 0 => return Err(not_now(&job, "resumed")),
        _ => ledger::reopen_job(job.job)?,
    }
    event(&job, "backfill resumed")
}

/// Ends the job for good; what is filled stays so.
pub fn cancel(job: i64) -> Result<()> {
    let job = mine(job)?;
    match job.state.as_str() {
        "cancelled" => Ok(()),
        "done" => Err(not_now(&job, "cancelled")),
        _ => {
            ledger::set_job_state(job.job, "cancelled", None)?;
            event(&job, "backfill cancelled")
        }
    }
}

/// Begins the job of a failed step again, if it has one that has come to an end.
pub fn retry(step: &StepRow) -> Result<()> {
    let Some(job) = ledger::job_of(&step.revision, &step.direction, step.step)? else {
        return Ok(());
    };
    let job = mine(job)?;
    let over = job.state == "failed" || job.state == "done" && ledger::quarantined(job.job)? > 0;
    if over { resume(job.job) } else { Ok(()) }
}
