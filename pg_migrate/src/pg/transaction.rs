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

/// Whether this transaction, in any of its subtransactions, has made the relation: nobody else
/// knows of it.
pub fn made_here(relation: u32) -> bool {
    // SAFETY: reads the relation cache's entry, which is given back at once. What another
    // transaction made can be of no use to the answer, so that no lock is needed to read it.
    unsafe {
        let entry = pg_sys::RelationIdGetRelation(pg_sys::Oid::from(relation));
        if entry.is_null() {
            return false;
        }
        let made = (*entry).rd_createSubid != 0;
        pg_sys::RelationClose(entry);
        made
    }
}

/// A snapshot for reading, where the caller may have none.
pub struct Snapshot(());

impl Snapshot {
    pub fn take() -> Snapshot {
        // SAFETY: inside a transaction; `drop` or the abort of the subtransaction takes it back.
        unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot()) };
        Snapshot(())
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: pushed by `take`; scopes nest as Rust's do.
            unsafe { pg_sys::PopActiveSnapshot() };
        }
    }
}

/// The number of the running subtransaction within its transaction.
pub fn subtransaction() -> u32 {
    // SAFETY: reads backend-local state.
    unsafe { pg_sys::GetCurrentSubTransactionId() }
}
