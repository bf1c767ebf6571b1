//! Whose turn it is: a write that a split's trigger makes fires the trigger at the other end, which
//! must not take it for the application's.

use crate::pg::expression::current_transaction;
use crate::pg::transaction::subtransaction;
use crate::pg::trigger::depth;
use std::cell::Cell;

/// An error leaves this behind. It is told by the subtransaction, which ends with the error.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Turn {
    transaction: u32,
    subtransaction: u32,
    depth: i32,
}

thread_local! {
    static TURN: Cell<Option<Turn>> = const { Cell::new(None) };
}

fn at(depth: i32) -> Turn {
    Turn {
        transaction: current_transaction(),
        subtransaction: subtransaction(),
        depth,
    }
}

/// Whether the row was written by the trigger at the other end.
pub fn is_ours() -> bool {
    TURN.get() == Some(at(depth() - 1))
}

/// Runs `body`, whose writes are ours.
pub fn ours<T>(body: impl FnOnce() -> T) -> T {
    let before = TURN.replace(Some(at(depth())));
    let value = body();
    // What an error left behind says nothing to anybody further up.
    TURN.set(before.filter(|turn| turn.depth < depth()));
    value
}
