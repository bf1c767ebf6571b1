//! That a trace leaves nothing behind, and needs no more rights than its caller has.

use crate::{only, tables, trace};
use pg_migrate_tests::{Cluster, Failure};

#[test]
fn neither_schema_nor_rows_nor_locks_nor_settings() {
    let db = tables();
    let before = db.rows("SELECT object, definition FROM migrate.fingerprint() ORDER BY 1, 2");
    let mut client = db.connect();
    let mut transaction = client.transaction().unwrap();
    let script = "SET search_path = pg_catalog; SET lock_timeout = '7s'; ALTER TABLE public.t ADD COLUMN x int; DELETE FROM public.child;
                  SELECT pg_advisory_lock(42); SELECT pg_advisory_lock_shared(7, 8); NOTIFY bell; LISTEN bell; DECLARE k CURSOR WITH HOLD FOR SELECT 1;";
    let rows = crate::traced(&mut transaction, script).unwrap();
    assert!(rows.iter().all(|row| row.state == "done"), "{rows:#?}");
    // The table is not locked any more while the caller's transaction goes on.
    let held: Vec<String> = transaction
        .query(
            "SELECT coalesce(relation::regclass::text, locktype) FROM pg_locks WHERE pid = pg_backend_pid() \
             AND (relation >= 16384 OR locktype NOT IN ('relation', 'virtualxid', 'transactionid'))",
            &[],
        )
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert!(held.is_empty(), "{held:?}");
    let show = |transaction: &mut postgres::Transaction, name: &str| -> String {
        transaction
            .query_one(&format!("SHOW {name}"), &[])
            .unwrap()
            .get(0)
    };
    assert_eq!(show(&mut transaction, "lock_timeout"), "0");
    assert_eq!(show(&mut transaction, "search_path"), "\"$user\", public");
    assert_eq!(show(&mut transaction, "log_min_messages"), "warning");
    for empty in [
        "pg_listening_channels()",
        "pg_cursors",
        "pg_prepared_statements WHERE name = 'p'",
    ] {
        let found: i64 = transaction
            .query_one(&format!("SELECT count(*) FROM {empty}"), &[])
            .unwrap()
            .get(0);
        let own = i64::from(empty == "pg_cursors");
        assert!(found <= own, "{empty}: {found}");
    }
    transaction.commit().unwrap();
    assert_eq!(
        db.rows("SELECT object, definition FROM migrate.fingerprint() ORDER BY 1, 2"),
        before
    );
    assert_eq!(db.one::<i64>("SELECT count(*) FROM child"), 200);
}

#[test]
fn settings_of_the_script_hold_for_what_follows_in_it() {
    let db = tables();
    db.run("CREATE SCHEMA s; CREATE TABLE s.only_there (a int)");
    let rows = trace(
        &mut db.connect(),
        "SET search_path = s; ALTER TABLE only_there ADD COLUMN b int;",
    );
    assert_eq!(rows[1].state, "done", "{rows:#?}");
    assert_eq!(rows[1].locks["s.only_there"], "ACCESS EXCLUSIVE");
}

#[test]
fn what_no_rollback_takes_back_is_said() {
    let db = tables();
    db.run("CREATE SEQUENCE q; CREATE TABLE own (id int GENERATED ALWAYS AS IDENTITY, a int)");
    let rows = trace(
        &mut db.connect(),
        "SELECT nextval('q'); INSERT INTO own (a) VALUES (1); ALTER SEQUENCE q RESTART;",
    );
    assert_eq!(rows[0].remains, ["sequence public.q has moved on"]);
    assert_eq!(rows[1].remains, ["sequence public.own_id_seq has moved on"]);
    assert!(rows[2].remains.is_empty(), "{rows:#?}");
}

#[test]
fn with_the_rights_of_the_caller() {
    let db = tables();
    db.run("DROP ROLE IF EXISTS tracer; CREATE ROLE tracer LOGIN; CREATE TABLE secret (a int); GRANT USAGE ON SCHEMA migrate TO tracer");
    let mut client = db.connect_as("tracer");
    let seen = only(&mut client, "ALTER TABLE t ADD COLUMN x int");
    assert_eq!(seen.state, "failed", "{seen:#?}");
    assert!(seen.detail.contains("42501"), "{seen:#?}");
    let seen = only(&mut client, "SET log_min_messages = 'error'");
    assert!(seen.detail.contains("42501"), "{seen:#?}");
    let seen = only(&mut client, "CREATE TEMP TABLE mine (a int)");
    assert_eq!(seen.state, "done", "{seen:#?}");
    let rows = trace(&mut client, "SET ROLE postgres");
    assert!(rows[0].detail.contains("42501"), "{rows:#?}");
}

#[test]
fn the_log_stays_as_it_was() {
    let own = Cluster::own();
    let db = own.database();
    db.run(crate::TABLES);
    let said = db.notices(
        "SELECT migrate.trace('ALTER TABLE t ALTER COLUMN a TYPE bigint; DROP TABLE IF EXISTS nosuch; DO $$ BEGIN RAISE LOG ''heard in the log''; END $$')",
    );
    assert!(
        said.iter()
            .any(|line| line.contains("does not exist, skipping")),
        "{said:?}"
    );
    assert!(
        said.iter()
            .all(|line| !line.contains("own a lock") && !line.contains("rewriting")),
        "{said:?}"
    );
    let log = own.log();
    assert!(log.contains("heard in the log"));
    for silent in ["rewriting table", "building index", "DEBUG", "own a lock"] {
        assert!(!log.contains(silent), "{silent} in the log");
    }
}

#[test]
fn a_cancel_and_a_timeout_end_it() {
    let db = tables();
    let failure = db.error("SET statement_timeout = '200ms'; SELECT migrate.trace('ALTER TABLE t ADD COLUMN x int; SELECT pg_sleep(60)')");
    assert_eq!(failure.sqlstate, "57014", "{failure}");
    // The ear is closed again: the next trace works, and so does the session.
    let mut client = db.connect();
    client
        .batch_execute("SET statement_timeout = '200ms'")
        .unwrap();
    let error = crate::traced(&mut client, "SELECT pg_sleep(60)").unwrap_err();
    assert_eq!(Failure::from(&error).sqlstate, "57014");
    client.batch_execute("RESET statement_timeout").unwrap();
    assert_eq!(
        only(&mut client, "ALTER TABLE t ALTER COLUMN a TYPE bigint")
            .rewrites
            .len(),
        3
    );
}

#[test]
fn a_trace_within_a_trace() {
    let db = tables();
    let rows = trace(
        &mut db.connect(),
        "SELECT * FROM migrate.trace('ALTER TABLE t ALTER COLUMN a TYPE bigint'); ALTER TABLE t ALTER COLUMN a TYPE bigint;",
    );
    assert!(rows[0].locks.get("public.t").is_none(), "{rows:#?}");
    assert_eq!(rows[1].builds.len(), 2, "{rows:#?}");
}
