//! Starting dynamic background workers and waiting for them without a snapshot.

use crate::fault::{Fault, Result, state};
use crate::pg::wait;
use pgrx::bgworkers::{BackgroundWorkerBuilder, BackgroundWorkerStatus, DynamicBackgroundWorker};
use pgrx::pg_sys;
use std::time::Duration;

/// A worker that was asked for. Dropped on the way out of an error it is told to stop.
pub struct Handle {
    worker: Option<DynamicBackgroundWorker>,
}

/// Starts `pg_migrate_worker_main` for `request` in this database, logged in as `login`, working
/// as `owner`. `None`: no worker slot is free.
pub fn launch(request: i64, login: u32, owner: u32) -> Result<Handle> {
    // SAFETY: reads backend-local state.
    let (database, pid) = unsafe { (pg_sys::MyDatabaseId.to_u32(), pg_sys::MyProcPid) };
    let extra = format!("{database}:{login}:{owner}:{request}");
    let started = BackgroundWorkerBuilder::new("pg_migrate worker")
        .set_type("pg_migrate worker")
        .set_library("pg_migrate")
        .set_function("pg_migrate_worker_main")
        .set_extra(&extra)
        .set_notify_pid(pid)
        .enable_spi_access()
        .load_dynamic();
    match started {
        Ok(worker) => Ok(Handle { worker: Some(worker) }),
        Err(_) => Err(Fault::new(
            state::INSUFFICIENT_RESOURCES,
            "no background worker slot is free",
        )
        .detail("CREATE INDEX CONCURRENTLY and its kin must run at top level, in a worker.")
        .hint(
            "Raise max_worker_processes (needs a restart) or wait for a slot and CALL migrate.upgrade() again; \
             or run the statement by hand: SELECT * FROM migrate.plan_sql('<revision>').",
        )),
    }
}

impl Handle {
    /// Whether it has ended (or was never started).
    pub fn ended(&self) -> bool {
        match &self.worker {
            None => true,
            Some(worker) => !matches!(
                worker.pid(),
                Ok(_) | Err(BackgroundWorkerStatus::NotYetStarted)
            ),
        }
    }

    /// Waits for the end, obeying a cancel (which stops the worker too). The caller must hold no
    /// snapshot: commit first.
    pub fn wait(&mut self) {
        let mut pause = 5;
        while !self.ended() {
            wait::sleep(Duration::from_millis(pause));
            pause = (pause * 2).min(100);
        }
        self.worker = None;
    }

    /// Lets it run on its own.
    pub fn detach(mut self) {
        self.worker = None;
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            let _ = worker.terminate();
        }
    }
}
