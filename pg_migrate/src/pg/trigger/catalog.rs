//! What the catalog knows of a trigger: when it came, its comment.

use crate::fault::{Fault, Result};
use pgrx::pg_sys;
use std::ffi::{CStr, CString};

/// Calls `look` with the trigger's row in `pg_trigger` and the catalog, opened with `lock`.
fn with_row<T>(
    trigger: u32,
    lock: u32,
    look: impl FnOnce(pg_sys::Relation, pg_sys::HeapTuple) -> T,
) -> Result<T> {
    // SAFETY: a catalog scan by the unique index on oid, ended before the function returns.
    unsafe {
        let catalog = pg_sys::table_open(pg_sys::TriggerRelationId, lock as i32);
        let mut key = pg_sys::ScanKeyData::default();
        pg_sys::ScanKeyInit(
            &mut key,
            pg_sys::Anum_pg_trigger_oid as i16,
            pg_sys::BTEqualStrategyNumber as u16,
            pg_sys::F_OIDEQ.into(),
            pg_sys::Datum::from(pg_sys::Oid::from(trigger)),
        );
        let scan = pg_sys::systable_beginscan(
            catalog,
            pg_sys::TriggerOidIndexId.into(),
            true,
            std::ptr::null_mut(),
            1,
            &mut key,
        );
        let tuple = pg_sys::systable_getnext(scan);
        let found = (!tuple.is_null()).then(|| look(catalog, tuple));
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(catalog, lock as i32);
        found.ok_or_else(|| Fault::internal(format!("trigger {trigger} is not in pg_trigger")))
    }
}

/// The raw xmin of the trigger's row in `pg_trigger`: the transaction that created, enabled,
/// attached or restamped it, after it had the table's lock.
pub fn installed_by(trigger: u32) -> Result<u32> {
    with_row(trigger, pg_sys::AccessShareLock, |_, row| {
        // SAFETY: a row of the running scan.
        unsafe { u32::from((*(*row).t_data).t_choice.t_heap.t_xmin) }
    })
}

/// Writes the trigger's row in `pg_trigger` anew, unchanged: its xmin is this (sub)transaction's.
pub fn restamp(trigger: u32) -> Result<()> {
    with_row(trigger, pg_sys::RowExclusiveLock, |catalog, row| {
        // SAFETY: an update of a catalog row by a copy of itself, made visible to this transaction.
        unsafe {
            let copy = pg_sys::heap_copytuple(row);
            pg_sys::CatalogTupleUpdate(catalog, &mut (*copy).t_self, copy);
            pg_sys::CommandCounterIncrement();
        }
    })
}

/// Whether transaction ids have never wrapped around in this cluster.
pub fn first_epoch() -> bool {
    // SAFETY: reads shared memory under its own lock.
    unsafe { pg_sys::ReadNextFullTransactionId().value >> 32 == 0 }
}

/// The comment on a trigger.
pub fn comment(trigger: u32) -> Option<String> {
    // SAFETY: a catalog lookup; the palloc'd text is copied.
    unsafe {
        let text = pg_sys::GetComment(trigger.into(), pg_sys::TriggerRelationId, 0);
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}

/// Puts a comment on a trigger of `relation` and makes every backend look at the trigger again.
/// The lock taken (ROW EXCLUSIVE, to the end of the transaction) waits for nothing but DDL.
pub fn set_comment(relation: u32, trigger: u32, comment: &str) -> Result<()> {
    let text = CString::new(comment).map_err(|_| Fault::invalid("a comment holds a zero byte"))?;
    // SAFETY: catalog changes inside a transaction; the lock keeps the trigger from being dropped.
    unsafe {
        pg_sys::LockRelationOid(relation.into(), pg_sys::RowExclusiveLock as i32);
        pg_sys::CreateComments(trigger.into(), pg_sys::TriggerRelationId, 0, text.as_ptr());
        pg_sys::CacheInvalidateRelcacheByRelid(relation.into());
    }
    Ok(())
}
