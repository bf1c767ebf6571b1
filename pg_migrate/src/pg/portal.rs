//! Running one statement at top level, outside a transaction block, as psql would have it.

use crate::fault::{Fault, Result, state};
use crate::pg::error;
use pgrx::PgTryBuilder;
use pgrx::pg_sys;
use std::ffi::CString;
use std::panic::AssertUnwindSafe;

/// Runs `body` in a transaction of its own. Only for a worker's main loop, where none is open.
pub fn transaction<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    caught(|| {
        // SAFETY: no transaction is open; both ends are paired, an error goes to the abort below.
        unsafe {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::StartTransactionCommand();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        }
        let value = body()?;
        // SAFETY: as above.
        unsafe {
            pg_sys::PopActiveSnapshot();
            pg_sys::CommitTransactionCommand();
        }
        Ok(value)
    })
}

/// Runs one statement as a client's simple query would be: utilities that refuse to run in a
/// transaction block are allowed, and a procedure may commit.
pub fn top_level(sql: &str) -> Result<()> {
    let text = CString::new(sql)
        .map_err(|_| Fault::new(state::SYNTAX, "a statement holds a zero byte"))?;
    caught(|| {
        // SAFETY: the sequence of exec_simple_query in postgres.c for one statement; the parse tree
        // lives in a context that no transaction frees, because the statement may end several.
        unsafe {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::StartTransactionCommand();
            let context = pg_sys::AllocSetContextCreateExtended(
                pg_sys::TopMemoryContext,
                c"pg_migrate statement".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            );
            let before = pg_sys::MemoryContextSwitchTo(context);
            pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, text.as_ptr());
            let list = pg_sys::pg_parse_query(text.as_ptr());
            if list.is_null() || (*list).length != 1 {
                return Err(Fault::new(
                    state::SYNTAX,
                    "a step outside a transaction must be exactly one statement",
                ));
            }
            let parsed = (*(*list).elements).ptr_value.cast::<pg_sys::RawStmt>();
            let tag = pg_sys::CreateCommandTag((*parsed).stmt);
            let snapshot = pg_sys::analyze_requires_snapshot(parsed);
            if snapshot {
                pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            }
            let rewritten = pg_sys::pg_analyze_and_rewrite_fixedparams(
                parsed,
                text.as_ptr(),
                std::ptr::null(),
                0,
                std::ptr::null_mut(),
            );
            let plans = pg_sys::pg_plan_queries(
                rewritten,
                text.as_ptr(),
                pg_sys::CURSOR_OPT_PARALLEL_OK as i32,
                std::ptr::null_mut(),
            );
            if snapshot {
                pg_sys::PopActiveSnapshot();
            }
            let portal = pg_sys::CreatePortal(c"".as_ptr(), true, true);
            (*portal).visible = false;
            pg_sys::PortalDefineQuery(
                portal,
                std::ptr::null(),
                text.as_ptr(),
                tag,
                plans,
                std::ptr::null_mut(),
            );
            pg_sys::PortalStart(portal, std::ptr::null_mut(), 0, std::ptr::null_mut());
            pg_sys::MemoryContextSwitchTo(before);
            let receiver = pg_sys::CreateDestReceiver(pg_sys::CommandDest::DestNone);
            let mut completion = pg_sys::QueryCompletion::default();
            #[cfg(any(feature = "pg15", feature = "pg16", feature = "pg17"))]
            pg_sys::PortalRun(
                portal,
                i64::MAX as _,
                true,
                true,
                receiver,
                receiver,
                &mut completion,
            );
            #[cfg(feature = "pg18")]
            pg_sys::PortalRun(
                portal,
                i64::MAX as _,
                true,
                receiver,
                receiver,
                &mut completion,
            );
            if let Some(destroy) = (*receiver).rDestroy {
                destroy(receiver);
            }
            pg_sys::PortalDrop(portal, false);
            pg_sys::CommitTransactionCommand();
            pg_sys::MemoryContextDelete(context);
            pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null());
        }
        Ok(())
    })
}

/// Turns an error into a fault and leaves no transaction open.
fn caught<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    let outcome = PgTryBuilder::new(AssertUnwindSafe(|| body().map_err(Box::new)))
        .catch_others(|caught| Err(Box::new(error::fault_of(&caught))))
        .execute();
    if outcome.is_err() {
        // SAFETY: ends whatever transaction the body left open, as the main loop of a backend does.
        unsafe {
            pg_sys::AbortOutOfAnyTransaction();
            pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
        }
    }
    outcome.map_err(|fault| *fault)
}
