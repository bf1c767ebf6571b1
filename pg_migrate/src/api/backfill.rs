//! `migrate.backfill` and its kin.

use crate::backfill::{self, Batch, Spec, TableRef};
use crate::engine;
use crate::fault::{Fault, Result};
use crate::ledger::{self, Copying};
use crate::pg::background::Handle;
use crate::pg::error::{self, or_raise};
use crate::pg::page;
use crate::pg::procedure::NonAtomic;
use crate::pg::torture::{self, Point};
use crate::pg::wait::{self, Patience};
use pgrx::iter::TableIterator;
use pgrx::{JsonB, name, pg_extern, pg_sys};
use serde_json::{Map, Value};

/// Jobs live with their tables: a standby can only be read.
fn on_primary<T>(body: impl FnOnce() -> Result<T>) -> T {
    or_raise(engine::refuse_on_standby().and_then(|()| body()))
}

fn define(
    table: pg_sys::Oid,
    set: Map<String, Value>,
    predicate: Option<&str>,
    target_ms: i32,
    stripes: i32,
    locks_first: bool,
    synchronous: bool,
) -> Result<i64> {
    crate::engine::refuse_on_standby()?;
    backfill::define(&Spec {
        table: TableRef::Oid(table.to_u32()),
        set,
        predicate: predicate.map(str::to_owned),
        target_ms,
        stripes,
        copy: None,
        locks_first,
        synchronous,
        step: None,
    })
}

/// Defines a backfill job and gives its number; batches run it. `target_ms`: how long a batch holds its
/// rows; `stripes`: visits of a window of blocks, 0: as costs tell; `synchronous`: each batch is on disk
/// before the next begins.
#[pg_extern(sql = r#"
CREATE FUNCTION migrate.backfill("table" regclass, "set" jsonb, "where" text DEFAULT NULL, target_ms int DEFAULT 50, stripes int DEFAULT 0, locks_first boolean DEFAULT false, synchronous boolean DEFAULT false)
RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#, requires = ["tables"])]
fn backfill_jsonb(
    table: Option<pg_sys::Oid>,
    set: Option<JsonB>,
    predicate: Option<&str>,
    target_ms: Option<i32>,
    stripes: Option<i32>,
    locks_first: Option<bool>,
    synchronous: Option<bool>,
) -> i64 {
    on_primary(|| match (table, set) {
        (Some(table), Some(JsonB(Value::Object(set)))) => define(
            table,
            set,
            predicate,
            target_ms.unwrap_or(backfill::TARGET_MS),
            stripes.unwrap_or_default(),
            locks_first.unwrap_or_default(),
            synchronous.unwrap_or_default(),
        ),
        (Some(_), Some(_)) => Err(Fault::invalid("the assignments are not a JSON object")
            .hint("{\"column\": \"expression\"}")),
        _ => Err(no_null()),
    })
}

/// The same with the assignments as text: a JSON object or an UPDATE's SET list.
#[pg_extern(sql = r#"
CREATE FUNCTION migrate.backfill("table" regclass, "set" text, "where" text DEFAULT NULL, target_ms int DEFAULT 50, stripes int DEFAULT 0, locks_first boolean DEFAULT false, synchronous boolean DEFAULT false)
RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#, requires = ["tables"])]
fn backfill_text(
    table: Option<pg_sys::Oid>,
    set: Option<&str>,
    predicate: Option<&str>,
    target_ms: Option<i32>,
    stripes: Option<i32>,
    locks_first: Option<bool>,
    synchronous: Option<bool>,
) -> i64 {
    on_primary(|| match (table, set) {
        (Some(table), Some(set)) => backfill::assignments(set).and_then(|set| {
            define(
                table,
                set,
                predicate,
                target_ms.unwrap_or(backfill::TARGET_MS),
                stripes.unwrap_or_default(),
                locks_first.unwrap_or_default(),
                synchronous.unwrap_or_default(),
            )
        }),
        _ => Err(no_null()),
    })
}

/// Defines a job that copies rows into another table, where they are not yet. `where`: the rows
/// still to be copied.
#[pg_extern(sql = r#"
CREATE FUNCTION migrate.backfill_copy("table" regclass, "into" regclass, columns text[], "where" text, target_ms int DEFAULT 50)
RETURNS bigint LANGUAGE c STRICT AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#, requires = ["tables"])]
fn backfill_copy(
    table: pg_sys::Oid,
    into: pg_sys::Oid,
    columns: Vec<String>,
    predicate: &str,
    target_ms: i32,
) -> i64 {
    on_primary(|| {
        backfill::define(&Spec {
            table: TableRef::Oid(table.to_u32()),
            set: Map::new(),
            predicate: Some(predicate.to_owned()),
            target_ms,
            stripes: 1,
            copy: Some(Copying {
                into: backfill::name_of(into.to_u32())?,
                columns,
            }),
            locks_first: true,
            synchronous: false,
            step: None,
        })
    })
}

fn no_null() -> Fault {
    Fault::invalid("the table and the assignments must not be null")
}

/// Asked by a backfill's UPDATE of each row: whether it is one of this visit of its page. True
/// outside a backfill.
#[pg_extern(sql = r#"
CREATE FUNCTION migrate.backfill_room(place tid) RETURNS boolean
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE COST 100 AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#, requires = ["tables"])]
fn backfill_room(row: pg_sys::ItemPointerData) -> bool {
    torture::at(Point::FillRow);
    let (block, line) = page::place(row);
    backfill::fits(block, line)
}

type Row = (i64, i64, i64, i64, bool);

fn row(batch: Batch) -> Row {
    (
        batch.job,
        batch.rows_updated,
        batch.blocks_done,
        batch.blocks_total,
        batch.done,
    )
}

/// Runs exactly one batch of a job, or of whichever has work; no row when there is none.
#[pg_extern(schema = "migrate", requires = ["tables"])]
fn backfill_batch(
    job: pgrx::default!(Option<i64>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(job, i64),
        name!(rows_updated, i64),
        name!(blocks_done, i64),
        name!(blocks_total, i64),
        name!(done, bool),
    ),
> {
    let batch = on_primary(|| match job {
        Some(job) => backfill::tolerant_batch(job),
        None => backfill::any_batch(),
    });
    TableIterator::new(batch.map(row))
}

/// Sets a limit of what holds backfills back, for one job or for all; null turns it off. Obeyed by
/// the next batch.
#[pg_extern(sql = r#"
CREATE FUNCTION migrate.set_throttle(throttle text, "limit" text, job bigint DEFAULT NULL)
RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#, requires = ["tables"])]
fn set_throttle(name: Option<&str>, limit: Option<&str>, job: Option<i64>) {
    on_primary(|| match name {
        Some(name) => backfill::set_throttle(name, limit, job),
        None => Err(Fault::invalid("the throttle must not be null")
            .hint("SELECT migrate.set_throttle('replica_lag', '10s');")),
    });
}

/// Stops a job until it is resumed; the batch that runs now is the last.
#[pg_extern(schema = "migrate", requires = ["tables"])]
fn pause(job: i64) {
    on_primary(|| backfill::pause(job));
}

/// Goes on with a job that was paused, or begins one again that has failed, was cancelled or has
/// left rows out.
#[pg_extern(schema = "migrate", requires = ["tables"])]
fn resume(job: i64) {
    on_primary(|| backfill::resume(job));
}

/// Ends a job for good; the rows it has filled stay so.
#[pg_extern(schema = "migrate", requires = ["tables"])]
fn cancel(job: i64) {
    on_primary(|| backfill::cancel(job));
}

/// Tries the rows again that a job could not fill, once they or the expression's functions have been
/// corrected. Gives how many are filled now and how many stay.
#[pg_extern(schema = "migrate", requires = ["tables"])]
fn retry_quarantined(
    job: i64,
) -> TableIterator<'static, (name!(filled, i64), name!(quarantined, i64))> {
    TableIterator::once(on_primary(|| backfill::retry_quarantined(job)))
}

/// Runs batches of a job until it is done, committing each; with several workers, all but one are
/// background workers.
#[pg_extern(sql = r#"
CREATE PROCEDURE migrate.run_backfill(job bigint, workers int DEFAULT 1) LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#, requires = ["tables"])]
fn run_backfill(job: Option<i64>, workers: Option<i32>, fcinfo: pg_sys::FunctionCallInfo) {
    on_primary(|| run(job, workers.unwrap_or(1), fcinfo));
}

fn run(job: Option<i64>, workers: i32, fcinfo: pg_sys::FunctionCallInfo) -> Result<()> {
    let mut transactions = NonAtomic::connect(fcinfo)?;
    let job = job.ok_or_else(|| {
        Fault::invalid("the job must not be null").hint("SELECT * FROM migrate.progress;")
    })?;
    if !(1..=64).contains(&workers) {
        return Err(Fault::invalid("workers must be between 1 and 64"));
    }
    let mut helpers = engine::help_with(job, workers - 1, &mut || transactions.commit())?;
    let mut patience = Patience::default();
    loop {
        wait::check_interrupts();
        let batch = backfill::batch(job);
        // Also after an error: that the job has failed is to be kept.
        transactions.commit();
        let batch = batch?;
        if batch.done {
            // They find it done.
            helpers.iter_mut().for_each(Handle::wait);
            if batch.quarantined > 0
                && let Some(fault) = ledger::unfilled(&ledger::job(job)?)?
            {
                error::warning(fault);
            }
            return Ok(());
        }
        match batch.idle {
            true => patience.wait(),
            false => patience.begin_anew(),
        }
    }
}
