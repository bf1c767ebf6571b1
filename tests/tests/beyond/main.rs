//! Operations beyond pgroll's format: every one up, back before contract, up, contract, back, up.

mod counted;
mod merge;
mod objects;
mod split;
mod views;

use pg_migrate_tests::{Db, cluster};

pub fn database(sql: &str) -> Db {
    let db = cluster().database();
    db.run(sql);
    db
}

pub fn fingerprint(db: &Db) -> Vec<Vec<String>> {
    db.rows("SELECT object, definition FROM migrate.fingerprint() ORDER BY 1")
}

/// What of one schema the other has not, and the reverse.
pub fn differences(before: &[Vec<String>], after: &[Vec<String>]) -> Vec<String> {
    let gone = before
        .iter()
        .filter(|row| !after.contains(row))
        .map(|row| format!("- {row:?}"));
    let come = after
        .iter()
        .filter(|row| !before.contains(row))
        .map(|row| format!("+ {row:?}"));
    gone.chain(come).collect()
}

#[track_caller]
pub fn same(what: &str, before: &[Vec<String>], after: &[Vec<String>]) {
    let found = differences(before, after);
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

pub fn apply(db: &Db, document: &str) {
    db.run(&format!(
        "SELECT migrate.apply($document${document}$document$)"
    ));
}

/// A document of the operations.
pub fn json(operations: &str) -> String {
    format!(r#"{{"revision": "1", "operations": [{operations}]}}"#)
}

pub fn script(sql: &str) -> String {
    format!("-- migrate:revision 1\n-- migrate:up\n{sql}")
}

#[track_caller]
pub fn rehearsed(db: &Db, document: &str) {
    let found = db.rows(&format!(
        "SELECT * FROM migrate.test($document${document}$document$)"
    ));
    assert!(found.is_empty(), "migrate.test: {found:#?}");
}

pub fn finish(db: &Db) {
    if db.one::<String>("SELECT state FROM migrate.status WHERE revision = '1'") == "expanded" {
        db.run("CALL migrate.contract('1')");
    }
}

/// The document goes every way; `described` looks at the database while it is applied.
#[track_caller]
pub fn ways(db: &Db, document: &str, described: impl Fn(&Db)) {
    rehearsed(db, document);
    turns(db, document, described);
}

/// The same without the rehearsal.
#[track_caller]
pub fn turns(db: &Db, document: &str, described: impl Fn(&Db)) {
    let before = fingerprint(db);
    apply(db, document);
    db.run("CALL migrate.upgrade()");
    db.run("CALL migrate.downgrade('base')");
    same("rolled back before contract", &before, &fingerprint(db));
    db.run("CALL migrate.upgrade()");
    finish(db);
    described(db);
    let applied = fingerprint(db);
    db.run("CALL migrate.downgrade('base')");
    same("taken back after contract", &before, &fingerprint(db));
    db.run("CALL migrate.upgrade()");
    finish(db);
    same("applied again", &applied, &fingerprint(db));
    described(db);
}

/// The statements as a migration end in the schema in which they end alone.
#[track_caller]
pub fn as_alone(fixture: &str, sql: &str) {
    let alone = database(fixture);
    alone.run(sql);
    let migrated = database(fixture);
    apply(&migrated, &script(sql));
    migrated.run("CALL migrate.upgrade()");
    finish(&migrated);
    same(sql, &fingerprint(&alone), &fingerprint(&migrated));
}
