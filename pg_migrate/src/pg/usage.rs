//! What this backend has written, and what it says it is doing.

use pgrx::pg_sys;
use std::ffi::{CStr, CString};
use std::time::{Duration, Instant};

/// Bytes of WAL that this backend has made so far; only differences mean something.
pub fn wal_bytes() -> u64 {
    // SAFETY: a counter of this backend's own.
    unsafe { (&raw const pg_sys::pgWalUsage.wal_bytes).read() }
}

/// Shared buffers of the server, in blocks.
pub fn shared_buffers() -> i64 {
    // SAFETY: set at the server's start.
    i64::from(unsafe { (&raw const pg_sys::NBuffers).read() })
}

/// Shows `text` behind the statement under way, as a comment, in `pg_stat_activity`.
pub fn show_activity(text: &str) {
    // SAFETY: the string is the client's, for as long as its statement runs; null in a worker.
    let statement = unsafe {
        let given = (&raw const pg_sys::debug_query_string).read();
        if given.is_null() {
            String::new()
        } else {
            CStr::from_ptr(given).to_string_lossy().into_owned()
        }
    };
    let line = statement.trim_end().trim_end_matches(';');
    let text = if line.is_empty() {
        format!("backfill -- {text}")
    } else {
        format!("{line} -- {text}")
    };
    if let Ok(text) = CString::new(text) {
        // SAFETY: copies the string into this backend's entry.
        unsafe {
            pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, text.as_ptr());
        }
    }
}

/// How long the disk takes to make sure of what this backend has committed last, as every commit of
/// an application must that waits for it.
pub fn flush_time() -> Duration {
    let begun = Instant::now();
    // SAFETY: the position is the end of a record that was written; waits for the disk only.
    unsafe { pg_sys::XLogFlush((&raw const pg_sys::XactLastCommitEnd).read()) };
    begun.elapsed()
}
