//! What stands on a page of a heap.

use pgrx::pg_sys;

/// A heap page as it was when it was looked at.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Bytes that a new row version with its line pointer can take.
    pub free: usize,
    /// Bytes of each row version by its line pointer, the first at 0; 0: none stands there.
    pub lengths: Vec<u16>,
}

const LP_NORMAL: u32 = 1;

/// Looks at a block of a relation that the caller has locked (any mode). Only a pin and a share
/// lock of its content, both for the length of the call.
pub fn look(relation: u32, block: u32, page: &mut Page) {
    page.lengths.clear();
    // SAFETY: the relation is locked, so it opens without a lock; the content is read between
    // LockBuffer and UnlockReleaseBuffer only. An error releases pin and lock with the transaction.
    unsafe {
        let opened = pg_sys::relation_open(relation.into(), pg_sys::NoLock as i32);
        let buffer = pg_sys::ReadBuffer(opened, block);
        pg_sys::LockBuffer(buffer, pg_sys::BUFFER_LOCK_SHARE as i32);
        let content = pg_sys::BufferGetPage(buffer);
        page.free = pg_sys::PageGetHeapFreeSpace(content);
        for offset in 1..=pg_sys::PageGetMaxOffsetNumber(content) {
            let item = *pg_sys::PageGetItemId(content, offset);
            let normal = item.lp_flags() == LP_NORMAL;
            let length = if normal { item.lp_len() } else { 0 };
            page.lengths.push(u16::try_from(length).unwrap_or(u16::MAX));
        }
        pg_sys::UnlockReleaseBuffer(buffer);
        pg_sys::relation_close(opened, pg_sys::NoLock as i32);
    }
}

/// Block and line pointer (from 1) of a row's place.
pub fn place(tid: pg_sys::ItemPointerData) -> (u32, u16) {
    pgrx::itemptr::item_pointer_get_both(tid)
}
