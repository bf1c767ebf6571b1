//! The operations of pgroll's published JSON format, with all of their fields: up, taken back before
//! contract, up, contracted, taken back, up again.

mod drops;
mod fields;
mod refused;
mod together;
mod translated;

use pg_migrate_tests::{Db, cluster};

/// Two tables with rows, on which every operation has something to do.
fn shop() -> Db {
    let db = cluster().database();
    db.run(
        "CREATE TABLE owners (id int PRIMARY KEY, code text NOT NULL, zip int NOT NULL,
             CONSTRAINT owners_code UNIQUE (code), CONSTRAINT owners_place UNIQUE (code, zip));
         INSERT INTO owners SELECT g, 'code' || g, g FROM generate_series(1, 50) g;
         CREATE TABLE items (id bigint PRIMARY KEY, qty int NOT NULL DEFAULT 1, owner int, owner_code text, note text, label text);
         INSERT INTO items SELECT g, g % 7, g % 60 + 1, 'code' || (g % 60 + 1),
             CASE WHEN g % 5 > 0 THEN repeat('n', g % 6) END, 'label' || g FROM generate_series(1, 300) g;
         ANALYZE owners, items",
    );
    db
}

fn document(operations: &str) -> String {
    format!(r#"{{"name": "1", "operations": [{operations}]}}"#)
}

#[track_caller]
fn apply(db: &Db, operations: &str) {
    db.run(&format!(
        "SELECT migrate.apply($document${}$document$)",
        document(operations)
    ));
}

#[track_caller]
fn up(db: &Db, operations: &str) {
    apply(db, operations);
    db.run("CALL migrate.upgrade()");
}

fn state(db: &Db) -> String {
    db.one("SELECT state FROM migrate.revision WHERE revision = '1'")
}

/// Contracts where there is something to contract.
#[track_caller]
fn finish(db: &Db) {
    if state(db) == "expanded" {
        db.run("CALL migrate.contract('1')");
    }
    assert_eq!(state(db), "applied");
}

/// Without the positions of columns: one that is put beside another comes last.
fn schema(db: &Db) -> Vec<Vec<String>> {
    db.rows(
        r"SELECT object, regexp_replace(definition, '^position \d+, ', '') FROM migrate.fingerprint() ORDER BY 1",
    )
}

fn object(db: &Db, name: &str) -> String {
    db.one(&format!(
        "SELECT coalesce(string_agg(definition, ''), 'no such object') FROM migrate.fingerprint() WHERE object = '{name}'"
    ))
}

#[track_caller]
fn same(what: &str, before: &[Vec<String>], after: &[Vec<String>]) {
    let differ: Vec<_> = before
        .iter()
        .filter(|row| !after.contains(row))
        .map(|row| format!("- {row:?}"))
        .chain(
            after
                .iter()
                .filter(|row| !before.contains(row))
                .map(|row| format!("+ {row:?}")),
        )
        .collect();
    assert!(differ.is_empty(), "{what}:\n{}", differ.join("\n"));
}

/// Every turn a migration can take, with the schema compared at each; leaves it applied.
#[track_caller]
fn turns(db: &Db, operations: &str) {
    let rehearsed = db.rows(&format!(
        r"SELECT turn, object, expected, found FROM migrate.test($document${}$document$)
          WHERE regexp_replace(expected, '^position \d+, ', '') IS DISTINCT FROM regexp_replace(found, '^position \d+, ', '')",
        document(operations)
    ));
    assert!(rehearsed.is_empty(), "{operations}: {rehearsed:#?}");
    let before = schema(db);
    up(db, operations);
    db.run("CALL migrate.downgrade('base')");
    same("taken back before contract", &before, &schema(db));
    db.run("CALL migrate.upgrade()");
    finish(db);
    let after = schema(db);
    db.run("CALL migrate.downgrade('base')");
    same("taken back", &before, &schema(db));
    db.run("CALL migrate.upgrade()");
    finish(db);
    same("up again", &after, &schema(db));
}

/// The warnings of a plan, with the phase of each step.
fn plan(db: &Db, operations: &str) -> Vec<Vec<String>> {
    db.rows(&format!(
        "SELECT phase, sql, coalesce(warning, '') FROM migrate.plan($document${}$document$) ORDER BY step",
        document(operations)
    ))
}
