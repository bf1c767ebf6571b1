//! Another try at the rows that a job could not fill.

use super::condition::rows;
use super::fill::{Filler, is_about_a_row, is_conflict};
use super::storage::{self, Table};
use super::verify;
use super::work::{TABLE_WAIT, patiently, within};
use crate::fault::{Fault, Result, state};
use crate::ledger::{self, Event, Job, Quarantined};
use crate::pg::spi::{self, Arg};
use crate::pg::{subtransaction, transaction};
use serde::Deserialize;

/// Tries each quarantined row of the job again: a row that is filled now, needs nothing any more or
/// is gone leaves the quarantine; the others stay, with the error of this time. Where a row is gone that
/// may have got another key and nothing else is to be found, the job begins again. Gives the rows
/// filled and those that stay.
/// Errors: as for a batch.
pub fn quarantined(job: i64) -> Result<(i64, i64)> {
    let job = ledger::job(job)?;
    super::work::may_drive(&job)?;
    let table = storage::table(job.relation)?.ok_or_else(|| {
        Fault::new(
            state::UNDEFINED_TABLE,
            format!("table {} does not exist any more", job.relation_name),
        )
    })?;
    let (mut filled, mut lost) = (0, false);
    for row in ledger::quarantine_of(job.job)? {
        match patiently(&job, TABLE_WAIT, || one(&job, &table, &row))? {
            Some(Tried::Filled(rows)) => filled += rows,
            Some(Tried::Gone) => lost = true,
            Some(Tried::Stays) | None => {}
        }
    }
    let over = job.state == "done";
    if lost && over && verify::count(&job, &table)? > 0 {
        ledger::reopen_job(job.job)?;
    }
    let left = ledger::quarantined(job.job)?;
    ledger::event(&Event {
        revision: job.revision.as_deref(),
        what: "quarantined rows tried again",
        detail: Some(&format!(
            "job {} on {}: {filled} filled, {left} quarantined",
            job.job, job.relation_name
        )),
        ..Event::default()
    })?;
    Ok((filled, left))
}

#[derive(Deserialize)]
struct Place {
    relation: u32,
    tid: String,
}

/// Where the row is now: by its key, where it has one. Whoever corrected it has moved it.
fn place(job: &Job, table: &Table, row: &Quarantined) -> Result<Option<Place>> {
    let alias = &table.alias;
    let Some(key) = row.key.as_ref().and_then(|key| key.as_object()) else {
        return Ok(Some(Place {
            relation: row.relation,
            tid: row.tid.clone(),
        }));
    };
    let equal: Vec<String> = key
        .keys()
        .map(|column| {
            let column = spi::ident(column);
            format!(
                "{alias}.{column} OPERATOR(pg_catalog.=) (pg_catalog.jsonb_populate_record(NULL::{}, $1)).{column}",
                table.name
            )
        })
        .collect();
    let found: Vec<Place> = within(job, || {
        spi::write(
            &format!(
                "SELECT {alias}.tableoid::pg_catalog.int8 AS relation, {alias}.ctid::pg_catalog.text AS tid \
                 FROM {} AS {alias} WHERE {} LIMIT 1",
                table.name,
                equal.join(" AND ")
            ),
            &[Arg::OptJson(row.key.as_ref())],
        )
    })?;
    Ok(found.into_iter().next())
}

enum Tried {
    Filled(i64),
    /// Not where it was, nor anywhere else under its key.
    Gone,
    Stays,
}

fn one(job: &Job, table: &Table, row: &Quarantined) -> Result<Tried> {
    let forget = || ledger::release(job.job, row.relation, &row.tid);
    let Some(place) = place(job, table, row)? else {
        forget()?;
        return Ok(Tried::Gone);
    };
    let heap = match transaction::lock_for_update(place.relation) {
        true => storage::heap(job.relation, place.relation)?,
        false => None,
    };
    let Some(heap) = heap else {
        forget()?;
        return Ok(Tried::Gone);
    };
    let filler = Filler::new(job, table, place.relation, &heap);
    let this = rows(&table.alias, std::slice::from_ref(&place.tid));
    match subtransaction::attempt(|| filler.careful(&this)) {
        Ok(done) if done.skipped.is_empty() => {
            forget()?;
            Ok(match (done.rows, &row.key) {
                (0, None) => Tried::Gone,
                (rows, _) => Tried::Filled(rows),
            })
        }
        Ok(_) => Ok(Tried::Stays),
        Err(fault) if is_conflict(&fault) => Ok(Tried::Stays),
        Err(fault) if is_about_a_row(&fault) => {
            forget()?;
            filler.quarantine(&place.tid, &fault)?;
            Ok(Tried::Stays)
        }
        Err(fault) => Err(fault),
    }
}
