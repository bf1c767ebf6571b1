//! Tables whose access method knows no ranges of blocks are walked in the order of a unique key.
//!
//! The cursor is the key of the last row that was looked at. Rows that others have locked are not
//! remembered one by one: the look at the whole table at the end finds them, and another pass does.

use super::feedback::Feedback;
use super::fill::Filler;
use super::passes::unsupported;
use super::storage::{self, KeyColumn, Table};
use super::throttle;
use super::work::{Company, Look, TABLE_WAIT, patiently, within};
use crate::fault::Result;
use crate::ledger::{self, Job, Moved, Range, Window};
use crate::pg::spi;
use crate::pg::{transaction, usage, wait};
use serde::Deserialize;
use std::time::Instant;

/// Rows that count as a block: progress and the steering of batches are in blocks.
pub const ROWS_A_BLOCK: i64 = 50;

/// As much of the range as the target time allows.
pub fn scan(job: &Job, table: &Table, range: &Range, company: Company) -> Result<Look> {
    let lock = patiently(job, TABLE_WAIT, || {
        Ok(transaction::lock_for_update(range.relation))
    })?;
    let Some(there) = lock else {
        return Ok(Look::Idle);
    };
    let begun = Instant::now();
    let mut feedback = Feedback::new(job.target(), range.chunk_blocks);
    let heap = match there {
        true => storage::heap(job.relation, range.relation)?,
        false => None,
    };
    let Some(heap) = heap else {
        // Dropped or detached: no longer ours.
        ledger::set_stale(job.job, range.relation, 0, range.range)?;
        return Ok(Look::Again);
    };
    let Some(key) = storage::unique_key(range.relation)? else {
        let leaves = storage::leaves(job.relation)?;
        let leaf = leaves.iter().find(|leaf| leaf.relation == range.relation);
        return match leaf {
            Some(leaf) => Err(unsupported(leaf)),
            None => Ok(Look::Again),
        };
    };
    let wal = usage::wal_bytes();
    let mut filler = Filler::new(job, table, range.relation, &heap);
    let mut after = range.after.clone();
    let mut at = range.next_block;
    let mut done = false;
    let mut first = true;
    while first || !feedback.enough(begun.elapsed()) && !throttle::yields(company)? {
        wait::check_interrupts();
        first = false;
        let now = Instant::now();
        let from = beyond(&table.alias, &key, after.as_deref(), ">");
        let most = feedback.chunk * ROWS_A_BLOCK;
        let Some(last) = within(job, || last_of(&heap.name, &table.alias, &key, &from, most))?
        else {
            done = true;
            break;
        };
        let to = beyond(&table.alias, &key, Some(&last), "<=");
        filler.all(&format!("{from} AND {to}"))?;
        after = Some(last);
        at = (at + feedback.chunk).min(range.end_block - 1);
        feedback.measured(feedback.chunk, now.elapsed());
    }
    ledger::keep_key(job.job, range.range, after.as_deref())?;
    #[allow(clippy::cast_possible_wrap)]
    let wal = (usage::wal_bytes() - wal) as i64;
    ledger::move_range(
        job.job,
        range.range,
        &Moved {
            next_block: if done { range.end_block } else { at },
            skipped: Vec::new(),
            chunk_blocks: feedback.chunk,
            window: Window::default(),
            rows: filler.rows,
            hot: 0,
            wal,
            stripes: None,
            took: begun.elapsed(),
            retries: 0,
            rest: None,
            found: None,
            done,
        },
    )?;
    Ok(Look::Worked(filler.rows))
}

/// The rows beyond (`>`) a key, or up to it (`<=`); all of them without one.
fn beyond(alias: &str, key: &[KeyColumn], values: Option<&[String]>, operator: &str) -> String {
    let Some(values) = values else {
        return "true".to_owned();
    };
    let columns: Vec<String> = key
        .iter()
        .map(|column| format!("{alias}.{}", column.quoted))
        .collect();
    let values: Vec<String> = key
        .iter()
        .zip(values)
        .map(|(column, value)| format!("{}::{}", spi::literal(value), column.data_type))
        .collect();
    format!(
        "ROW({}) OPERATOR(pg_catalog.{operator}) ROW({})",
        columns.join(", "),
        values.join(", ")
    )
}

/// The key of the last of the next `most` rows; `None`: there are no more.
fn last_of(
    name: &str,
    alias: &str,
    key: &[KeyColumn],
    from: &str,
    most: i64,
) -> Result<Option<Vec<String>>> {
    #[derive(Deserialize)]
    struct Key {
        key: Vec<String>,
    }
    let list = |what: &dyn Fn(&KeyColumn) -> String| -> String {
        key.iter().map(what).collect::<Vec<_>>().join(", ")
    };
    let columns = list(&|column| format!("{alias}.{}", column.quoted));
    let texts = list(&|column| format!("q.{}::pg_catalog.text", column.quoted));
    let backwards = list(&|column| format!("q.{} DESC", column.quoted));
    let rows: Vec<Key> = spi::write(
        &format!(
            "SELECT ARRAY[{texts}] AS key FROM (SELECT {columns} FROM ONLY {name} AS {alias} WHERE {from} \
             ORDER BY {columns} LIMIT {most}) q ORDER BY {backwards} LIMIT 1"
        ),
        &[],
    )?;
    Ok(rows.into_iter().next().map(|row| row.key))
}
