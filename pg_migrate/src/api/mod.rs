//! Everything SQL can call, thin: check arguments, call the engine, shape rows.

mod aside;
mod backfill;
mod drivers;
mod history;
mod lint;
mod migrations;
mod objects;
mod procedures;
mod swap;
mod sync;
mod trace;

use crate::fault::Result;
use crate::pg::{error, subtransaction, utility};

/// Runs what a function does: all of it, or none and an error.
fn function<T>(body: impl FnOnce() -> Result<T>) -> T {
    let own = utility::own();
    let outcome = subtransaction::attempt(body);
    drop(own);
    error::or_raise(outcome)
}
