//! A lock on one relation alone, of whatever kind.

use pgrx::pg_sys;

/// Waits for the lock (as long as `lock_timeout` says) and holds it to the end of the transaction.
/// Unlike LOCK TABLE it takes a view without what the view reads, and a sequence.
pub fn take(relation: u32, mode: i32) {
    // SAFETY: a plain call; a relation that is gone meanwhile is no error.
    unsafe { pg_sys::LockRelationOid(relation.into(), mode) };
}
