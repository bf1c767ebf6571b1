//! Reads pg_catalog into plain structs; the only room that knows catalog columns. Reads with the
//! rights of the current user; changes nothing (the mirror of a table lives and dies in a
//! subtransaction).

mod attached;
mod bounds;
mod conversion;
mod earlier;
mod facts;
mod locks;
mod mirror;
mod object;
pub mod observed;
mod places;
mod relation;
mod remake;
mod types;

pub use facts::Live;
pub use locks::{Blocker, Old, blockers, followers, is_free, oldest_transaction, outline};
pub use object::{view, views_above};
pub use relation::{
    Attachment, IndexState, ancestors, attachment, exists, extension_owner, has_extension,
    has_part, index_state, is_mine, is_table, later_triggers, may_lock, on_standby, resolve, size,
    sleeping_triggers, unvalidated,
};
