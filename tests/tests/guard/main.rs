//! `migrate.guard`: unsafe DDL from any client is warned of or refused, and nothing else is.

mod frameworks;
mod lets_through;
mod refuses;

use pg_migrate_tests::{Db, cluster};

/// A database whose sessions load the library by themselves, with a table of some rows.
fn guarded(how: &str) -> Db {
    let db = cluster().database();
    let name = db.name();
    db.run(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, a int, b text);
         CREATE INDEX t_a ON t (a);
         INSERT INTO t SELECT g, g, 'b' || g FROM generate_series(1, 500) g;
         ALTER DATABASE {name} SET session_preload_libraries = 'pg_migrate';
         ALTER DATABASE {name} SET migrate.guard = '{how}';"
    ));
    db
}

const UNSAFE: &str = "ALTER TABLE t ALTER COLUMN a TYPE bigint";
