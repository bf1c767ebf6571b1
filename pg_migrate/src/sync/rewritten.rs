//! ALTER TABLE that rewrites a table writes every row version anew, under its own transaction id and
//! past the triggers: what was unfilled before is unfilled afterwards, but would no longer look it.

use crate::fault::{Fault, Result};
use crate::pg::error;
use crate::pg::spi::{self, Arg};
use crate::pg::trigger::{self, Call, trigger_function};
use crate::sync::install::SYNC_TRIGGERS;
use pgrx::pg_sys::Datum;
use serde::Deserialize;

/// Gives the sync triggers of a table that is about to be rewritten the transaction id that its rows
/// will have. VACUUM FULL and CLUSTER keep the ids and need nothing.
fn restamp(relation: u32) -> Result<()> {
    #[derive(Deserialize)]
    struct Found {
        oid: u32,
    }
    let found: Vec<Found> = spi::select(
        &format!(
            "SELECT t.oid::pg_catalog.int8 AS oid FROM pg_catalog.pg_trigger t \
             WHERE t.tgrelid OPERATOR(pg_catalog.=) $1 AND {SYNC_TRIGGERS}"
        ),
        &[Arg::Oid(relation)],
    )?;
    for one in found {
        trigger::restamp(one.oid)?;
    }
    Ok(())
}

/// `migrate.table_rewritten()`, the function of the event trigger.
fn table_rewritten(call: Call) -> Datum {
    match call.rewritten() {
        Some(relation) => error::or_raise(restamp(relation)),
        None => error::raise(Fault::new(
            "39P03",
            "migrate.table_rewritten() can only be called as an event trigger ON table_rewrite",
        )),
    }
    Datum::null()
}

trigger_function!(
    pg_migrate_table_rewritten,
    pg_finfo_pg_migrate_table_rewritten,
    table_rewritten
);
