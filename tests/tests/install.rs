//! CREATE EXTENSION, DROP EXTENSION, and what a dump carries.

use std::process::Command;

use pg_migrate_tests::cluster;

const LEFT: &str = "SELECT (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'migrate%')
    + (SELECT count(*) FROM pg_event_trigger) + (SELECT count(*) FROM pg_proc p
       JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'public')";

#[test]
fn dropping_the_extension_leaves_nothing_and_it_can_come_back() {
    let db = cluster().empty_database();
    assert_eq!(db.one::<i64>(LEFT), 0);
    db.run("CREATE EXTENSION pg_migrate");
    assert!(db.one::<i64>(LEFT) > 0);
    db.run("DROP EXTENSION pg_migrate");
    assert_eq!(db.one::<i64>(LEFT), 0);
    db.run("CREATE EXTENSION pg_migrate");
}

#[test]
fn everything_in_the_schema_belongs_to_the_extension() {
    let db = cluster().database();
    let strangers = db.rows(
        "SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'migrate' AND c.relkind IN ('r', 'v', 'S')
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('e', 'i'))",
    );
    assert!(strangers.is_empty(), "{strangers:?}");
}

#[test]
fn a_dump_carries_every_table_and_sequence() {
    let db = cluster().database();
    let missing = db.rows(
        "SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'migrate' AND c.relkind IN ('r', 'S')
           AND NOT EXISTS (SELECT FROM pg_extension e
                           WHERE e.extname = 'pg_migrate' AND c.oid = ANY (e.extconfig))",
    );
    assert!(missing.is_empty(), "not dumped: {missing:?}");
}

#[test]
fn dump_and_restore_keep_the_history() {
    let (db, copy) = (cluster().database(), cluster().empty_database());
    db.run(
        "INSERT INTO migrate.revision (revision, document, checksum, owner, login, state)
         VALUES ('0001', '{}', 'c', 10, 10, 'applied')",
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    run(db
        .client_command("pg_dump")
        .arg("-Fc")
        .arg("-f")
        .arg(file.path()));
    run(copy
        .client_command("pg_restore")
        .args(["--exit-on-error", "-d", copy.name()])
        .arg(file.path()));
    assert_eq!(
        copy.rows("SELECT revision, state FROM migrate.revision"),
        [["0001", "applied"]]
    );
    // The sequence came along: the next row does not collide with the restored one.
    copy.run(
        "INSERT INTO migrate.revision (revision, document, checksum, owner, login) VALUES ('0002', '{}', 'd', 10, 10)",
    );
    assert_eq!(
        copy.one::<i64>("SELECT count(DISTINCT ordinal) FROM migrate.revision"),
        2
    );
}

#[test]
fn the_installed_version_is_the_newest() {
    let db = cluster().database();
    let [row] = &db.rows(
        "SELECT installed_version, default_version FROM pg_available_extensions WHERE name = 'pg_migrate'",
    )[..] else {
        panic!("the extension is not available")
    };
    assert_eq!(row[0], row[1]);
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
