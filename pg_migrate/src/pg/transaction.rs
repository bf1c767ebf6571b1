//! Facts about the transaction we run in, and locks by OID.

use pgrx::pg_sys;

/// Whether each statement sees what was committed before it began (READ COMMITTED).
pub fn fresh_snapshots() -> bool {
    // SAFETY: reads backend-local state.
    unsafe { pg_sys::XactIsoLevel <= pg_sys::XACT_READ_COMMITTED as i32 }
}

/// Whether the transaction is somebody's `BEGIN` block, which may hold more than our work.
pub fn in_block() -> bool {
    // SAFETY: reads backend-local state.
    unsafe { pg_sys::IsTransactionBlock() }
}

/// Takes the lock of an UPDATE (ROW EXCLUSIVE) until the transaction ends; waits as long as
/// `lock_timeout` allows. `false`: there is no such relation any more.
pub fn lock_for_update(relation: u32) -> bool {
    let oid = pg_sys::Oid::from(relation);
    // SAFETY: a heavyweight lock by OID and a look at the catalog cache; errors unwind.
    unsafe {
        pg_sys::LockRelationOid(oid, pg_sys::RowExclusiveLock as i32);
        !pg_sys::get_rel_name(oid).is_null()
    }
}

/// The number of the running subtransaction within its transaction.
pub fn subtransaction() -> u32 {
    // SAFETY: reads backend-local state.
    unsafe { pg_sys::GetCurrentSubTransactionId() }
}
