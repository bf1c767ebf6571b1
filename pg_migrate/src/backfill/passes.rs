//! Between the batches: passes begin, pieces are made and made anew, the table is verified, and the
//! job ends.

use super::feedback::{FIRST_CHUNK, MOST_PASSES, pass_after};
use super::keys;
use super::storage::{self, Table};
use super::verify;
use super::work::{Look, TABLE_WAIT, event, patiently};
use crate::fault::{Fault, Result, state};
use crate::ledger::{self, Job, Moved, Range, Window};
use crate::pg::spi;
use crate::pg::torture::{self, Mutant, Point};
use std::time::{Duration, Instant};

/// A leaf is split into at most so many pieces, so that as many callers can work on it at once.
const PIECES: i64 = 8;
/// Smaller pieces (32 MB) are not worth their row in the ledger, nor their visits a transaction each.
const SMALLEST_PIECE: i64 = 4096;
/// When pass 2 finds as good as every row again that pass 1 has filled, and they are more than this,
/// it is not the writers' doing.
const MANY_ROWS: i64 = 1000;

/// VACUUM FULL, CLUSTER, TRUNCATE or another rewrite has moved every row: the leaf begins again.
pub fn replaced(job: &Job, range: &Range, heap: &storage::Heap) -> Result<Look> {
    let Some(job) = ledger::lock_job(job.job)? else {
        return Ok(Look::Idle);
    };
    ledger::set_stale(job.job, range.relation, heap.filenode, range.range)?;
    if !ledger::covered(job.job, range.relation, Some(heap.filenode))? {
        // Its rows are not where they were.
        ledger::clear_quarantine(job.job, Some(range.relation))?;
        insert_pieces(job.job, range.relation, heap)?;
    }
    torture::at(Point::Replaced);
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
pub fn settle(job: &Job) -> Result<Look> {
    torture::at(Point::Settle);
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
    let now = sync_triggers(&job)?;
    let synced = fills_nulls(&job) && job.sync_trigger.is_some();
    if synced && now.is_some() && now != job.sync_trigger {
        // The trigger was off for a while, or made again: rows may have been written past it
        // anywhere. Only a pass tells them from nulls on purpose.
        begin_pass(&job, Duration::ZERO)?;
        return Ok(Look::Again);
    }
    let kept_in_sync = !standing.by_key && synced && job.sync_trigger == now;
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
            torture::at(Point::JobDone);
            ledger::set_job_state(job.job, "done", None)?;
            match ledger::quarantined(job.job)? {
                0 => event(&job, "backfill done", None)?,
                some => event(
                    &job,
                    &format!("backfill done with {some} quarantined"),
                    None,
                )?,
            }
            Ok(Look::Worked(0))
        }
    }
}

/// Whether the rows to be done are those with a null: the sync trigger fills one that a writer
/// touches, but leaves a value that is there, which may have moved beyond the end of the scan.
fn fills_nulls(job: &Job) -> bool {
    let condition = job.condition.trim_start_matches(['(', ' ', '\n']);
    job.assignments
        .keys()
        .any(|column| condition.starts_with(&format!("{} IS NULL", spi::ident(column))))
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
    ledger::clear_quarantine(job.job, None)?;
    torture::at(Point::PassBegin);
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
        if !leaf.heap && !leaf.keyed {
            return Err(unsupported(&leaf));
        }
        if let Some(heap) = storage::heap(job.relation, leaf.relation)?
            && leaf.keyed
        {
            let blocks = (leaf.rows / keys::ROWS_A_BLOCK).max(1);
            ledger::insert_ranges(
                job.job,
                "keys",
                leaf.relation,
                heap.filenode,
                blocks,
                blocks,
                FIRST_CHUNK,
            )?;
            any = true;
        } else if let Some(mut heap) = storage::heap(job.relation, leaf.relation)? {
            if torture::mistaken(Mutant::EarlyEnd) {
                heap.blocks = torture::noted_end(leaf.relation).unwrap_or(heap.blocks);
            }
            torture::at(Point::PassSurvey);
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
    .hint(
        "Only tables stored as heaps, or with a unique key of columns that are not null, are done in batches; \
         fill it with an UPDATE of its own.",
    )
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
pub fn verify(job: &Job, table: &Table, range: &Range) -> Result<Look> {
    let begun = Instant::now();
    torture::at(Point::Verify);
    let Some(found) = patiently(job, TABLE_WAIT, || verify::count(job, table))? else {
        return Ok(Look::Idle);
    };
    ledger::move_range(
        job.job,
        range.range,
        &Moved {
            next_block: 1,
            skipped: Vec::new(),
            chunk_blocks: 1,
            window: Window::default(),
            rows: 0,
            hot: 0,
            wal: 0,
            stripes: None,
            took: begun.elapsed(),
            retries: 0,
            rest: None,
            found: Some(found),
            done: true,
        },
    )?;
    Ok(Look::Worked(0))
}
