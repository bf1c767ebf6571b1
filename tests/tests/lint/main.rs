//! Lint: what is said of scripts, on the schema on which lock facts were measured.

mod cases;
mod documents;
mod facts;
mod here;
mod kinds;
mod recipes;
mod reports;
mod rights;
mod robust;
mod simulation;

use pg_migrate_tests::facts::FIXTURE;
use pg_migrate_tests::{Db, cluster};
use std::sync::OnceLock;

/// The schema, and what its cases need beside it.
fn schema() -> &'static Db {
    static DB: OnceLock<Db> = OnceLock::new();
    DB.get_or_init(|| {
        let db = cluster().database();
        db.psql(FIXTURE);
        db.psql(
            "CREATE TABLE many (id bigint PRIMARY KEY, a int);
             INSERT INTO many SELECT i, i % 1000 FROM generate_series(1, 300000) i;
             ANALYZE many;",
        );
        db
    })
}

fn literal(text: &str) -> String {
    let mut tag = "$lint$".to_owned();
    while text.contains(&tag) {
        tag.insert(1, 'l');
    }
    format!("{tag}{text}{tag}")
}

/// The columns asked for, one row for each finding.
#[track_caller]
fn lint(db: &Db, columns: &str, script: &str) -> Vec<Vec<String>> {
    db.rows(&format!(
        "SELECT {columns} FROM migrate.lint({})",
        literal(script)
    ))
}

/// The rules that find something.
#[track_caller]
fn rules(db: &Db, script: &str) -> Vec<String> {
    lint(db, "rule", script).concat()
}

/// One text for each finding, in a session with settings of its own.
#[track_caller]
fn asked(db: &Db, set: &str, column: &str, script: &str) -> Vec<String> {
    let mut client = db.connect();
    client.batch_execute(set).expect("a setting");
    let rows = client.query(
        &format!("SELECT {column} FROM migrate.lint($1)"),
        &[&script],
    );
    match rows {
        Ok(rows) => rows.iter().map(|row| row.get(0)).collect(),
        Err(error) => panic!("{}\nin: {script}", pg_migrate_tests::Failure::from(&error)),
    }
}
