//! Who drives the queue when no session does: background workers and pg_cron; who may use it.

use super::function;
use crate::engine;
use crate::fault::Fault;
use pgrx::prelude::*;

/// Starts background workers that drive what is queued and end when nothing is left. They begin
/// when the calling transaction has ended. Needs no `shared_preload_libraries`. Gives their number.
#[pg_extern(schema = "migrate")]
fn start_worker(workers: default!(i32, "1")) -> i32 {
    function(|| {
        if !(1..=64).contains(&workers) {
            return Err(Fault::invalid("workers must be between 1 and 64"));
        }
        for _ in 0..workers {
            engine::launch_driver()?;
        }
        Ok(workers)
    })
}

/// Stops the background workers that drive the queue; what they were at is resumed by the next
/// driver. Gives how many were told to stop.
#[pg_extern(schema = "migrate")]
fn stop_worker() -> i64 {
    function(engine::stop_drivers)
}

/// Has pg_cron drive everything queued; gives the name of its job. `schedule`: cron's five fields,
/// or `N seconds` where pg_cron knows that.
#[pg_extern(schema = "migrate")]
fn schedule(schedule: default!(&str, "'* * * * *'"), max_seconds: default!(i32, "55")) -> String {
    function(|| engine::schedule(schedule, max_seconds))
}

/// Removes the pg_cron job made by `migrate.schedule`; false: there was none.
#[pg_extern(schema = "migrate")]
fn unschedule() -> bool {
    function(engine::unschedule)
}

/// Lets a role use the extension: migrate tables that it owns, read the views. Its SQL runs with
/// its own rights.
#[pg_extern(schema = "migrate")]
fn grant_to(role: &str) {
    function(|| engine::grant_to(role));
}
