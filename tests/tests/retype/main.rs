//! Type changes: what hangs on the columns is carried over, both ways, while applications write.

mod everything;
mod keys;
mod live;
mod metadata;
mod partitioned;
mod refused;

use pg_migrate_tests::{Db, Failure, cluster};

/// Registers and expands a document of its own revision.
#[track_caller]
fn apply(db: &Db, revision: &str, up: &str) {
    db.run(&document(revision, "", up));
}

fn document(revision: &str, after: &str, up: &str) -> String {
    let after = match after {
        "" => String::new(),
        parent => format!(" after {parent}"),
    };
    format!(
        "SELECT migrate.apply($document$-- migrate:revision {revision}{after}\n-- migrate:up\n{up}$document$)"
    )
}

/// From the beginning to the end of contract.
#[track_caller]
fn migrate(db: &Db, revision: &str, up: &str) {
    apply(db, revision, up);
    db.run("CALL migrate.upgrade()");
    db.run(&format!("CALL migrate.contract('{revision}')"));
}

#[track_caller]
fn refused(db: &Db, up: &str) -> Failure {
    db.error(&document("refused", "", up))
}

type Schema = Vec<Vec<String>>;

/// Everything of the application, as the fingerprint and a few more questions see it.
fn schema(db: &Db) -> Schema {
    let mut rows = db.rows("SELECT object, definition FROM migrate.fingerprint() ORDER BY 1");
    rows.extend(db.rows(
        "SELECT 'value of ' || schemaname || '.' || sequencename, coalesce(last_value::text, 'none')
         FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1",
    ));
    rows.extend(db.rows(
        "SELECT 'internal triggers of ' || tgrelid::regclass, count(*)::text
         FROM pg_trigger WHERE tgisinternal GROUP BY tgrelid ORDER BY 1",
    ));
    rows
}

/// A column that takes another's place comes last.
fn without_positions(schema: Schema) -> Schema {
    let strip = |text: String| match (text.find("position "), text.find(", ")) {
        (Some(0), Some(end)) => text[end + 2..].to_owned(),
        _ => text,
    };
    schema
        .into_iter()
        .map(|row| row.into_iter().map(strip).collect())
        .collect()
}

#[track_caller]
fn same(expected: &Schema, found: &Schema) {
    let differ: Vec<_> = expected
        .iter()
        .filter(|row| !found.contains(row))
        .map(|row| format!("- {row:?}"))
        .chain(
            found
                .iter()
                .filter(|row| !expected.contains(row))
                .map(|row| format!("+ {row:?}")),
        )
        .collect();
    assert!(
        differ.is_empty(),
        "the schema is not what it should be:\n{}",
        differ.join("\n")
    );
}

/// `migrate.test` finds nothing.
#[track_caller]
fn rehearsed(db: &Db, up: &str) {
    let differences = db.rows(&format!(
        "SELECT * FROM migrate.test($document$-- migrate:revision 1\n-- migrate:up\n{up}$document$)"
    ));
    assert!(differences.is_empty(), "{differences:#?}");
}

fn database(setup: &str) -> Db {
    let db = cluster().database();
    db.run(setup);
    db
}
