//! pg_migrate: zero-downtime schema migrations that run inside the server.

mod api;
mod backfill;
mod catalog;
mod document;
mod engine;
mod fault;
mod history;
mod ledger;
mod lint;
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
pgrx::extension_sql_file!(
    "../../sql/40_progress.sql",
    name = "progress",
    requires = ["tables"]
);
pgrx::extension_sql_file!(
    "../../sql/20_fingerprint.sql",
    name = "fingerprint",
    requires = ["tables"]
);
pgrx::extension_sql_file!(
    "../../sql/25_partitions.sql",
    name = "partitions",
    requires = ["tables"]
);
pgrx::extension_sql_file!(
    "../../sql/25_attached.sql",
    name = "attached",
    requires = ["tables"]
);
pgrx::extension_sql_file!(
    "../../sql/50_views.sql",
    name = "views",
    requires = ["tables"]
);

pgrx::extension_sql_file!("../../sql/60_jsonb.sql", name = "jsonb", finalize);

/// Called by the server when the library is loaded.
#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    engine::register_settings();
    lint::register_settings();
    sync::register_settings();
    pg::torture::register();
    lint::guard::register();
    pg::settings::reserve(c"migrate");
}

/// Tells pgrx that the schema exists; sql/00_tables.sql makes it.
#[pgrx::pg_schema]
mod migrate {}
