//! One look at the whole table: what is still to be done.

use super::condition::tid_array;
use super::fill::is_about_a_row;
use super::storage::Table;
use super::work;
use crate::fault::Result;
use crate::ledger::{self, Job};
use crate::pg::{spi, subtransaction};
use serde::Deserialize;

/// Counts the rows still to be done in the whole table, up to a limit, in one snapshot: rows that
/// move while a pass runs cannot slip through this. Quarantined rows are not counted.
/// An expression that fails for some row counts as one row to be done.
pub fn count(job: &Job, table: &Table) -> Result<i64> {
    #[derive(Deserialize)]
    struct Count {
        count: i64,
    }
    let alias = &table.alias;
    let (relations, tids): (Vec<_>, Vec<_>) = ledger::quarantine_of(job.job)?
        .into_iter()
        .map(|row| (row.relation, row.tid))
        .unzip();
    let condition = if tids.is_empty() {
        job.condition.clone()
    } else {
        let relations: Vec<String> = relations.iter().map(u32::to_string).collect();
        // CASE: the condition may fail for exactly these rows and must not be tried on them.
        format!(
            "CASE WHEN ({alias}.tableoid, {alias}.ctid) IN (SELECT q.r, q.t FROM ROWS FROM ( \
             pg_catalog.unnest('{{{}}}'::pg_catalog.oid[]), pg_catalog.unnest({})) AS q(r, t)) \
             THEN false ELSE {} END",
            relations.join(","),
            tid_array(&tids),
            job.condition
        )
    };
    let counted: Result<Vec<Count>> = subtransaction::attempt(|| {
        work::within(job, || {
            spi::write(
                &format!(
                    "SELECT pg_catalog.count(*) AS count FROM (SELECT 1 FROM {} AS {alias} WHERE {condition} LIMIT 1000) q",
                    table.name
                ),
                &[],
            )
        })
    });
    match counted {
        Ok(rows) => Ok(rows.first().map_or(0, |row| row.count)),
        Err(fault) if is_about_a_row(&fault) => Ok(1),
        Err(fault) => Err(fault),
    }
}
