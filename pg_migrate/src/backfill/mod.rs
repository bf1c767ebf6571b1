//! Fills columns of large tables in short transactions while the application goes on: jobs, their
//! pieces, batches, locked rows, bad rows, and the end.
//!
//! A job is a set of storage relations (leaves), each cut into ranges of heap blocks. A batch claims
//! a range and moves its cursor, its counters and its rows in one transaction, so that any number of
//! sessions can work on a job and none of them can lose or repeat anything by dying.
//! Where a sync trigger fills whatever writers touch, one pass over the blocks that existed when it
//! was there is enough. Where there is none, passes repeat until one look at the whole table, in one
//! snapshot, finds nothing to do.
//!
//! Knows the ledger's rows and the trigger's backfill mode; nothing of migrations but the step a
//! job belongs to.

mod again;
mod blocks;
mod condition;
mod control;
mod cost;
mod feedback;
mod fill;
mod join;
mod keys;
mod memory;
mod notes;
mod passes;
mod room;
mod spec;
mod storage;
mod stripes;
mod tell;
mod throttle;
mod verify;
mod window;
mod work;

pub use again::quarantined as retry_quarantined;
pub use control::{any_batch, cancel, next_job, pause, resume, retry, tolerant_batch};
pub use join::join;
pub use spec::{Spec, TARGET_MS, TableRef, assignments, define, name_of};
pub use stripes::fits;
pub use throttle::set as set_throttle;
pub use work::{Batch, batch};
