//! Plain SQL in, online out: how statements are classified, that the schema ends as the SQL alone
//! would have left it, and what other tools' files are read as.

mod both_ways;
mod facts;
mod refusals;
mod splitting;
mod tools;

use pg_migrate_tests::facts::FIXTURE;
use pg_migrate_tests::{Db, Failure};

fn literal(text: &str) -> String {
    format!("$document${text}$document$")
}

fn document(script: &str) -> String {
    literal(&format!("-- migrate:revision 1\n-- migrate:up\n{script}"))
}

/// Runs with psql's habits: every statement in a transaction of its own.
#[track_caller]
fn load(db: &Db, script: &str) {
    db.psql(script);
}

/// One row per step: the columns asked for.
#[track_caller]
fn plan(db: &Db, columns: &str, script: &str) -> Vec<Vec<String>> {
    db.rows(&format!(
        "SELECT {columns} FROM migrate.plan({}) ORDER BY step",
        document(script)
    ))
}

#[track_caller]
fn refused(db: &Db, script: &str) -> Failure {
    db.error(&format!("SELECT * FROM migrate.plan({})", document(script)))
}
