//! pg_migrate: zero-downtime schema migrations that run inside the server.

mod api;
mod backfill;
mod catalog;
mod document;
// mod engine;
mod fault;
mod history;
mod ledger;
mod pg;
mod recipe;
mod sync;
mod worker;

pgrx::pg_module_magic!();

pgrx::extension_sql_file!("../../sql/00_tables.sql", name = "tables", bootstrap);
pgrx::extension_sql_file!(
    "../../sql/30_sync.sql",
    name = "sync",
    requires = ["tables"]
);

/// Called by the server when the library is loaded.
#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    sync::register_settings();
}
