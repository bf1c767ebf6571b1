//! One batch of one job, in the caller's transaction.

use super::feedback;
use super::fill;
use super::keys;
use super::memory;
use super::passes;
use super::storage::{self, Table};
use super::tell;
use super::throttle::{self, Gate};
use super::window;
use crate::fault::{Fault, Result, state};
use crate::ledger::{self, Event, Job, Range};
use crate::pg::torture::{self, Mutant, Point};
use crate::pg::{identity, settings, spi, subtransaction, transaction, usage};
use std::time::Instant;

/// Longest wait for the table's lock, which only a VACUUM FULL or its like can hold for long.
pub const TABLE_WAIT: &str = "500ms";
/// The same of a batch that holds locks on other partitions already.
const NEXT_WAIT: &str = "10ms";

/// What a batch came to.
#[derive(Debug, Clone)]
pub struct Batch {
    pub job: i64,
    pub rows_updated: i64,
    /// Of this pass.
    pub blocks_done: i64,
    pub blocks_total: i64,
    /// The job has come to its end.
    pub done: bool,
    /// Nothing can be done now: others have all pieces, the rest is locked, or it is paused.
    pub idle: bool,
    /// Rows of the job that could not be filled so far.
    pub quarantined: i64,
}

/// Who else is concerned by a batch.
#[derive(Debug, Clone, Copy)]
pub struct Company {
    /// The transaction ends with the batch.
    pub alone: bool,
    /// The batch ends where somebody waits for a lock of ours.
    pub yields: bool,
}

/// Runs user SQL with the rights of the job's owner and in its search path. `body` must not commit.
pub fn within<T>(job: &Job, body: impl FnOnce() -> Result<T>) -> Result<T> {
    let scope = settings::Scope::new();
    scope.set("search_path", &job.search_path);
    // Rows that a policy hides must be an error, not rows that are never filled.
    scope.set("row_security", "off");
    // A statement over a window is small, however large the table makes its estimate.
    scope.set("jit", "off");
    let value = identity::as_role(job.owner, body);
    drop(scope);
    value
}

/// Errors unless the current user has the rights of the job's owner.
pub fn may_drive(job: &Job) -> Result<()> {
    if identity::has_rights_of(job.owner) {
        return Ok(());
    }
    let owner = identity::role_name(job.owner);
    Err(Fault::new(
        state::INSUFFICIENT_PRIVILEGE,
        format!("permission denied for backfill job {}", job.job),
    )
    .detail(format!(
        "It runs with the rights of role \"{owner}\", which defined it."
    ))
    .hint(format!("SET ROLE {owner}, or have it granted to you.")))
}

/// Runs exactly one batch of `job`. On an error nothing of the batch is kept; one that speaks
/// against the job itself also marks it failed, which lasts if the caller commits.
pub fn batch(job: i64) -> Result<Batch> {
    let found = ledger::job(job)?;
    may_drive(&found)?;
    if !transaction::fresh_snapshots() {
        return Err(Fault::new(
            state::ACTIVE_TRANSACTION,
            "a backfill batch needs READ COMMITTED",
        )
        .detail(
            "In this isolation level it would not see the rows that others have just committed.",
        )
        .hint("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;"));
    }
    match found.state.as_str() {
        "done" => return report(&found, 0, false),
        "paused" => return report(&found, 0, true),
        "failed" => return Err(ledger::failure(&found)),
        "cancelled" => {
            return Err(
                Fault::wrong_state(format!("backfill job {job} was cancelled"))
                    .hint(format!("SELECT migrate.resume({job}); begins it again.")),
            );
        }
        _ if found.resting => return report(&found, 0, true),
        _ => {}
    }
    // Asked here: inside the subtransaction below the answer is always yes.
    let alone = !transaction::in_block();
    if alone && !found.synchronous {
        // Cursor and rows are one transaction: a crash may lose the last batches, never half of one.
        spi::run(
            "SELECT pg_catalog.set_config('synchronous_commit', 'off', true)",
            &[],
        )?;
    }
    // Inside somebody's transaction a wait would only make its locks last longer.
    let gate = match alone {
        true => throttle::ask(&found)?,
        false => Gate::default(),
    };
    if let Some(why) = &gate.held {
        ledger::set_throttle(job, Some(why))?;
        tell::progress(job, false)?;
        return report(&found, 0, true);
    }
    let company = Company {
        alone,
        yields: gate.yields,
    };
    torture::at(Point::BatchBegin);
    let small = compressing()?;
    let outcome = subtransaction::attempt(|| piece(&found, company));
    drop(small);
    // Somebody's own transaction may be one that is to be prepared.
    if let Ok(batch) = &outcome
        && alone
    {
        tell::progress(job, batch.done)?;
    }
    outcome.or_else(|fault| {
        if !fill::is_passing(&fault) {
            ledger::set_job_state(job, "failed", Some(&fault))?;
            event(&found, "backfill failed", Some(&fault))?;
        }
        Err(fault)
    })
}

/// While it lives, page images go into the WAL compressed by LZ4, where the server can and was not
/// told of another way. A backfill touches every page: images are most of its WAL, and compressing
/// them costs less than writing, sending and archiving what it saves. Anything slower than LZ4 does
/// not pay.
fn compressing() -> Result<Option<settings::Scope>> {
    if settings::value("wal_compression").as_deref() != Some("off") || !storage::has_lz4()? {
        return Ok(None);
    }
    let scope = settings::Scope::new();
    scope.set_as_server("wal_compression", "lz4");
    Ok(Some(scope))
}

fn report(job: &Job, rows: i64, idle: bool) -> Result<Batch> {
    let standing = ledger::standing(job.job)?;
    Ok(Batch {
        job: job.job,
        rows_updated: rows,
        blocks_done: standing.blocks_done,
        blocks_total: standing.blocks_total,
        done: standing.done,
        idle,
        quarantined: standing.quarantined,
    })
}

pub fn event(job: &Job, what: &str, error: Option<&Fault>) -> Result<()> {
    let detail = format!("job {} on {}", job.job, job.relation_name);
    ledger::event(&Event {
        revision: job.revision.as_deref(),
        what,
        error,
        detail: Some(&detail),
        ..Event::default()
    })
}

/// What came of a look for work.
pub enum Look {
    Worked(i64),
    Idle,
    /// Something has changed: look again.
    Again,
}

fn piece(job: &Job, company: Company) -> Result<Batch> {
    let table = storage::table(job.relation)?.ok_or_else(|| {
        Fault::new(
            state::UNDEFINED_TABLE,
            format!(
                "table {} of backfill job {} does not exist any more",
                job.relation_name, job.job
            ),
        )
        .hint(format!("SELECT migrate.cancel({});", job.job))
    })?;
    let begun = Instant::now();
    let mut job = job.clone();
    let (mut rows, mut looks) = (0, 0);
    // Of this transaction: what a window's visit has made room for is there after its end only.
    let mut worked = Vec::new();
    loop {
        if job.resting {
            return report(&job, rows, worked.is_empty());
        }
        let known = memory::ranges(job.job);
        let most = feedback::in_flight(usage::shared_buffers());
        let claimed = ledger::claim(job.job, &known, most, &worked)?;
        let piece = claimed.as_ref().map(|range| range.range);
        let wait = if worked.is_empty() {
            TABLE_WAIT
        } else {
            NEXT_WAIT
        };
        let look = match claimed {
            Some(range) if range.kind == "scan" => scan(&job, &table, &range, company, wait)?,
            // These and the end of a pass are batches of their own.
            _ if !worked.is_empty() => Look::Idle,
            Some(range) if range.kind == "verify" => passes::verify(&job, &table, &range)?,
            Some(range) => keys::scan(&job, &table, &range, company)?,
            None => patiently(&job, wait, || passes::settle(&job))?.unwrap_or(Look::Idle),
        };
        match look {
            Look::Worked(some) => rows += some,
            Look::Idle => return report(&job, rows, worked.is_empty()),
            // A survey, new leaves, a replaced heap file: each asks for one more look, not for ever.
            Look::Again if looks < 8 => {
                looks += 1;
                job = ledger::job(job.job)?;
                continue;
            }
            Look::Again => return report(&job, rows, false),
        }
        // Small partitions share a transaction, which costs more than they do.
        let enough = begun.elapsed() * 2 >= job.target();
        match piece {
            Some(piece) if company.alone && !enough && !throttle::yields(company)? => {
                worked.push(piece);
            }
            _ => return report(&job, rows, false),
        }
    }
}

/// Runs `body`, which waits for anybody's lock on the table no longer than `wait`; `None`: it was
/// not to be had, and `progress` says so.
pub fn patiently<T>(job: &Job, wait: &str, body: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    let outcome = subtransaction::attempt(|| {
        let scope = settings::Scope::new();
        scope.set("lock_timeout", wait);
        let value = body();
        drop(scope);
        value
    });
    match outcome {
        Ok(value) => {
            if job.throttle.is_some() {
                ledger::set_throttle(job.job, None)?;
            }
            Ok(Some(value))
        }
        Err(fault) if fill::is_conflict(&fault) => {
            let why = format!("waiting for a lock on {}", job.relation_name);
            ledger::set_throttle(job.job, Some(&why))?;
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

/// Fills as much of a claimed range as the target time allows.
fn scan(job: &Job, table: &Table, range: &Range, company: Company, wait: &str) -> Result<Look> {
    torture::at(Point::BatchClaimed);
    let lock = patiently(job, wait, || {
        Ok(transaction::lock_for_update(range.relation))
    })?;
    let Some(there) = lock else {
        return Ok(Look::Idle);
    };
    torture::at(Point::BatchLocked);
    let heap = match there {
        true => storage::heap(job.relation, range.relation)?,
        false => None,
    };
    let Some(heap) = heap else {
        // Dropped or detached: no longer ours.
        ledger::set_stale(job.job, range.relation, 0, range.range)?;
        return Ok(Look::Again);
    };
    if heap.filenode != range.filenode && !torture::mistaken(Mutant::NoFileGuard) {
        return passes::replaced(job, range, &heap);
    }
    window::scan(job, table, range, &heap, company)
}
