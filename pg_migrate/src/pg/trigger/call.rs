//! Functions that CREATE TRIGGER and CREATE EVENT TRIGGER name: where PostgreSQL enters them.

use super::{Definition, Event, Firing};
use pgrx::pg_sys;

/// The call that PostgreSQL is making. Not to be kept beyond it.
#[derive(Clone, Copy)]
pub struct Call(pg_sys::FunctionCallInfo);

impl Call {
    /// # Safety
    /// `fcinfo` is the frame of the call that PostgreSQL is making.
    pub unsafe fn of(fcinfo: pg_sys::FunctionCallInfo) -> Call {
        Call(fcinfo)
    }

    /// The firing of a BEFORE ROW trigger for INSERT or UPDATE that it is.
    pub fn firing(self) -> Option<Firing> {
        // SAFETY: the frame of the running call; as in the others below.
        unsafe { Firing::of(self.0) }
    }

    /// What it tells of a row, if it is of a row.
    pub fn event(self) -> Option<Event> {
        unsafe { Event::of(self.0) }
    }

    /// The definition of the trigger, if it fires AFTER TRUNCATE.
    pub fn truncation(self) -> Option<Definition> {
        unsafe { super::truncation(self.0) }
    }

    /// The table that is about to be rewritten, if it is of an event trigger on `table_rewrite`.
    pub fn rewritten(self) -> Option<u32> {
        unsafe { super::rewritten(self.0) }
    }
}

/// Makes `$body`, which takes a `Call`, a function of version 1: `$function` is the symbol that SQL
/// names, `$info` the one by which PostgreSQL asks how to call it. A panic becomes an error.
macro_rules! trigger_function {
    ($function:ident, $info:ident, $body:path) => {
        #[unsafe(no_mangle)]
        unsafe extern "C-unwind" fn $function(
            fcinfo: pgrx::pg_sys::FunctionCallInfo,
        ) -> pgrx::pg_sys::Datum {
            #[pgrx::pg_guard]
            unsafe extern "C-unwind" fn guarded(
                fcinfo: pgrx::pg_sys::FunctionCallInfo,
            ) -> pgrx::pg_sys::Datum {
                // SAFETY: the frame that PostgreSQL handed to the entry point.
                $body(unsafe { $crate::pg::trigger::Call::of(fcinfo) })
            }
            // SAFETY: called by PostgreSQL with a live frame.
            unsafe { $crate::pg::trigger::enter(fcinfo, guarded) }
        }

        #[unsafe(no_mangle)]
        extern "C-unwind" fn $info() -> *const pgrx::pg_sys::Pg_finfo_record {
            static VERSION_1: pgrx::pg_sys::Pg_finfo_record =
                pgrx::pg_sys::Pg_finfo_record { api_version: 1 };
            &raw const VERSION_1
        }
    };
}

pub(crate) use trigger_function;
