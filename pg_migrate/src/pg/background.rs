//! Starting dynamic background workers and waiting for them without a snapshot.

use crate::fault::{Fault, Result, state};
use crate::pg::wait;
use pgrx::bgworkers::{
    BackgroundWorker, BackgroundWorkerBuilder, BackgroundWorkerStatus, DynamicBackgroundWorker,
};
use pgrx::pg_sys;
use std::time::Duration;

/// A worker that was asked for. Dropped on the way out of an error it is told to stop.
pub struct Handle {
    worker: Option<DynamicBackgroundWorker>,
}

/// What a worker is told when it is started.
#[derive(Debug, PartialEq, Eq)]
pub struct Order {
    pub database: u32,
    /// Role it logs in as, and role it works as.
    pub login: u32,
    pub owner: u32,
    pub task: Task,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Task {
    /// The statement filed under this number.
    Statement(i64),
    /// Everything queued, once this virtual transaction has ended.
    Drive { after: String },
}

impl Order {
    /// At most 128 bytes, the room a worker's extra data has.
    fn encode(&self) -> String {
        let task = match &self.task {
            Task::Statement(request) => format!("s{request}"),
            Task::Drive { after } => format!("d{after}"),
        };
        format!("{}:{}:{}:{task}", self.database, self.login, self.owner)
    }

    fn decode(text: &str) -> Option<Order> {
        let mut parts = text.splitn(4, ':');
        let mut number = || parts.next()?.parse().ok();
        let (database, login, owner) = (number()?, number()?, number()?);
        let task = parts.next()?;
        let task = match task.split_at_checked(1)? {
            ("s", request) => Task::Statement(request.parse().ok()?),
            ("d", after) => Task::Drive {
                after: after.to_owned(),
            },
            _ => return None,
        };
        Some(Order {
            database,
            login,
            owner,
            task,
        })
    }
}

/// Has a worker run the statement filed under `request`, logged in as `login`, working as `owner`.
/// Errors when no worker slot is free.
pub fn launch(request: i64, login: u32, owner: u32) -> Result<Handle> {
    start(login, owner, Task::Statement(request))
}

/// Has a worker drive the queue once the virtual transaction `after` has ended.
pub fn launch_driver(after: &str, login: u32, owner: u32) -> Result<Handle> {
    start(
        login,
        owner,
        Task::Drive {
            after: after.to_owned(),
        },
    )
}

fn start(login: u32, owner: u32, task: Task) -> Result<Handle> {
    // SAFETY: reads backend-local state.
    let (database, pid) = unsafe { (pg_sys::MyDatabaseId.to_u32(), pg_sys::MyProcPid) };
    let extra = Order {
        database,
        login,
        owner,
        task,
    }
    .encode();
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
        .detail("What cannot run inside a transaction, such as CREATE INDEX CONCURRENTLY, needs a worker. The step stays queued.")
        .hint(
            "Raise max_worker_processes (needs a restart) or wait for a slot and CALL migrate.upgrade() again; \
             or run the statements by hand: SELECT * FROM migrate.plan_sql('<revision>') \\gexec",
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

/// In a new worker: takes its order, lets signals in and connects.
pub fn report_for_duty() -> Option<Order> {
    let order = Order::decode(BackgroundWorker::get_extra())?;
    // SAFETY: once, at the start of the worker's main function. `die` makes a termination request
    // an error at the next safe point; SIGINT stays PostgreSQL's own cancel handler.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(pg_sys::SIGTERM as i32, Some(on_terminate));
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(pg_sys::SIGTERM as i32, Some(on_terminate));
        pg_sys::BackgroundWorkerUnblockSignals();
        pg_sys::BackgroundWorkerInitializeConnectionByOid(
            pg_sys::Oid::from(order.database),
            pg_sys::Oid::from(order.login),
            0,
        );
    }
    Some(order)
}

unsafe extern "C-unwind" fn on_terminate(signal: i32) {
    // SAFETY: PostgreSQL's own handler, made to be called from a signal handler.
    unsafe { pg_sys::die(signal) };
}

#[cfg(test)]
mod tests {
    use super::{Order, Task};

    #[test]
    fn an_order_survives_the_way_to_the_worker() {
        for task in [
            Task::Statement(i64::MAX),
            Task::Drive {
                after: "117/4294967295".into(),
            },
        ] {
            let order = Order {
                database: u32::MAX,
                login: u32::MAX,
                owner: u32::MAX,
                task,
            };
            let text = order.encode();
            assert!(text.len() < 128);
            assert_eq!(Order::decode(&text), Some(order));
        }
        assert_eq!(Order::decode("1:2:3"), None);
        assert_eq!(Order::decode(""), None);
    }
}
