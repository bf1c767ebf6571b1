//! Reads and writes `migrate.*` tables; the only room that knows their columns.
//!
//! The tables belong to the extension's owner and nobody else may write them: every statement here
//! is fixed SQL with parameters, run with that owner's rights through `owned`.

use crate::fault::{Fault, Result};
use crate::pg::{identity, kept, spi};
use serde::Deserialize;

/// The role that owns the extension.
fn owner() -> Result<u32> {
    #[derive(Deserialize)]
    struct Owner {
        extowner: u32,
    }
    let owner: Option<Owner> = kept::fixed(|| {
        spi::first(
            "SELECT extowner::int8 AS extowner FROM pg_catalog.pg_extension \
             WHERE extname OPERATOR(pg_catalog.=) 'pg_migrate'",
            &[],
        )
    })?;
    owner.map(|owner| owner.extowner).ok_or_else(|| {
        Fault::wrong_state("extension pg_migrate is not installed in this database")
            .hint("CREATE EXTENSION pg_migrate;")
    })
}

/// Runs fixed ledger SQL with the rights of the extension's owner. No user SQL, no commit inside.
pub fn owned<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    identity::as_ledger_owner(owner()?, || kept::fixed(body))
}

mod aside;
mod backfill;
mod event;
mod picture;
mod quarantine;
mod range;
mod revision;
mod step;
mod throttle;
mod window;
mod worker;

pub use aside::{aside_of, asides_before, forget_aside, next_aside_number, remember_aside};
pub use backfill::{
    Copying, Job, NewJob, begin_pass, begin_step, cancel_job_of, failure, insert_job, job,
    job_done, job_of, lock_job, notify_progress, open_jobs, progress_line, reopen_job,
    set_job_state, set_throttle, set_unstriped, unfilled,
};
pub use event::{Event, event, taken_back};
pub use picture::{Drifted, drifted, has_picture, is_large, keep_no_picture, keep_picture};
pub use quarantine::{
    Quarantined, clear_quarantine, first_quarantined, quarantine, quarantine_of, quarantined,
    release,
};
pub use range::{
    Moved, Range, claim, covered, insert_ranges, keep_key, move_range, set_stale, standing,
};
pub use revision::{
    NewRevision, Revision, State, delete_revision, insert_revision, lock_revision, nodes, request,
    revision, revisions_in_flight, set_state, store_plan,
};
pub use step::{
    StepRow, clear_steps, finish_step, insert_steps, insert_steps_before, next_step, set_step,
    set_waiting, start_step, steps, steps_done,
};
pub use throttle::{limits, may_set_throttles, measure, set_limit};
pub use window::Window;
pub use worker::{finish_worker, insert_driver, insert_worker, live_drivers, start_worker, worker};
