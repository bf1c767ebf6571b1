//! Several at one job: background workers beside the caller, and whoever comes along.

use super::{count_up, counted_once, finish, job, table, unfilled};
use pg_migrate_tests::{Cluster, cluster};

#[test]
fn a_call_brings_its_own_workers() {
    let db = cluster().database();
    table(&db);
    let id = count_up(&db, 5);
    db.run(&format!("CALL migrate.run_backfill({id}, workers => 3)"));
    counted_once(&db);
    let workers = db.rows("SELECT kind, state FROM migrate.worker");
    assert_eq!(workers, [["statement", "done"], ["statement", "done"]]);
    assert!(
        db.rows("SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_migrate worker' AND datname = current_database()")
            .is_empty()
    );
    let failure = db.error(&format!("CALL migrate.run_backfill({id}, 0)"));
    assert!(failure.message.contains("between 1 and 64"), "{failure:?}");
}

/// Each works on a range of its own while there are enough.
#[test]
fn ranges_are_spread_over_the_workers() {
    let db = cluster().database();
    // More than one piece.
    db.run(
        "CREATE TABLE t (id int, a text, b text) WITH (autovacuum_enabled = off);
         INSERT INTO t SELECT i, repeat('a', 1800), NULL FROM generate_series(1, 36000) i;",
    );
    let id = job(&db, "b = md5(a)", Some("b IS NULL"), 20);
    // Makes the ranges, and begins the first.
    db.run(&format!("SELECT migrate.backfill_batch({id})"));
    let mut first = db.connect();
    let mut second = db.connect();
    let batch = format!("BEGIN; SELECT migrate.backfill_batch({id})");
    first.batch_execute(&batch).unwrap();
    second.batch_execute(&batch).unwrap();
    first.batch_execute("COMMIT").unwrap();
    second.batch_execute("COMMIT").unwrap();
    let begun = "SELECT batches FROM migrate.backfill_range WHERE batches > 0 ORDER BY range";
    assert_eq!(db.rows(begun), [["1"], ["1"], ["1"]]);
    // Each goes on with its own, although the first range is free again.
    second.batch_execute(&batch).unwrap();
    second.batch_execute("COMMIT").unwrap();
    assert_eq!(db.rows(begun), [["1"], ["1"], ["2"]]);
    // What another has left long ago is taken, although its own is open and waits for somebody.
    db.run(
        "UPDATE migrate.backfill_range SET worked_at = now() - interval '1 minute' WHERE range = 1;
         UPDATE migrate.backfill_range SET retry_at = now() + interval '1 hour' WHERE batches = 2",
    );
    second.batch_execute(&batch).unwrap();
    second.batch_execute("COMMIT").unwrap();
    assert_eq!(db.rows(begun), [["2"], ["1"], ["2"]]);
    db.run(
        "UPDATE migrate.backfill_range SET worked_at = now() WHERE range = 1;
         UPDATE migrate.backfill_range SET retry_at = NULL WHERE range = 3",
    );
    // Who is new takes what nobody is at: here, what was begun long ago.
    db.run(
        "UPDATE migrate.backfill_range SET worked_at = now() - interval '1 minute' WHERE range = 3",
    );
    let mut third = db.connect();
    third.batch_execute(&batch).unwrap();
    third.batch_execute("COMMIT").unwrap();
    assert_eq!(db.rows(begun), [["2"], ["1"], ["3"]]);
    finish(&db, id);
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM t WHERE b IS DISTINCT FROM md5(a)"),
        0
    );
}

#[test]
fn too_few_slots_are_said_and_the_job_runs() {
    let own = Cluster::with(&[("max_worker_processes", "2")]);
    let db = own.database();
    table(&db);
    let id = job(&db, "b = a", Some("b IS NULL"), 20);
    let said = db
        .notices(&format!("CALL migrate.run_backfill({id}, 6)"))
        .join("\n");
    assert!(
        said.contains("of 6 workers") && said.contains("max_worker_processes"),
        "{said}"
    );
    assert_eq!(unfilled(&db), 0);
}

/// A transaction for each would cost more than they do; in somebody's own, each is to be let go of soon.
#[test]
fn small_partitions_share_a_batch() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE t (id int, a text, b text) PARTITION BY RANGE (id);
         DO $$ BEGIN FOR i IN 0..19 LOOP
             EXECUTE format('CREATE TABLE t%s PARTITION OF t FOR VALUES FROM (%s) TO (%s)', i, i * 100, (i + 1) * 100);
         END LOOP; END $$;
         INSERT INTO t SELECT i, 'v' || i FROM generate_series(0, 1999) i;",
    );
    let id = job(&db, "b = a", Some("b IS NULL"), 60_000);
    let mut session = db.connect();
    let mut batch = |sql: &str| -> i64 {
        session
            .batch_execute(&format!("{sql} SELECT migrate.backfill_batch({id})"))
            .unwrap();
        session.batch_execute("COMMIT").unwrap();
        db.one("SELECT rows_updated FROM migrate.progress")
    };
    assert_eq!(batch("BEGIN;"), 100);
    assert_eq!(batch(""), 2000);
    assert_eq!(
        db.one::<i64>("SELECT max(batches) FROM migrate.backfill_range"),
        1
    );
    finish(&db, id);
    assert_eq!(unfilled(&db), 0);
}
