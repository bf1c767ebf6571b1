//! Advisory locks that outlive a transaction. The engine never waits for one: a waiter's snapshot
//! would hold up the holder's concurrent index build for ever.

use pgrx::pg_sys;

/// `"pgmg"`: the first of the two keys of every lock we take.
const CLASS: u32 = 0x7067_6d67;

/// A session lock, released when dropped, also on the way out of an error.
pub struct SessionLock(pg_sys::LOCKTAG);

impl SessionLock {
    /// Takes the lock of `name`, or gives `None` at once when another session has it.
    pub fn try_take(name: &str) -> Option<SessionLock> {
        // FNV-1a: stable over versions and platforms, which a backend-local hasher is not.
        let key = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        // SAFETY: a fully initialised tag (SET_LOCKTAG_ADVISORY in lock.h); no waiting.
        unsafe {
            let tag = pg_sys::LOCKTAG {
                locktag_field1: pg_sys::MyDatabaseId.to_u32(),
                locktag_field2: CLASS,
                locktag_field3: key,
                locktag_field4: 2,
                locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
                locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
            };
            let got = pg_sys::LockAcquire(&tag, pg_sys::ExclusiveLock as i32, true, true);
            (got != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL).then_some(SessionLock(tag))
        }
    }
}

/// Waits until nobody has the lock that `pg_advisory_lock(key)` takes, and goes on without it.
#[cfg(feature = "torture")]
pub fn pass(key: i64) {
    // SAFETY: a fully initialised tag (SET_LOCKTAG_INT64 in lockfuncs.c); errors unwind, and the end
    // of the transaction releases what is left.
    unsafe {
        let tag = pg_sys::LOCKTAG {
            locktag_field1: pg_sys::MyDatabaseId.to_u32(),
            locktag_field2: (key >> 32) as u32,
            locktag_field3: key as u32,
            locktag_field4: 1,
            locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
            locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
        };
        pg_sys::LockAcquire(&tag, pg_sys::ShareLock as i32, false, false);
        pg_sys::LockRelease(&tag, pg_sys::ShareLock as i32, false);
    }
}

impl Drop for SessionLock {
    fn drop(&mut self) {
        // SAFETY: releases what `try_take` took; at worst a WARNING.
        unsafe { pg_sys::LockRelease(&self.0, pg_sys::ExclusiveLock as i32, true) };
    }
}
