//! Internal subtransactions: the only place where a PostgreSQL error becomes a value.

use crate::fault::Result;
use crate::pg::error;
use crate::pg::settings::Scope;
use pgrx::PgTryBuilder;
use pgrx::pg_sys;
use std::panic::AssertUnwindSafe;

/// Runs `body` in a subtransaction. `Ok` commits it into the surrounding transaction; `Err`, a
/// PostgreSQL error or a panic rolls it back whole and comes out as a `Fault`. A cancel or a
/// termination request is caught like any other error: callers that retry must look at the
/// SQLSTATE first.
pub fn attempt<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    run(body, false)
}

/// Runs `body` in a subtransaction that is rolled back whatever comes of it.
pub fn rehearse<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    run(body, true)
}

/// The same with nothing writable, for what only asks: functions of users that PostgreSQL evaluates
/// on the way run with the rights of the current user, and what they would write is refused, also
/// what no rollback takes back. What PostgreSQL allocates meanwhile goes with the subtransaction.
pub fn look<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    rehearse(|| {
        // SAFETY: the subtransaction's own context, freed by its rollback; `run` has left it by then.
        unsafe { pg_sys::MemoryContextSwitchTo(pg_sys::CurTransactionContext) };
        let scope = Scope::new();
        scope.set("transaction_read_only", "on");
        let value = body();
        drop(scope);
        value
    })
}

fn run<T>(body: impl FnOnce() -> Result<T>, always_roll_back: bool) -> Result<T> {
    // SAFETY: read in the backend's one thread; both are restored below as plpgsql's exec_stmt_block does.
    let (context, owner) = unsafe { (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner) };
    // SAFETY: called inside a transaction, as every SQL function is.
    unsafe {
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
    }
    let outcome = PgTryBuilder::new(AssertUnwindSafe(|| body().map_err(Box::new)))
        .catch_others(|caught| {
            // The message lives in Rust strings by now; the error state is flushed by the builder.
            Err(Box::new(error::fault_of(&caught)))
        })
        .execute();
    // SAFETY: ends the subtransaction begun above and puts the caller's context and owner back.
    unsafe {
        pg_sys::MemoryContextSwitchTo(context);
        if outcome.is_ok() && !always_roll_back {
            pg_sys::ReleaseCurrentSubTransaction();
        } else {
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
        }
        pg_sys::MemoryContextSwitchTo(context);
        pg_sys::CurrentResourceOwner = owner;
    }
    outcome.map_err(|fault| *fault)
}
