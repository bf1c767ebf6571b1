//! Says how far a job is to those who do not ask: in `pg_stat_activity` behind the statement that
//! drives it, and to those who LISTEN.

use crate::fault::Result;
use crate::ledger;
use crate::pg::usage;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// A session says something of its job so often, and when the job has come to its end.
const EVERY: Duration = Duration::from_secs(1);

thread_local! {
    static SAID: Cell<Option<(i64, Instant)>> = const { Cell::new(None) };
}

/// Called after each batch. What is said to listeners reaches them when the batch is committed.
pub fn progress(job: i64, over: bool) -> Result<()> {
    let now = Instant::now();
    let lately = SAID
        .get()
        .is_some_and(|(of, then)| of == job && now - then < EVERY);
    if lately && !over {
        return Ok(());
    }
    SAID.set(Some((job, now)));
    if let Some(line) = ledger::notify_progress(job)? {
        usage::show_activity(&line);
    }
    Ok(())
}
