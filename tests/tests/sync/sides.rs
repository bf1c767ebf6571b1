//! Sessions whose schema version is known: by the setting, by their role, by their search path.

use crate::{price, prices};
use pg_migrate_tests::Db;

/// Statement, and the pair that a session of the old and of the new side leaves. Row 1 is filled and
/// holds (1.7, 2).
const STATEMENTS: &[(&str, &str, &str)] = &[
    (
        "UPDATE m SET price = 8.2, whole = 3 WHERE id = 1",
        "8.2 8",
        "3 3",
    ),
    ("UPDATE m SET price = 8.2 WHERE id = 1", "8.2 8", "1.7 2"),
    ("UPDATE m SET whole = 3 WHERE id = 1", "1.7 2", "3 3"),
    ("UPDATE m SET whole = NULL WHERE id = 1", "1.7 2", "-1 NULL"),
    (
        "UPDATE m SET price = NULL WHERE id = 1",
        "NULL NULL",
        "1.7 2",
    ),
    ("UPDATE m SET note = 'x' WHERE id = 1", "1.7 2", "1.7 2"),
    (
        "UPDATE m SET price = price, whole = whole WHERE id = 1",
        "1.7 2",
        "1.7 2",
    ),
    (
        "DELETE FROM m WHERE id = 1; INSERT INTO m (id, price, whole) VALUES (1, 8.2, 3)",
        "8.2 8",
        "3 3",
    ),
    (
        "DELETE FROM m WHERE id = 1; INSERT INTO m (id, price) VALUES (1, 8.2)",
        "8.2 8",
        "-1 NULL",
    ),
    (
        "DELETE FROM m WHERE id = 1; INSERT INTO m (id, whole) VALUES (1, 3)",
        "NULL NULL",
        "3 3",
    ),
];

#[track_caller]
fn check(db: &Db, how: &str, old: &str, new: &str) {
    for (sql, of_old, of_new) in STATEMENTS {
        for (known, expected) in [(old, of_old), (new, of_new)] {
            db.run("DELETE FROM m WHERE id = 1; INSERT INTO m (id, price) VALUES (1, 1.7)");
            db.run(&format!("{known}; {sql}"));
            assert_eq!(price(db, 1), *expected, "{how}: {known}: {sql}");
        }
    }
}

#[test]
fn a_setting_says_it() {
    check(
        &prices(),
        "setting",
        "SET migrate.side = 'old'",
        "SET migrate.side = 'new'",
    );
}

#[test]
fn the_search_path_says_it() {
    let db = prices();
    db.run(&format!(
        "ALTER DATABASE {name} SET migrate.old_schemas = 'app_v0, app_v1';
         ALTER DATABASE {name} SET migrate.new_schemas = 'app_v2'",
        name = db.name()
    ));
    // Neither schema need exist.
    check(
        &db,
        "path",
        "SET search_path = app_v1, public",
        "SET search_path = public, \"app_v2\"",
    );
    // The word of the session itself goes before.
    check(
        &db,
        "both",
        "SET search_path = app_v2, public; SET migrate.side = 'old'",
        "SET search_path = app_v1, public; SET migrate.side = 'new'",
    );
}

#[test]
fn a_role_says_it() {
    let db = prices();
    let role = format!("app_{}", db.name());
    db.run(&format!(
        "CREATE ROLE {role} LOGIN; GRANT ALL ON m TO {role}; ALTER ROLE {role} SET migrate.side = 'old'"
    ));
    db.run_as(&role, "UPDATE m SET price = 8.2, whole = 3 WHERE id = 1");
    assert_eq!(price(&db, 1), "8.2 8");
}

/// Versions of an application as schemas of views, each session with its own in the path, changing
/// within one transaction.
#[test]
fn views_of_two_versions() {
    let db = prices();
    db.run(
        "CREATE SCHEMA v1; CREATE SCHEMA v2;
         CREATE VIEW v1.m AS SELECT id, price, note FROM public.m;
         CREATE VIEW v2.m AS SELECT id, whole, note FROM public.m",
    );
    let known = "SET migrate.old_schemas = 'v1'; SET migrate.new_schemas = 'v2'";
    db.run(&format!(
        "{known}; SET search_path = v1; UPDATE m SET price = 9.4 WHERE id = 1;
         SET search_path = v2; INSERT INTO m (id, note) VALUES (7, 'no price');
         UPDATE m SET whole = NULL WHERE id = 2; SET search_path = v1; UPDATE m SET note = 'x'"
    ));
    assert_eq!(price(&db, 1), "9.4 9");
    assert_eq!(price(&db, 2), "-1 NULL");
    assert_eq!(price(&db, 7), "-1 NULL");
}
