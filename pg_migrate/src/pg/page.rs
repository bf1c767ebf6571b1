//! What stands on a page of a heap.

use pgrx::datum::DatumWithOid;
use pgrx::{IntoDatum, pg_sys};

/// A heap page as it was when it was looked at.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Bytes that a new row version with its line pointer can take.
    pub free: usize,
    /// Bytes of each row version by its line pointer, the first at 0; 0: none stands there.
    pub lengths: Vec<u16>,
    /// Row versions stand there that are no more, but that somebody's snapshot may still see.
    pub kept: bool,
}

const LP_NORMAL: u32 = 1;

/// A heap whose pages are looked at. The caller has locked the relation (any mode).
pub struct Heap {
    relation: pg_sys::Relation,
    blocks: u32,
}

impl Heap {
    pub fn open(relation: u32) -> Self {
        // SAFETY: the relation is locked, so it opens without a lock; closed in `Drop`, or with the
        // transaction after an error.
        unsafe {
            let relation = pg_sys::relation_open(relation.into(), pg_sys::NoLock as i32);
            let fork = pg_sys::ForkNumber::MAIN_FORKNUM;
            let blocks = pg_sys::RelationGetNumberOfBlocksInFork(relation, fork);
            Heap { relation, blocks }
        }
    }

    /// Whether the block is there still: VACUUM cuts off empty ones at the end. Stays true while the
    /// relation is locked.
    pub fn has(&self, block: u32) -> bool {
        block < self.blocks
    }

    /// Looks at a block that is there. Only a pin and a share lock of its content, both for the length of the call.
    /// `tidy`: dead row versions are removed first, as a scan of the page would do.
    pub fn look(&self, block: u32, page: &mut Page, tidy: bool) {
        page.lengths.clear();
        // SAFETY: the caller knows that the block exists; the content is read between LockBuffer
        // and UnlockReleaseBuffer only. An error releases pin and lock with the transaction.
        unsafe {
            let buffer = pg_sys::ReadBuffer(self.relation, block);
            if tidy {
                pg_sys::heap_page_prune_opt(self.relation, buffer);
            }
            pg_sys::LockBuffer(buffer, pg_sys::BUFFER_LOCK_SHARE as i32);
            let content = pg_sys::BufferGetPage(buffer);
            page.free = pg_sys::PageGetHeapFreeSpace(content);
            let oldest = (*content.cast::<pg_sys::PageHeaderData>()).pd_prune_xid;
            page.kept = oldest != pg_sys::InvalidTransactionId
                && !pg_sys::GlobalVisCheckRemovableXid(self.relation, oldest);
            for offset in 1..=pg_sys::PageGetMaxOffsetNumber(content) {
                let item = *pg_sys::PageGetItemId(content, offset);
                let normal = item.lp_flags() == LP_NORMAL;
                let length = if normal { item.lp_len() } else { 0 };
                page.lengths.push(u16::try_from(length).unwrap_or(u16::MAX));
            }
            pg_sys::UnlockReleaseBuffer(buffer);
        }
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: opened by `open`; after an error the abort closes it.
            unsafe { pg_sys::relation_close(self.relation, pg_sys::NoLock as i32) };
        }
    }
}

/// Looks at one block of a relation that the caller has locked.
pub fn look(relation: u32, block: u32, page: &mut Page) {
    Heap::open(relation).look(block, page, false);
}

/// A `tid[]` in the current memory context.
struct TidArray(pg_sys::Datum);

impl IntoDatum for TidArray {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        Some(self.0)
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::TIDARRAYOID
    }
}

/// Places of rows as `tid[]`.
pub fn tid_array<'a>(places: &[(u32, u16)]) -> DatumWithOid<'a> {
    let mut tids = vec![pg_sys::ItemPointerData::default(); places.len()];
    for (tid, &(block, line)) in tids.iter_mut().zip(places) {
        pgrx::itemptr::item_pointer_set_all(tid, block, line);
    }
    let mut datums: Vec<pg_sys::Datum> = tids
        .iter()
        .map(|tid| pg_sys::Datum::from(std::ptr::from_ref(tid)))
        .collect();
    // SAFETY: a tid has 6 bytes, is passed by reference and aligned as a short; the array is a copy,
    // in the current memory context, which outlives the statement it is given to.
    let array = unsafe {
        pg_sys::construct_array(
            datums.as_mut_ptr(),
            i32::try_from(datums.len()).unwrap_or(i32::MAX),
            pg_sys::TIDOID,
            6,
            false,
            b's' as std::ffi::c_char,
        )
    };
    DatumWithOid::from(TidArray(pg_sys::Datum::from(array)))
}

/// Block and line pointer (from 1) of a row's place.
pub fn place(tid: pg_sys::ItemPointerData) -> (u32, u16) {
    pgrx::itemptr::item_pointer_get_both(tid)
}
