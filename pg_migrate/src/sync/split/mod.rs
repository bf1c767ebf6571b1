//! Two tables that hold the halves of what was one row, kept in step while columns move from the
//! *source* to the *target*: one row there for each row here, found by the key that both have.
//!
//! A trigger's arguments carry everything (which end it is on, the other table, key and columns);
//! what is derived from them and from the catalog is cached per backend. Each firing reads the other
//! row anew instead of writing what it was fired with: by the time it runs, another trigger of the
//! same statement may have changed the row once more.
//!
//! **No row and an empty one.** A row of the source that has none in the target says the same as one
//! whose columns are what a source row has of its own: nothing, or a default that cannot be left
//! out. So a row that the new application deletes in the target leaves the source's columns empty,
//! and one that it inserts takes the place of the one that the trigger made when the source's row
//! came, as long as that says nothing but defaults.
//!
//! **Locks.** Writers of the source lock its row and then the target's. So do inserts into the
//! target. Updates and deletes of the target lock the other way round, and no order of ours can
//! change that: PostgreSQL locks a row before the first BEFORE ROW trigger of its UPDATE or DELETE
//! runs, and a trigger that runs earlier, BEFORE STATEMENT, does not know which rows there will be;
//! it could only lock the other table as a whole, for which every writer would wait. So of two
//! transactions that hold one half of a row each, one must wait for the other's half or go without
//! it, and a half that is not written is lost. Where both releases write one row in the same
//! instant, PostgreSQL ends one of the two with 40P01: it has written nothing, and can be repeated.
//!
//! **TRUNCATE** of the target fires no trigger of its rows, and emptying the source's columns would
//! rewrite that table under the lock: it is refused, unless both tables are truncated at once.

mod entry;
mod install;
mod program;
mod text;
mod truncated;
mod turn;
mod unseen;

pub use install::{drop_split, install_split};
pub use unseen::unseen;
