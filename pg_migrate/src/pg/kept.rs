//! Plans of the extension's own fixed statements, kept for the session: to a batch of a backfill,
//! parsing and planning the ten statements around it costs more than running them.
//!
//! PostgreSQL makes a kept plan anew when what it depends on has changed, the search path included.

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::PgOid;
use pgrx::spi::{OwnedPreparedStatement, SpiClient, SpiResult, SpiTupleTable};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// More statements than there are in the extension: a text that varies must not fill the memory.
const MOST: usize = 300;

thread_local! {
    static FIXED: Cell<bool> = const { Cell::new(false) };
    static PLANS: RefCell<HashMap<String, OwnedPreparedStatement>> = RefCell::new(HashMap::new());
}

/// Runs `body`, whose statements have texts that do not vary.
pub fn fixed<T>(body: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            FIXED.set(self.0);
        }
    }
    let _restore = Restore(FIXED.replace(true));
    body()
}

/// Runs a statement that may write, with a kept plan where its text is a fixed one.
pub fn update<'conn>(
    client: &mut SpiClient<'conn>,
    sql: &str,
    args: &[DatumWithOid],
) -> SpiResult<SpiTupleTable<'conn>> {
    if !FIXED.get() {
        return client.update(sql, None, args);
    }
    let plan = match take(sql) {
        Some(plan) => plan,
        None => client.prepare_mut(sql, &types(args))?.keep(),
    };
    let rows = client.update(&plan, None, args);
    keep(sql, plan);
    rows
}

/// The same for one that only reads.
pub fn select<'conn>(
    client: &SpiClient<'conn>,
    sql: &str,
    args: &[DatumWithOid],
) -> SpiResult<SpiTupleTable<'conn>> {
    if !FIXED.get() {
        return client.select(sql, None, args);
    }
    let plan = match take(sql) {
        Some(plan) => plan,
        None => client.prepare(sql, &types(args))?.keep(),
    };
    let rows = client.select(&plan, None, args);
    keep(sql, plan);
    rows
}

fn types(args: &[DatumWithOid]) -> Vec<PgOid> {
    args.iter().map(|arg| PgOid::from(arg.oid())).collect()
}

/// Taken out while it runs: an error ends its life, and the statement may be running already.
fn take(sql: &str) -> Option<OwnedPreparedStatement> {
    PLANS.with_borrow_mut(|plans| plans.remove(sql))
}

fn keep(sql: &str, plan: OwnedPreparedStatement) {
    let full = PLANS.with_borrow(|plans| plans.len() >= MOST);
    if full {
        PLANS.take();
    }
    PLANS.with_borrow_mut(|plans| plans.insert(sql.to_owned(), plan));
}
