//! The server's lock table: what this backend and the others hold and wait for in this database.

use pgrx::pg_sys;

/// What is locked. OIDs; those of tables that every database shares included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    Relation(u32),
    /// Something that is no relation: the catalog it is in, and its OID there.
    Object {
        class: u32,
        object: u32,
    },
    /// Its key in two halves, and which kind of key it is.
    Advisory(u32, u32, u16),
}

/// One mode of one lock, held or waited for by one session.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub target: Target,
    /// lockdefs.h, from 1.
    pub mode: u8,
    pub granted: bool,
    /// 0: of a prepared transaction.
    pub pid: i32,
    pub mine: bool,
    tag: pg_sys::LOCKTAG,
}

/// Everything in the lock table that concerns this database's relations, objects and advisory locks.
pub fn read() -> Vec<Entry> {
    // SAFETY: gives a palloc'd copy of the shared table, taken under its own locks.
    let data = unsafe { pg_sys::GetLockStatusData() };
    // SAFETY: as above; `nelements` entries stand at `locks`.
    let found = unsafe {
        match usize::try_from((*data).nelements) {
            Ok(length) if length > 0 => std::slice::from_raw_parts((*data).locks, length),
            _ => &[],
        }
    };
    // SAFETY: reads backend-local state.
    let (me, database) = unsafe { (pg_sys::MyProcPid, pg_sys::MyDatabaseId.to_u32()) };
    let mut entries = Vec::new();
    for one in found {
        let tag = one.locktag;
        if tag.locktag_field1 != database && tag.locktag_field1 != 0 {
            continue;
        }
        let Some(target) = target(&tag) else { continue };
        let mut push = |mode: u8, granted: bool| {
            entries.push(Entry {
                target,
                mode,
                granted,
                pid: one.pid,
                mine: one.pid == me,
                tag,
            });
        };
        for mode in 1..=8 {
            if one.holdMask & (1 << mode) != 0 {
                push(mode, true);
            }
        }
        if let Ok(mode @ 1..) = u8::try_from(one.waitLockMode) {
            push(mode, false);
        }
    }
    entries
}

fn target(tag: &pg_sys::LOCKTAG) -> Option<Target> {
    use pg_sys::LockTagType as Kind;
    match pg_sys::LockTagType::Type::from(tag.locktag_type) {
        Kind::LOCKTAG_RELATION => Some(Target::Relation(tag.locktag_field2)),
        Kind::LOCKTAG_OBJECT => Some(Target::Object {
            class: tag.locktag_field2,
            object: tag.locktag_field3,
        }),
        Kind::LOCKTAG_ADVISORY => Some(Target::Advisory(
            tag.locktag_field2,
            tag.locktag_field3,
            tag.locktag_field4,
        )),
        _ => None,
    }
}

/// Whether a holder of the first mode keeps out one who wants the second.
pub fn conflict(held: u8, wanted: u8) -> bool {
    // SAFETY: looks into a constant table of nine modes.
    held <= 8 && wanted <= 8 && unsafe { pg_sys::DoLockModesConflict(held.into(), wanted.into()) }
}

/// Whether the current subtransaction itself has taken this lock, which this backend held before it
/// began. The lock table counts holders, not how often each holds: only the resource owner knows,
/// and giving one turn back tells, because the turn from before keeps the lock. The server warns
/// where there is none: call it where nobody hears that.
pub fn taken_again(before: &Entry) -> bool {
    let mode = pg_sys::LOCKMODE::from(before.mode);
    // SAFETY: the lock is held by an outer owner, so that it is never let go; what is given back is
    // taken again at once.
    unsafe {
        let again = pg_sys::LockRelease(&before.tag, mode, false);
        if again {
            pg_sys::LockAcquire(&before.tag, mode, false, true);
        }
        again
    }
}

/// Lets go of a lock that the session holds beyond its transaction.
pub fn release_of_session(entry: &Entry) {
    // SAFETY: a plain call; `false` once it is held no more.
    while unsafe { pg_sys::LockRelease(&entry.tag, entry.mode.into(), true) } {}
}
