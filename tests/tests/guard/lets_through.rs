//! What it must never stand in the way of.

use crate::{UNSAFE, guarded};
use pg_migrate_tests::Cluster;

#[test]
fn what_is_safe() {
    let db = guarded("error");
    for sql in [
        "ALTER TABLE t ADD COLUMN z int DEFAULT 5",
        "ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0) NOT VALID",
        "ALTER TABLE t VALIDATE CONSTRAINT k",
        "CREATE INDEX CONCURRENTLY t_b ON t (b)",
        "REINDEX INDEX CONCURRENTLY t_b",
        "DROP INDEX CONCURRENTLY t_b",
        "ALTER TABLE t ALTER COLUMN b TYPE varchar",
        "ANALYZE t",
        "VACUUM t",
        "CREATE TABLE u (id int PRIMARY KEY, t_id int REFERENCES t)",
        "CREATE VIEW v AS SELECT * FROM t",
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM t",
        "GRANT SELECT ON t TO public",
        "SET work_mem = '8MB'",
    ] {
        db.run(sql);
    }
}

#[test]
fn what_nobody_else_uses() {
    let db = guarded("error");
    db.run("CREATE TABLE empty (id int, a int); ALTER TABLE empty ALTER COLUMN a TYPE bigint; CREATE INDEX ON empty (a)");
    db.run("ALTER TABLE empty ALTER COLUMN a TYPE text");
    db.run("CREATE TEMP TABLE tmp AS SELECT * FROM t; CREATE INDEX ON tmp (a); ALTER TABLE tmp ALTER COLUMN a TYPE bigint");
    let mut client = db.connect();
    client
        .batch_execute("CREATE TEMP TABLE tmp AS SELECT * FROM t")
        .unwrap();
    client
        .batch_execute("ALTER TABLE tmp ALTER COLUMN a TYPE bigint")
        .unwrap();
    client
        .batch_execute("BEGIN; CREATE TABLE fresh AS SELECT * FROM t; ALTER TABLE fresh ADD PRIMARY KEY (id); SAVEPOINT s; CREATE INDEX ON fresh (a); COMMIT")
        .unwrap();
    // From the next transaction on it is a table like any other.
    let error = client
        .batch_execute("CREATE INDEX ON fresh (b)")
        .unwrap_err();
    assert_eq!(error.code().map(|code| code.code()), Some("MG001"));
}

#[test]
fn extensions_and_this_one() {
    let db = guarded("error");
    db.run("CREATE EXTENSION citext; DROP EXTENSION citext");
    db.run("DROP EXTENSION pg_migrate; CREATE EXTENSION pg_migrate");
    db.run("SELECT migrate.apply($d$-- migrate:revision 1\n-- migrate:up\nALTER TABLE t ALTER COLUMN a TYPE bigint;\nCREATE INDEX t_b ON t (b);\nALTER TABLE t ALTER COLUMN b SET NOT NULL;\n$d$)");
    db.run("CALL migrate.upgrade()");
    db.run("CALL migrate.contract('1')");
    assert_eq!(db.rows("SELECT state FROM migrate.status"), [["applied"]]);
    db.run("SELECT migrate.apply($d$-- migrate:revision 2 after 1\n-- migrate:up\n-- migrate:as-written\nCREATE INDEX again ON t (b);\n$d$)");
    db.run("SELECT migrate.test($d$-- migrate:revision 3 after 2\n-- migrate:up\nALTER TABLE t ADD COLUMN q int;\n$d$)");
    let state = db.rows(&format!(
        "SELECT state FROM migrate.trace('{UNSAFE} USING a::bigint; CREATE INDEX ON t (b)')"
    ));
    assert_eq!(state, [["done"], ["done"]]);
}

#[test]
fn what_another_server_did() {
    let db = guarded("error");
    db.run("SET session_replication_role = replica; ALTER TABLE t ALTER COLUMN a TYPE bigint");
}

#[test]
fn what_cannot_be_anyway() {
    let db = guarded("error");
    let failure = db.error(&format!("BEGIN READ ONLY; {UNSAFE}"));
    assert_eq!(failure.sqlstate, "25006", "{failure}");
}

/// With the library in every session of the server, the postmaster's own included.
#[test]
fn the_library_preloaded_for_all() {
    let own = Cluster::with(&[
        ("shared_preload_libraries", "pg_migrate"),
        ("migrate.guard", "error"),
    ]);
    let db = own.empty_database();
    // The guard needs nothing of the extension but its library.
    db.run(
        "CREATE TABLE t (id int, a int); INSERT INTO t SELECT g, g FROM generate_series(1, 100) g",
    );
    assert_eq!(db.error(UNSAFE).sqlstate, "MG001");
    db.run("CREATE EXTENSION pg_migrate");
    assert_eq!(db.error(UNSAFE).sqlstate, "MG001");
    db.run("SELECT migrate.apply($d$-- migrate:revision 1\n-- migrate:up\nCREATE INDEX t_a ON t (a);\n$d$)");
    db.run("CALL migrate.upgrade()");
    for sql in ["VACUUM", "ANALYZE"] {
        db.run(sql);
    }
}

#[test]
fn restoring_a_dump() {
    let db = guarded("error");
    let folder = tempfile::tempdir().expect("a folder");
    let archive = folder.path().join("dump");
    let script = folder.path().join("dump.sql");
    for (format, file) in [("-Fc", &archive), ("-Fp", &script)] {
        let done = db
            .client_command("pg_dump")
            .args([format, "-t", "t", "-f"])
            .arg(file)
            .output()
            .expect("pg_dump");
        assert!(done.status.success(), "{done:?}");
    }
    let back = |program: &str, arguments: &[&str], file: &std::path::Path| {
        db.run("DROP TABLE IF EXISTS t");
        let done = db
            .client_command(program)
            .args(arguments)
            .arg(file)
            .output()
            .expect("it starts");
        assert!(done.status.success(), "{program} {arguments:?}: {done:?}");
        assert_eq!(
            db.one::<i64>("SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass"),
            2
        );
    };
    let name = db.name().to_owned();
    back("pg_restore", &["-d", &name], &archive);
    back("pg_restore", &["-1", "-d", &name], &archive);
    back("pg_restore", &["-j", "2", "-d", &name], &archive);
    back("psql", &["-X", "-v", "ON_ERROR_STOP=1", "-f"], &script);
}
