//! One batch of one job, in the caller's transaction.

use super::blocks::Blocks;
use super::feedback::{FIRST_CHUNK, Feedback, MOST_PASSES, pass_after, retry_after};
use super::fill::{self, Filler};
use super::storage::{self, Table};
use crate::fault::{Fault, Result, state};
use crate::ledger::{self, Event, Job, Moved, Range};
use crate::pg::{identity, settings, spi, subtransaction, transaction, wait};
use std::time::{Duration, Instant};

/// A leaf is split into at most so many pieces, so that as many callers can work on it at once.
const PIECES: i64 = 16;
/// Smaller pieces (8 MB) are not worth their row in the ledger.
const SMALLEST_PIECE: i64 = 1024;
/// Longest wait for the table's lock, which only a VACUUM FULL or its like can hold for long.
const TABLE_WAIT: &str = "500ms";
/// When pass 2 finds as good as every row again that pass 1 has filled, and they are more than this,
/// it is not the writers' doing.
const MANY_ROWS: i64 = 1000;

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

/// Runs user SQL with the rights of the job's owner and in its search path. `body` must not commit.
pub fn within<T>(job: &Job, body: impl FnOnce() -> Result<T>) -> Result<T> {
    let scope = settings::Scope::new();
    scope.set("search_path", &job.search_path);
    // Rows that a policy hides must be an error, not rows that are never filled.
    scope.set("row_security", "off");
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
    if !transaction::in_block() {
        // Cursor and rows are one transaction: a crash may lose the last batches, never half of one.
        spi::run(
            "SELECT pg_catalog.set_config('synchronous_commit', 'off', true)",
            &[],
        )?;
    }
    subtransaction::attempt(|| piece(&found)).or_else(|fault| {
        if !fill::is_passing(&fault) {
            ledger::set_job_state(job, "failed", Some(&fault))?;
            event(&found, "backfill failed", Some(&fault))?;
        }
        Err(fault)
    })
}

fn report(job: &Job, rows: i64, idle: bool) -> Result<Batch> {
    let standing = ledger::standing(job.job)?;
    Ok(Batch {
        job: job.job,
        rows_updated: rows,
        blocks_done: standing.blocks_done,
        blocks_total: standing.blocks_total,
        done: ledger::job(job.job)?.state == "done",
        idle,
        quarantined: ledger::quarantined(job.job)?,
    })
}

fn event(job: &Job, what: &str, error: Option<&Fault>) -> Result<()> {
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
enum Look {
    Worked(i64),
    Idle,
    /// Something has changed: look again.
    Again,
}

fn piece(job: &Job) -> Result<Batch> {
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
    // A survey, new leaves, a replaced heap file: each asks for one more look, not for ever.
    for _ in 0..8 {
        let job = ledger::job(job.job)?;
        if job.resting {
            return report(&job, 0, true);
        }
        let look = match ledger::claim(job.job)? {
            Some(range) if range.kind == "verify" => verify(&job, &table, &range)?,
            Some(range) => scan(&job, &table, &range)?,
            None => patiently(&job, || settle(&job))?.unwrap_or(Look::Idle),
        };
        match look {
            Look::Worked(rows) => return report(&job, rows, false),
            Look::Idle => return report(&job, 0, true),
            Look::Again => {}
        }
    }
    report(job, 0, false)
}

/// Runs `body` without waiting long for anybody's lock on the table; `None`: it was not to be had,
/// and `progress` says so.
fn patiently<T>(job: &Job, body: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    let outcome = subtransaction::attempt(|| {
        let scope = settings::Scope::new();
        scope.set("lock_timeout", TABLE_WAIT);
        let value = body();
        drop(scope);
        value
    });
    match outcome {
        Ok(value) => {
            ledger::set_throttle(job.job, None)?;
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
fn scan(job: &Job, table: &Table, range: &Range) -> Result<Look> {
    let lock = patiently(job, || Ok(transaction::lock_for_update(range.relation)))?;
    let Some(there) = lock else {
        return Ok(Look::Idle);
    };
    let heap = match there {
        true => storage::heap(job.relation, range.relation)?,
        false => None,
    };
    let Some(heap) = heap else {
        // Dropped or detached: no longer ours.
        ledger::set_stale(job.job, range.relation, 0, range.range)?;
        return Ok(Look::Again);
    };
    if heap.filenode != range.filenode {
        return replaced(job, range, &heap);
    }
    let begun = Instant::now();
    let target = Duration::from_millis(u64::try_from(job.target_ms).unwrap_or(200));
    let mut feedback = Feedback::new(target, range.chunk_blocks);
    let mut filler = Filler::new(job, table, range.relation, &heap);
    let mut next = range.next_block;
    let revisiting = next >= range.end_block;
    let mut left = Blocks::from_flat(&range.skipped);
    if revisiting {
        while !feedback.enough(begun.elapsed())
            && let Some((first, end)) = left.take(feedback.chunk)
        {
            timed(&mut feedback, end - first, || filler.blocks(first, end))?;
        }
    } else {
        while next < range.end_block && !feedback.enough(begun.elapsed()) {
            let end = range.end_block.min(next + feedback.chunk);
            timed(&mut feedback, end - next, || filler.blocks(next, end))?;
            next = end;
        }
    }
    let rows = filler.rows;
    let still_locked = !filler.skipped.is_empty();
    for pair in filler.skipped.to_flat().chunks_exact(2) {
        left.add(pair[0], pair[1]);
    }
    let done = next >= range.end_block && left.is_empty();
    let stuck = revisiting && still_locked && rows == 0;
    let retries = if stuck {
        range.retries.saturating_add(1)
    } else {
        0
    };
    ledger::move_range(
        job.job,
        range.range,
        &Moved {
            next_block: next,
            skipped: left.to_flat(),
            chunk_blocks: feedback.chunk,
            rows,
            took: begun.elapsed(),
            retries,
            rest: (still_locked && !done).then(|| retry_after(retries)),
            found: None,
            done,
        },
    )?;
    if stuck {
        Ok(Look::Idle)
    } else {
        Ok(Look::Worked(rows))
    }
}

fn timed(feedback: &mut Feedback, blocks: i64, body: impl FnOnce() -> Result<()>) -> Result<()> {
    wait::check_interrupts();
    let begun = Instant::now();
    body()?;
    feedback.measured(blocks, begun.elapsed());
    Ok(())
}

/// VACUUM FULL, CLUSTER, TRUNCATE or another rewrite has moved every row: the leaf begins again.
fn replaced(job: &Job, range: &Range, heap: &storage::Heap) -> Result<Look> {
    let Some(job) = ledger::lock_job(job.job)? else {
        return Ok(Look::Idle);
    };
    ledger::set_stale(job.job, range.relation, heap.filenode, range.range)?;
    if !ledger::covered(job.job, range.relation, Some(heap.filenode))? {
        insert_pieces(job.job, range.relation, heap)?;
    }
    Ok(Look::Again)
}

fn insert_pieces(job: i64, relation: u32, heap: &storage::Heap) -> Result<()> {
    let size = ((heap.blocks + PIECES - 1) / PIECES).max(SMALLEST_PIECE);
    ledger::insert_ranges(
        job,
        "scan",
        relation,
        heap.filenode,
        heap.blocks,
        size,
        FIRST_CHUNK,
    )
}

/// Nothing is claimable: begins the first pass or the next one, takes in leaves attached since,
/// has the table verified, or ends the job.
fn settle(job: &Job) -> Result<Look> {
    let Some(job) = ledger::lock_job(job.job)? else {
        return Ok(Look::Idle);
    };
    if !matches!(job.state.as_str(), "queued" | "running") {
        return Ok(Look::Idle);
    }
    if job.pass == 0 {
        begin_pass(&job, Duration::ZERO)?;
        return Ok(Look::Again);
    }
    let standing = ledger::standing(job.job)?;
    if standing.open > 0 {
        return Ok(Look::Idle);
    }
    if survey(&job)? {
        return Ok(Look::Again);
    }
    let kept_in_sync = job.sync_trigger.is_some() && job.sync_trigger == sync_triggers(&job)?;
    match standing.found {
        Some(found) if found > 0 => {
            next_pass(&job, standing.rows, found)?;
            Ok(Look::Again)
        }
        None if !kept_in_sync => {
            ledger::insert_ranges(job.job, "verify", job.relation, 0, 1, 1, 1)?;
            // The verification may take long and must not hold the job's lock.
            Ok(Look::Worked(0))
        }
        _ => {
            ledger::set_job_state(job.job, "done", None)?;
            event(&job, "backfill done", None)?;
            Ok(Look::Worked(0))
        }
    }
}

fn sync_triggers(job: &Job) -> Result<Option<String>> {
    let columns: Vec<String> = job.assignments.keys().cloned().collect();
    storage::sync_triggers(job.relation, &columns)
}

/// Ends of scans are read here, after the sync trigger's lock was granted and released: what lies
/// beyond them was written through the trigger, or is found by the verification.
fn begin_pass(job: &Job, rest: Duration) -> Result<()> {
    let rows = storage::leaves(job.relation)?
        .iter()
        .map(|leaf| leaf.rows)
        .sum();
    let rest = i64::try_from(rest.as_millis()).unwrap_or(i64::MAX);
    ledger::begin_pass(job.job, sync_triggers(job)?.as_deref(), rows, rest)?;
    ledger::clear_quarantine(job.job)?;
    survey(job).map(drop)
}

/// Makes pieces of the leaves that have none in this pass; whether there were any. Reads the heap
/// without a lock: a batch compares the file again once it has one.
fn survey(job: &Job) -> Result<bool> {
    let mut any = false;
    for leaf in storage::leaves(job.relation)? {
        if ledger::covered(job.job, leaf.relation, None)? {
            continue;
        }
        if !leaf.heap {
            return Err(unsupported(&leaf));
        }
        if let Some(heap) = storage::heap(job.relation, leaf.relation)? {
            insert_pieces(job.job, leaf.relation, &heap)?;
            any = true;
        }
    }
    Ok(any)
}

pub fn unsupported(leaf: &storage::Leaf) -> Fault {
    Fault::new(
        state::FEATURE_NOT_SUPPORTED,
        format!("{} cannot be backfilled: it is {}", leaf.name, leaf.what),
    )
    .hint("Only tables stored as heaps are done in batches; fill it with an UPDATE of its own.")
}

fn next_pass(job: &Job, rows: i64, found: i64) -> Result<()> {
    let many = job.pass == 2 && rows > MANY_ROWS && rows > job.previous_rows / 10 * 9;
    if many || job.pass >= MOST_PASSES {
        return Err(Fault::wrong_state(format!(
            "the backfill of {} does not come to an end",
            job.relation_name
        ))
        .detail(format!(
            "Pass {} updated {rows} rows, the one before {}, and {found}{} are still to be done: either sessions \
             keep writing rows without filling them, or the expression gives another value each time.",
            job.pass,
            job.previous_rows,
            if found >= 1000 { " or more" } else { "" },
        ))
        .hint(format!(
            "Have the application fill the column itself, or keep it in step with SELECT \
             migrate.sync_column_trigger(…); then SELECT migrate.resume({});",
            job.job
        )));
    }
    begin_pass(job, pass_after(job.pass + 1))
}

/// One look at the whole table, in one snapshot and without any lock but ACCESS SHARE.
fn verify(job: &Job, table: &Table, range: &Range) -> Result<Look> {
    let begun = Instant::now();
    let Some(found) = patiently(job, || fill::verify(job, table))? else {
        return Ok(Look::Idle);
    };
    ledger::move_range(
        job.job,
        range.range,
        &Moved {
            next_block: 1,
            skipped: Vec::new(),
            chunk_blocks: 1,
            rows: 0,
            took: begun.elapsed(),
            retries: 0,
            rest: None,
            found: Some(found),
            done: true,
        },
    )?;
    Ok(Look::Worked(0))
}
