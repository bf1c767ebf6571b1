//! Statements of ours that a trigger runs on another table, planned once per backend. The rule of
//! `tuple` holds for `run`: errors leave by `longjmp`, whole, so its callers hold nothing that needs
//! dropping.

use crate::fault::{Fault, Result};
use crate::pg::tuple::{Value, raw};
use pgrx::pg_sys;
use std::ffi::CString;

/// Parameters that a statement can have: the columns of a key, and as many again.
pub const MOST_PARAMETERS: usize = 64;

pub struct Prepared {
    plan: pg_sys::SPIPlanPtr,
}

impl Prepared {
    /// `types`: those of the parameters. The text must name everything with its schema, operators
    /// too: it is read again in whatever search path a later statement runs.
    pub fn new(sql: &str, types: &[u32]) -> Result<Prepared> {
        let text =
            CString::new(sql).map_err(|_| Fault::internal("a statement holds a zero byte"))?;
        let mut types: Vec<pg_sys::Oid> = types.iter().map(|t| pg_sys::Oid::from(*t)).collect();
        let count = i32::try_from(types.len()).unwrap_or(i32::MAX);
        // SAFETY: a nested SPI connection; the plan is kept beyond it.
        unsafe {
            pg_sys::SPI_connect();
            let plan = pg_sys::SPI_prepare(text.as_ptr(), count, types.as_mut_ptr());
            if plan.is_null() || pg_sys::SPI_keepplan(plan) != 0 {
                return Err(Fault::internal(format!("no plan for: {sql}")));
            }
            pg_sys::SPI_finish();
            Ok(Prepared { plan })
        }
    }

    /// Runs it with the rights of `owner`, as PostgreSQL runs the statements behind a foreign key,
    /// and gives the number of rows. The first `MOST_PARAMETERS` values count.
    pub fn run(&self, owner: u32, values: &[Value]) -> u64 {
        let mut datums = [pg_sys::Datum::null(); MOST_PARAMETERS];
        let mut nulls = [b' ' as std::ffi::c_char; MOST_PARAMETERS];
        for (at, value) in values.iter().take(MOST_PARAMETERS).enumerate() {
            datums[at] = value.datum;
            if value.null {
                nulls[at] = b'n' as std::ffi::c_char;
            }
        }
        // SAFETY: as ri_PerformCheck in ri_triggers.c; an abort puts the identity and SPI's stack
        // back. The arrays outlive the call.
        unsafe {
            let (mut user, mut context) = (pg_sys::InvalidOid, 0);
            pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
            let rights = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_NOFORCE_RLS;
            pg_sys::SetUserIdAndSecContext(owner.into(), context | rights as i32);
            raw::SPI_connect();
            raw::SPI_execute_plan(self.plan, datums.as_mut_ptr(), nulls.as_ptr(), false, 0);
            let rows = pg_sys::SPI_processed;
            raw::SPI_finish();
            pg_sys::SetUserIdAndSecContext(user, context);
            rows
        }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // SAFETY: made by `new`; nothing runs it any more.
        unsafe { pg_sys::SPI_freeplan(self.plan) };
    }
}
