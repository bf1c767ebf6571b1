//! Reading the catalogs as they were.

use crate::fault::{Fault, Result};
use pgrx::pg_sys;
use pgrx::spi::Spi;
use serde::de::DeserializeOwned;
use std::ffi::{CStr, CString};

/// What this transaction saw at one moment.
pub struct Past(pg_sys::Snapshot);

impl Past {
    /// What it sees now.
    pub fn take() -> Past {
        // SAFETY: inside a transaction; the copy is registered with the current resource owner, and
        // given back by `Drop` or by its abort.
        Past(unsafe { pg_sys::RegisterSnapshot(pg_sys::GetTransactionSnapshot()) })
    }

    /// The rows of a query that has no parameters, as they were then.
    pub fn select<T: DeserializeOwned>(&self, sql: &str) -> Result<Vec<T>> {
        let text = CString::new(format!(
            "SELECT pg_catalog.to_jsonb(q)::text FROM ({sql}) q"
        ))
        .map_err(|_| Fault::internal("a query holds a zero byte"))?;
        let rows = Spi::connect(|_| {
            // SAFETY: SPI is connected; a read-only query runs with the active snapshot; the rows
            // are copied before SPI ends.
            unsafe {
                pg_sys::PushActiveSnapshot(self.0);
                let code = pg_sys::SPI_execute(text.as_ptr(), true, 0);
                pg_sys::PopActiveSnapshot();
                if code != pg_sys::SPI_OK_SELECT as i32 || pg_sys::SPI_tuptable.is_null() {
                    return Err(Fault::internal(format!("SPI: {code}")));
                }
                let table = &*pg_sys::SPI_tuptable;
                let mut rows = Vec::new();
                for at in 0..usize::try_from(pg_sys::SPI_processed).unwrap_or(0) {
                    let value = pg_sys::SPI_getvalue(*table.vals.add(at), table.tupdesc, 1);
                    if !value.is_null() {
                        rows.push(CStr::from_ptr(value).to_string_lossy().into_owned());
                    }
                }
                Ok(rows)
            }
        })?;
        rows.iter()
            .map(|row| {
                serde_json::from_str(row)
                    .map_err(|err| Fault::internal(format!("a row has an unexpected shape: {err}")))
            })
            .collect()
    }
}

impl Drop for Past {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: registered by `take` with the owner that is current again.
            unsafe { pg_sys::UnregisterSnapshot(self.0) };
        }
    }
}
