//! `Fault` to `ereport` and back.

use crate::fault::Fault;
use pgrx::pg_sys::panic::{CaughtError, ErrorReport};
use pgrx::{PgLogLevel, PgSqlErrorCode, PgTryBuilder};
use std::panic::AssertUnwindSafe;

/// PostgreSQL's packed form of a SQLSTATE (`MAKE_SQLSTATE` in elog.h).
pub fn packed(sqlstate: &str) -> i32 {
    sqlstate.bytes().take(5).enumerate().fold(0, |acc, (i, b)| {
        acc | (i32::from(b.wrapping_sub(b'0')) & 0x3F) << (6 * i)
    })
}

fn unpacked(code: i32) -> String {
    (0..5)
        .map(|i| char::from((((code >> (6 * i)) & 0x3F) as u8).wrapping_add(b'0')))
        .collect()
}

fn report(fault: Fault, level: PgLogLevel) {
    let code = PgSqlErrorCode::from(packed(&fault.sqlstate));
    let mut report = ErrorReport::new(code, fault.message, "pg_migrate");
    if let Some(detail) = fault.detail {
        report = report.set_detail(detail);
    }
    if let Some(hint) = fault.hint {
        report = report.set_hint(hint);
    }
    report.report(level);
}

/// Raises the fault as an ERROR; unwinds to the nearest `attempt` or to the client.
pub fn raise(fault: Fault) -> ! {
    report(fault, PgLogLevel::ERROR);
    unreachable!("an ERROR does not return")
}

/// Sends the fault's texts to the client as a NOTICE and goes on.
pub fn notice(fault: Fault) {
    report(fault, PgLogLevel::NOTICE);
}

/// Sends the fault's texts to the client and the log as a WARNING and goes on.
pub fn warning(fault: Fault) {
    report(fault, PgLogLevel::WARNING);
}

/// Gives back the value or raises the fault.
pub fn or_raise<T>(result: crate::fault::Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(fault) => raise(fault),
    }
}

/// The fault that a caught PostgreSQL error or Rust panic stands for.
pub fn fault_of(caught: &CaughtError) -> Fault {
    let report = match caught {
        CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => report,
        CaughtError::RustPanic { ereport, .. } => ereport,
    };
    Fault {
        sqlstate: unpacked(report.sql_error_code() as i32),
        message: report.message().to_owned(),
        detail: report.detail().map(str::to_owned),
        hint: report.hint().map(str::to_owned),
    }
}

/// Runs `body` and gives an error of PostgreSQL's as a fault, to be raised again with more said of it:
/// no subtransaction is behind it, so nothing else may be done.
pub fn to_say_more<T>(body: impl FnOnce() -> crate::fault::Result<T>) -> crate::fault::Result<T> {
    PgTryBuilder::new(AssertUnwindSafe(body))
        .catch_others(|caught| Err(fault_of(&caught)))
        .execute()
}

#[cfg(test)]
mod tests {
    use super::{packed, unpacked};

    #[test]
    fn a_sqlstate_survives_packing() {
        for state in ["55P03", "22023", "XX000", "2BP01", "0A000"] {
            assert_eq!(unpacked(packed(state)), state);
        }
    }
}
