//! Backfill mode: the backfill's own writes never pass through the reverse mapping.

use crate::pg::expression::current_transaction;
use crate::pg::torture::{self, Mutant};
use crate::pg::trigger::{Firing, depth};
use std::cell::Cell;

#[derive(Clone, Copy)]
struct Filling {
    relation: u32,
    transaction: u32,
    /// Writes that a trigger makes in turn are somebody's, not the backfill's.
    depth: i32,
}

thread_local! {
    static FILLING: Cell<Option<Filling>> = const { Cell::new(None) };
}

/// Runs `body`, whose UPDATEs of `relation` (a leaf where the table is partitioned) are the
/// backfill's: `new` is taken as given, `old` is not touched, a NULL written on purpose stays, touch
/// columns are not stamped. Rows that need nothing are skipped and not counted by the UPDATE.
/// It ends with `body`, also by an error, and with the transaction in any case.
pub fn filling<T>(relation: u32, body: impl FnOnce() -> T) -> T {
    struct Restore(Option<Filling>);
    impl Drop for Restore {
        fn drop(&mut self) {
            FILLING.set(self.0);
        }
    }
    let now = Filling {
        relation,
        transaction: current_transaction(),
        depth: depth() + 1,
    };
    let _restore = Restore(FILLING.replace(Some(now)));
    body()
}

/// Whether this firing is for a write of the backfill's own.
pub fn is_filling(firing: Firing) -> bool {
    fills(firing.relation())
}

/// The same of a firing of a trigger of `relation`.
pub fn fills(relation: u32) -> bool {
    FILLING.get().is_some_and(|filling| {
        filling.relation == relation
            && filling.transaction == current_transaction()
            && filling.depth == depth()
            && !torture::mistaken(Mutant::ReverseMapping)
    })
}
