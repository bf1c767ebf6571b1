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

/// A migration that was begun goes on in the restored database, under the same roles by name.
#[test]
fn a_migration_in_flight_survives_dump_and_restore() {
    let (db, copy) = (cluster().database(), cluster().empty_database());
    let role = format!("{}_owner", db.name());
    db.run(&format!(
        "CREATE ROLE {role} LOGIN; GRANT CREATE ON SCHEMA public TO {role}; SELECT migrate.grant_to('{role}')"
    ));
    db.run_as(
        &role,
        "CREATE TABLE users (id int PRIMARY KEY, username text);
         INSERT INTO users SELECT g, 'u' || g FROM generate_series(1, 20000) g;
         CREATE TABLE gone (id int PRIMARY KEY); INSERT INTO gone VALUES (1);
         SELECT migrate.apply('-- migrate:revision 1\nDROP TABLE gone;')",
    );
    db.run_as(&role, "CALL migrate.contract('1')");
    db.run_as(
        &role,
        "SELECT migrate.apply('-- migrate:revision 2 after 1\nALTER TABLE users RENAME COLUMN username TO email;')",
    );
    db.run_as(&role, "SELECT migrate.backfill_batch()");
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
    copy.run(&format!("SELECT migrate.grant_to('{role}')"));
    copy.run_as(&role, "INSERT INTO users (id, email) VALUES (-1, 'new'), (-2, 'newer'); UPDATE users SET username = 'old' WHERE id = 7");
    copy.run_as(&role, "CALL migrate.upgrade()");
    copy.run_as(&role, "CALL migrate.contract('2')");
    assert_eq!(
        copy.rows("SELECT count(*), count(*) FILTER (WHERE email = 'u' || id), count(*) FILTER (WHERE email IN ('new', 'newer', 'old')) FROM users"),
        [["20002", "19999", "3"]]
    );
    // What was set aside comes back there.
    copy.run_as(&role, "CALL migrate.downgrade('base')");
    assert_eq!(copy.rows("SELECT id FROM gone"), [["1"]]);
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
