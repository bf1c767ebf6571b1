//! A row that changes its partition comes by twice: as an UPDATE of the old partition and then as an
//! INSERT into the new one. The second time its two sides are settled already, and must not be
//! judged as if an application had given them.

use crate::pg::expression::current_transaction;
use crate::pg::trigger::{command, depth};
use std::cell::Cell;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Passed {
    transaction: u32,
    command: u32,
    depth: i32,
    old: u32,
    new: u32,
}

thread_local! {
    static LAST: Cell<Option<Passed>> = const { Cell::new(None) };
}

fn passed(old: u32, new: u32) -> Passed {
    Passed {
        transaction: current_transaction(),
        command: command(),
        depth: depth(),
        old,
        new,
    }
}

/// Notes the hashes of both values as an UPDATE of a partition leaves them.
pub fn left(old: u32, new: u32) {
    LAST.set(Some(passed(old, new)));
}

/// Whether an INSERT with these values is the second half of the UPDATE noted last.
pub fn arrives(old: u32, new: u32) -> bool {
    LAST.take() == Some(passed(old, new))
}
