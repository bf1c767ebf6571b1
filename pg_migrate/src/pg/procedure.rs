//! Procedures that commit.

use crate::fault::{Fault, Result, state};
use pgrx::pg_sys;

/// A non-atomic SPI connection: while it lives, `commit` ends the transaction and begins the next.
pub struct NonAtomic(());

impl NonAtomic {
    /// Connects, or says why the call cannot commit: `CALL` inside a transaction block, a function
    /// or a DO block.
    pub fn connect(fcinfo: pg_sys::FunctionCallInfo) -> Result<Self> {
        // SAFETY: fcinfo is the live call frame; a CALL carries a CallContext node in it.
        let atomic = unsafe {
            let context = (*fcinfo).context;
            context.is_null()
                || (*context).type_ != pg_sys::NodeTag::T_CallContext
                || (*context.cast::<pg_sys::CallContext>()).atomic
        };
        if atomic {
            return Err(Fault::new(
                state::ACTIVE_TRANSACTION,
                "this procedure commits as it goes and cannot run inside a transaction block",
            )
            .detail("It was called inside BEGIN … COMMIT, a function, a DO block, or a framework's migration transaction.")
            .hint(
                "Call it outside: psql without BEGIN or --single-transaction; Alembic: \
                 with op.get_context().autocommit_block(); Django: atomic = False; Rails: \
                 disable_ddl_transaction!; Flyway: executeInTransaction=false; sqlx: -- no-transaction; \
                 drivers: autocommit on. Inside a transaction use SELECT migrate.apply(...).",
            ));
        }
        // SAFETY: paired with SPI_finish in `Drop`.
        unsafe { pg_sys::SPI_connect_ext(pg_sys::SPI_OPT_NONATOMIC as i32) };
        Ok(NonAtomic(()))
    }

    /// Commits, and begins the next transaction, which holds no snapshot until its first query.
    pub fn commit(&mut self) {
        // SAFETY: the connection is non-atomic and no nested SPI connection is open.
        unsafe { pg_sys::SPI_commit() };
    }
}

impl Drop for NonAtomic {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: closes the connection opened by `connect`; after an error the abort does it.
            unsafe { pg_sys::SPI_finish() };
        }
    }
}
