//! `migrate.worker`: what background workers are asked to do, and what came of it.

use super::owned;
use crate::fault::{Fault, Result};
use crate::pg::spi::{self, Arg};
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
pub struct WorkerRow {
    pub worker: i64,
    pub sql: Option<String>,
    pub search_path: String,
    pub state: String,
    pub pid: Option<i32>,
    pub error: Option<Fault>,
}

const COLUMNS: &str = "worker, sql, search_path, state, pid, error";

/// Files a request; the worker that is started for it reads it by the number given back.
pub fn insert_worker(
    kind: &str,
    sql: Option<&str>,
    owner: u32,
    login: u32,
    search_path: &str,
) -> Result<i64> {
    let rows: Vec<WorkerRow> = owned(|| {
        spi::write(
            &format!(
                "INSERT INTO migrate.worker (kind, sql, owner, login, search_path) VALUES ($1, $2, $3, $4, $5) RETURNING {COLUMNS}"
            ),
            &[
                Arg::Text(kind),
                Arg::OptText(sql),
                Arg::Oid(owner),
                Arg::Oid(login),
                Arg::Text(search_path),
            ],
        )
    })?;
    rows.first()
        .map(|row| row.worker)
        .ok_or_else(|| Fault::internal("no worker row was made"))
}

/// Signs in a driver: the worker that calls this.
pub fn insert_driver(owner: u32, login: u32) -> Result<i64> {
    let worker = insert_worker("driver", None, owner, login, "")?;
    start_worker(worker)?;
    Ok(worker)
}

pub fn worker(worker: i64) -> Result<Option<WorkerRow>> {
    owned(|| {
        spi::first(
            &format!("SELECT {COLUMNS} FROM migrate.worker WHERE worker = $1"),
            &[Arg::Int(worker)],
        )
    })
}

pub fn start_worker(worker: i64) -> Result<()> {
    owned(|| {
        spi::run(
            "UPDATE migrate.worker SET state = 'running', pid = pg_catalog.pg_backend_pid() WHERE worker = $1",
            &[Arg::Int(worker)],
        )
        .map(drop)
    })
}

pub fn finish_worker(worker: i64, error: Option<&Fault>) -> Result<()> {
    let json = error.and_then(|fault| serde_json::to_value(fault).ok());
    owned(|| {
        spi::run(
            "UPDATE migrate.worker SET state = CASE WHEN $2 IS NULL THEN 'done' ELSE 'failed' END, \
                    error = $2, finished_at = pg_catalog.clock_timestamp() WHERE worker = $1",
            &[Arg::Int(worker), Arg::OptJson(json.as_ref())],
        )
        .map(drop)
    })
}

/// Drivers that run now, by their backend.
pub fn live_drivers() -> Result<Vec<WorkerRow>> {
    owned(|| {
        spi::select(
            &format!(
                "SELECT {COLUMNS} FROM migrate.worker w WHERE kind = 'driver' AND state IN ('starting', 'running') \
                 AND EXISTS (SELECT 1 FROM pg_catalog.pg_stat_activity a WHERE a.pid = w.pid AND a.backend_type = 'pg_migrate worker')"
            ),
            &[],
        )
    })
}
