//! What a trace tells.

use crate::{only, tables, trace};
use serde_json::json;
use std::thread;

#[test]
fn a_rewrite_with_its_indexes() {
    let db = tables();
    let seen = only(
        &mut db.connect(),
        "ALTER TABLE t ALTER COLUMN a TYPE bigint",
    );
    assert_eq!(seen.state, "done", "{seen:#?}");
    assert_eq!(seen.kind, "ALTER TABLE");
    assert_eq!(seen.lock.as_deref(), Some("ACCESS EXCLUSIVE"));
    assert_eq!(seen.locks["public.t"], "ACCESS EXCLUSIVE", "{seen:#?}");
    assert_eq!(seen.locks["public.t_a"], "ACCESS EXCLUSIVE", "{seen:#?}");
    assert_eq!(seen.rewrites, ["public.t", "public.t_a", "public.t_pkey"]);
    assert_eq!(seen.scans, ["public.t"]);
    assert_eq!(seen.builds, ["t_pkey", "t_a"]);
    assert!(
        seen.evidence.contains(&"rewriting table \"t\"".to_owned()),
        "{seen:#?}"
    );
}

#[test]
fn what_was_checked_and_what_was_proven() {
    let db = tables();
    let mut client = db.connect();
    let seen = only(&mut client, "ALTER TABLE t ALTER COLUMN b SET NOT NULL");
    assert_eq!(seen.validates, ["t"]);
    assert_eq!(seen.scans, ["public.t"]);
    assert!(seen.rewrites.is_empty());
    let rows = trace(
        &mut client,
        "ALTER TABLE t ADD CONSTRAINT n CHECK (b IS NOT NULL) NOT VALID;
         ALTER TABLE t VALIDATE CONSTRAINT n;
         ALTER TABLE t ALTER COLUMN b SET NOT NULL;
         ALTER TABLE child DROP CONSTRAINT child_t_id_fkey, ADD CONSTRAINT again FOREIGN KEY (t_id) REFERENCES t;",
    );
    assert!(rows[0].scans.is_empty() && rows[0].validates.is_empty());
    assert_eq!(rows[1].scans, ["public.t"]);
    assert_eq!(rows[1].lock.as_deref(), Some("SHARE UPDATE EXCLUSIVE"));
    assert!(rows[2].scans.is_empty(), "{:#?}", rows[2]);
    assert!(rows[2].evidence[0].contains("sufficient to prove"));
    assert_eq!(rows[3].validates, ["again"]);
    assert_eq!(rows[3].locks["public.t"], "ACCESS EXCLUSIVE");
}

#[test]
fn what_is_dropped_keeps_its_lock() {
    let db = tables();
    let seen = only(&mut db.connect(), "DROP TABLE child");
    assert_eq!(seen.locks["public.child"], "ACCESS EXCLUSIVE", "{seen:#?}");
    assert_eq!(seen.locks["public.t"], "ACCESS EXCLUSIVE", "{seen:#?}");
    assert_eq!(seen.locks["public.child_pkey"], "ACCESS EXCLUSIVE");
    let renamed = only(&mut db.connect(), "ALTER TABLE t RENAME TO other");
    assert_eq!(renamed.locks["public.t"], "ACCESS EXCLUSIVE");
}

#[test]
fn objects_that_are_no_relations() {
    let db = tables();
    db.run("CREATE TYPE mood AS ENUM ('sad', 'ok')");
    let seen = only(&mut db.connect(), "ALTER TYPE mood ADD VALUE 'great'");
    assert_eq!(seen.locks, json!({"type public.mood": "EXCLUSIVE"}));
    assert_eq!(seen.lock, None);
    let gone = only(&mut db.connect(), "DROP TYPE mood");
    assert_eq!(
        gone.locks["type public.mood"], "ACCESS EXCLUSIVE",
        "{gone:#?}"
    );
}

#[test]
fn what_the_script_makes_is_locked_for_nobody() {
    let db = tables();
    let rows = trace(
        &mut db.connect(),
        "CREATE TABLE fresh (id int PRIMARY KEY, t_id int REFERENCES t);
         INSERT INTO fresh SELECT id, id FROM t;
         CREATE INDEX fresh_t ON fresh (t_id);",
    );
    assert_eq!(
        rows[0].locks,
        json!({"public.t": "SHARE ROW EXCLUSIVE", "public.t_pkey": "ACCESS SHARE", "schema public": "ACCESS SHARE"})
    );
    assert_eq!(rows[2].state, "done");
}

#[test]
fn through_a_do_block_and_a_function() {
    let db = tables();
    db.run("CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'CREATE INDEX t_b ON t (b)'; END $$");
    let seen = only(
        &mut db.connect(),
        "DO $$ BEGIN ALTER TABLE t ALTER COLUMN a TYPE bigint; PERFORM f(); END $$",
    );
    assert_eq!(seen.locks["public.t"], "ACCESS EXCLUSIVE");
    assert_eq!(seen.rewrites.len(), 3, "{seen:#?}");
    assert_eq!(
        seen.inside,
        [
            "ALTER TABLE t ALTER COLUMN a TYPE bigint",
            "CREATE INDEX t_b ON t (b)"
        ]
    );
    assert!(seen.builds.contains(&"t_b".to_owned()));
}

#[test]
fn a_lock_that_is_held_already_is_told_again() {
    let db = tables();
    let mut client = db.connect();
    let rows = trace(
        &mut client,
        "LOCK TABLE t; ALTER TABLE t ADD COLUMN x int; SELECT 1; CREATE INDEX ON t (a);",
    );
    assert_eq!(rows[1].locks["public.t"], "ACCESS EXCLUSIVE", "{rows:#?}");
    assert_eq!(rows[2].locks, json!({}), "{rows:#?}");
    assert_eq!(rows[3].locks["public.t"], "SHARE", "{rows:#?}");

    // Held by the transaction around the trace, and still held after it.
    let mut transaction = client.transaction().unwrap();
    transaction.batch_execute("LOCK TABLE t").unwrap();
    let rows = crate::traced(&mut transaction, "ALTER TABLE t ADD COLUMN x int").unwrap();
    assert_eq!(rows[0].locks["public.t"], "ACCESS EXCLUSIVE", "{rows:#?}");
    let held: i64 = transaction
        .query_one(
            "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 't'::regclass AND mode = 'AccessExclusiveLock'",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(held, 1);
}

#[test]
fn what_cannot_run_in_a_transaction_is_said() {
    let db = tables();
    let rows = trace(
        &mut db.connect(),
        "CREATE INDEX CONCURRENTLY t_b ON t (b); VACUUM FULL t; COMMIT; CHECKPOINT; PREPARE p AS SELECT 1;
         COPY t TO\n'/tmp/never_written'; COPY t TO STDOUT; SELECT 1;",
    );
    let states: Vec<&str> = rows.iter().map(|row| row.state.as_str()).collect();
    assert_eq!(
        states,
        [
            "not run", "not run", "not run", "not run", "not run", "not run", "not run", "done"
        ]
    );
    assert!(rows[0].detail.contains("transaction block"), "{rows:#?}");
    assert_eq!(rows[0].lock.as_deref(), Some("SHARE UPDATE EXCLUSIVE"));
    assert_eq!(rows[1].lock.as_deref(), Some("ACCESS EXCLUSIVE"));
    assert_eq!(rows[1].rewrites, ["public.t"]);
}

#[test]
fn a_failure_ends_the_script() {
    let db = tables();
    let rows = trace(
        &mut db.connect(),
        "SELECT 1; INSERT INTO t VALUES (1); ALTER TABLE t ADD COLUMN x int;",
    );
    assert_eq!(rows[1].state, "failed");
    assert!(rows[1].detail.contains("23505"), "{rows:#?}");
    assert_eq!(rows[2].state, "not reached");
}

#[test]
fn a_deferred_constraint_speaks_at_the_end() {
    let db = tables();
    db.run("ALTER TABLE child ALTER CONSTRAINT child_t_id_fkey DEFERRABLE INITIALLY DEFERRED");
    let rows = trace(&mut db.connect(), "INSERT INTO child VALUES (999, 999)");
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1].kind, "COMMIT");
    assert!(rows[1].detail.contains("23503"), "{rows:#?}");
}

#[test]
fn who_is_in_the_way() {
    let db = tables();
    let mut holder = db.connect();
    holder
        .batch_execute("BEGIN; SELECT count(*) FROM t")
        .unwrap();
    let pid: i32 = holder
        .query_one("SELECT pg_backend_pid()", &[])
        .unwrap()
        .get(0);
    let seen = only(&mut db.connect(), "ALTER TABLE t ADD COLUMN x int");
    assert_eq!(seen.state, "failed");
    assert!(seen.detail.contains("55P03"), "{seen:#?}");
    assert!(
        seen.blocked
            .iter()
            .any(|line| line.contains(&format!("pid {pid} "))
                && line.contains("holds ACCESS SHARE on public.t")),
        "{seen:#?}"
    );
    let later = only(&mut db.connect(), "VACUUM FULL t");
    assert_eq!(later.blocked.len(), 1, "{later:#?}");
    // Nothing stands in the way of this one.
    let free = only(&mut db.connect(), "CREATE INDEX ON t (b)");
    assert_eq!((free.state.as_str(), free.blocked.len()), ("done", 0));
}

#[test]
fn who_has_to_wait() {
    let db = tables();
    let other = db.clone();
    let reader = thread::spawn(move || {
        let mut client = other.connect();
        let pid: i32 = client
            .query_one("SELECT pg_backend_pid()", &[])
            .unwrap()
            .get(0);
        other.wait_for(
            "the trace's lock",
            60,
            "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE relation = 't'::regclass AND mode = 'AccessExclusiveLock' AND granted)",
        );
        client.batch_execute("SELECT count(*) FROM t").unwrap();
        pid
    });
    let seen = only(
        &mut db.connect(),
        "DO $$ BEGIN LOCK TABLE t; FOR i IN 1..600 LOOP PERFORM pg_sleep(0.1);
           EXIT WHEN EXISTS (SELECT 1 FROM pg_locks WHERE relation = 't'::regclass AND NOT granted); END LOOP; END $$",
    );
    let pid = reader.join().unwrap();
    assert!(
        seen.blocked
            .iter()
            .any(|line| line.contains(&format!("pid {pid} "))
                && line.contains("waits for ACCESS SHARE on public.t")),
        "{seen:#?}"
    );
}

#[test]
fn each_step_of_a_migration() {
    let db = tables();
    let document = "-- migrate:revision 1\n-- migrate:up\nALTER TABLE t RENAME COLUMN b TO d;\nCREATE INDEX t_c ON t (c);\nALTER TABLE t ALTER COLUMN a SET NOT NULL;\n";
    let before = db.rows("SELECT object, definition FROM migrate.fingerprint() ORDER BY 1, 2");
    let look = |client: &mut postgres::Client, what: &str| -> Vec<crate::Traced> {
        let rows = client
            .query("SELECT * FROM migrate.trace_migration($1)", &[&what])
            .unwrap_or_else(|error| panic!("{}", pg_migrate_tests::Failure::from(&error)));
        rows.iter().map(crate::Traced::from).collect()
    };
    let mut client = db.connect();
    let steps = look(&mut client, document);
    assert!(steps.len() > 5, "{steps:#?}");
    assert!(steps.iter().all(|step| step.state == "done"), "{steps:#?}");
    let index = steps
        .iter()
        .find(|step| step.sql.contains("t_c"))
        .expect("the index");
    assert_eq!(index.kind, "migrate concurrent");
    assert_eq!(index.builds, ["t_c"]);
    assert!(steps.iter().any(|step| step.kind == "migrate validate"
        && step.lock.as_deref() == Some("SHARE UPDATE EXCLUSIVE")
        && step.scans == ["public.t"]));
    assert!(steps.iter().any(|step| step.kind.starts_with("contract")));
    for step in &steps {
        assert!(step.rewrites.is_empty(), "{step:#?}");
    }
    assert_eq!(
        db.rows("SELECT object, definition FROM migrate.fingerprint() ORDER BY 1, 2"),
        before
    );
    assert!(db.rows("SELECT 1 FROM migrate.revision").is_empty());
    // By its name, once it is registered.
    client
        .execute("SELECT migrate.add($1)", &[&document])
        .unwrap();
    assert_eq!(look(&mut client, "1").len(), steps.len());
    assert_eq!(db.rows("SELECT state FROM migrate.revision"), [["pending"]]);
}
