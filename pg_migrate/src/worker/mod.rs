//! The background worker: runs one statement at top level, or drives the queue. It may start
//! engine work; it knows no operations and no columns.

use crate::fault::{Fault, Result};
use crate::ledger;
use crate::pg::background::{self, Order, Task};
use crate::pg::spi::{self, Arg, ident};
use crate::pg::torture::{self, Point};
use crate::pg::{error, identity, portal, utility, wait};
use pgrx::pg_sys;
use pgrx::prelude::*;
use serde::Deserialize;
use std::time::Duration;

/// Where a worker begins; named in `pg::background`.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn pg_migrate_worker_main(_arg: pg_sys::Datum) {
    let Some(order) = background::report_for_duty() else {
        return;
    };
    let own = utility::own();
    let outcome = work(&order);
    drop(own);
    if let Err(fault) = outcome {
        error::warning(fault);
    }
}

fn work(order: &Order) -> Result<()> {
    portal::transaction(|| {
        if identity::current() != order.owner {
            spi::run(
                &format!("SET ROLE {}", ident(&identity::role_name(order.owner))),
                &[],
            )?;
        }
        for setting in [
            "lock_timeout",
            "statement_timeout",
            "idle_in_transaction_session_timeout",
        ] {
            // A long build is not a statement that has gone wrong, and a lock timeout would leave
            // an invalid index behind.
            set(setting, "0")?;
        }
        set("application_name", "pg_migrate worker")
    })?;
    match &order.task {
        Task::Statement(request) => statement(*request),
        Task::Drive { after } => drive(order, after),
    }
}

fn set(setting: &str, value: &str) -> Result<()> {
    spi::run(
        "SELECT pg_catalog.set_config($1, $2, false)",
        &[Arg::Text(setting), Arg::Text(value)],
    )
    .map(drop)
}

fn statement(request: i64) -> Result<()> {
    let row = portal::transaction(|| {
        let row = ledger::worker(request)?
            .ok_or_else(|| Fault::internal(format!("worker request {request} does not exist")))?;
        set("search_path", &row.search_path)?;
        ledger::start_worker(request)?;
        Ok(row)
    })?;
    let outcome = portal::top_level(row.sql.as_deref().unwrap_or_default());
    portal::transaction(|| ledger::finish_worker(request, outcome.as_ref().err()))
}

/// Whether the transaction that asked for the driver is still open.
fn still_open(transaction: &str) -> Result<bool> {
    #[derive(Deserialize)]
    struct Open {
        open: bool,
    }
    let row: Option<Open> = spi::first(
        "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_locks \
                        WHERE locktype = 'virtualxid' AND virtualxid = $1 AND granted) AS open",
        &[Arg::Text(transaction)],
    )?;
    Ok(row.is_some_and(|row| row.open))
}

fn drive(order: &Order, after: &str) -> Result<()> {
    while portal::transaction(|| still_open(after))? {
        wait::sleep(Duration::from_millis(50));
    }
    let worker = portal::transaction(|| {
        torture::at(Point::WorkerBegin);
        ledger::insert_driver(order.owner, order.login)
    })?;
    let outcome = portal::top_level("CALL migrate.work()");
    portal::transaction(|| ledger::finish_worker(worker, outcome.as_ref().err()))
}
