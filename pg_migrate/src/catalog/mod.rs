//! Reads pg_catalog into plain structs; the only room that knows catalog columns. Reads with the
//! rights of the current user; changes nothing (the mirror of a table lives and dies in a
//! subtransaction).

mod facts;
mod locks;
mod mirror;
mod relation;

pub use facts::Live;
pub use locks::{Blocker, blockers};
pub use relation::{
    IndexState, exists, extension_owner, has_extension, index_state, may_lock, on_standby, resolve,
    size, sleeping_triggers, unvalidated,
};
