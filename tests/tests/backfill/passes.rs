//! Rows that move: rewrites of the table in the middle of a job, and writers without a trigger.

use super::{ROWS, copy, count_up, finish, keep_in_sync, table, unfilled};
use pg_migrate_tests::cluster;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Rows move behind the cursor, and no trigger fills them: only the look at the end finds them.
#[test]
fn without_a_trigger_passes_repeat_until_nothing_is_left() {
    let db = cluster().database();
    table(&db);
    db.run("DELETE FROM t WHERE id <= 5000");
    db.run("VACUUM t");
    let id = copy(&db, 1);
    while db.one::<i64>("SELECT count(b) FROM t") < 1000 {
        db.run("SELECT migrate.backfill_batch()");
    }
    // The new versions go where the room is: to the front.
    db.run("UPDATE t SET pad = pad || 'y', id = id + 100000 WHERE id BETWEEN 15001 AND 15200");
    let moved = "SELECT count(*) FROM t WHERE id > 100000 AND (ctid::text::point)[0] < (SELECT next_block FROM migrate.backfill_range WHERE range = 1)";
    assert!(db.one::<i64>(moved) > 100, "the rows did not move");
    finish(&db, id);
    assert_eq!(unfilled(&db), 0);
    assert!(db.one::<i32>("SELECT pass FROM migrate.progress") > 1);
}

#[test]
fn a_verification_leaves_out_what_is_quarantined() {
    let db = cluster().database();
    table(&db);
    db.run("UPDATE t SET n = 1; UPDATE t SET n = 0 WHERE id = 10; ALTER TABLE t ADD m int");
    let id = db.one::<i64>("SELECT migrate.backfill('t', 'm = 10 / n')");
    finish(&db, id);
    assert_eq!(
        db.rows("SELECT state, pass, quarantined FROM migrate.progress"),
        [["done with 1 quarantined", "1", "1"]]
    );
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM t WHERE m = 10"),
        ROWS - 1
    );
}

/// VACUUM FULL, CLUSTER and their like put every row elsewhere.
#[test]
fn a_rewrite_in_the_middle_begins_the_table_again() {
    for rewrite in ["VACUUM FULL t", "CLUSTER t USING t_desc"] {
        let db = cluster().database();
        table(&db);
        db.run("CREATE INDEX t_desc ON t (id DESC); DELETE FROM t WHERE id % 10 = 0;");
        keep_in_sync(&db);
        let id = copy(&db, 3);
        while db.one::<i64>("SELECT count(b) FROM t") < ROWS / 2 {
            db.run("SELECT migrate.backfill_batch()");
        }
        db.run(rewrite);
        finish(&db, id);
        assert_eq!(unfilled(&db), 0, "{rewrite}");
        assert!(db.one::<bool>("SELECT bool_or(kind = 'stale') AND NOT bool_or(kind = 'verify') FROM migrate.backfill_range"));
    }
}

/// This one gives every row a new version as well.
#[test]
fn a_rewrite_by_alter_table_begins_the_table_again() {
    let db = cluster().database();
    table(&db);
    let id = count_up(&db, 5);
    while db.one::<i64>("SELECT count(ok) FROM t") < ROWS / 2 {
        db.run("SELECT migrate.backfill_batch()");
    }
    db.run("DELETE FROM t WHERE id % 10 = 0; ALTER TABLE t ALTER n TYPE bigint");
    finish(&db, id);
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM t WHERE n = 1 AND ok"),
        ROWS / 10 * 9
    );
}

#[test]
fn rewrites_and_truncation_while_several_work() {
    let db = cluster().database();
    table(&db);
    keep_in_sync(&db);
    let id = copy(&db, 3);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let callers: Vec<_> = (0..3).map(|_| scope.spawn(|| finish(&db, id))).collect();
        scope.spawn(|| {
            for _ in 0..5 {
                if !done.load(Ordering::Relaxed) {
                    db.run("VACUUM FULL t");
                }
            }
        });
        for caller in callers {
            caller.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(unfilled(&db), 0);
    let id = db.one::<i64>("SELECT migrate.backfill('t', 'pad = upper(a)')");
    db.run(&format!("SELECT migrate.backfill_batch({id})"));
    db.run("TRUNCATE t; INSERT INTO t (id, a) SELECT i, 'w' || i FROM generate_series(1, 500) i");
    finish(&db, id);
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM t WHERE pad = upper(a) AND b = a"),
        500
    );
}

/// Writers that know nothing of the new column; after the last of them a pass settles all.
#[test]
fn writers_all_along_without_a_trigger() {
    let db = cluster().database();
    table(&db);
    let id = db.one::<i64>("SELECT migrate.backfill('t', 'b = a', NULL, 10)");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for writer in 0..3 {
            let (db, stop) = (&db, &stop);
            scope.spawn(move || {
                let mut client = db.connect();
                let mut turn = 0;
                while !stop.load(Ordering::Relaxed) {
                    turn += 1;
                    let key = (turn * 7919 + writer) % 20_000 + 1;
                    let sql = format!(
                        "UPDATE t SET a = 'w{writer}-{turn}', pad = pad || 'z' WHERE id = {key}"
                    );
                    client.batch_execute(&sql).unwrap();
                }
            });
        }
        let mut batches = 0;
        while batches < 60 {
            db.run("SELECT migrate.backfill_batch()");
            batches += 1;
        }
        stop.store(true, Ordering::Relaxed);
    });
    finish(&db, id);
    assert_eq!(unfilled(&db), 0);
}

/// What was written past the trigger while it was off may lie anywhere, beyond the end of the scan too.
#[test]
fn a_trigger_that_was_off_for_a_while_costs_a_pass() {
    let db = cluster().database();
    table(&db);
    keep_in_sync(&db);
    let id = copy(&db, 3);
    db.run("SELECT migrate.backfill_batch()");
    db.run(&format!(
        "ALTER TABLE t DISABLE TRIGGER USER;
         INSERT INTO t (id, a) SELECT i, 'late' FROM generate_series({ROWS} + 1, {ROWS} + 500) i;
         ALTER TABLE t ENABLE ALWAYS TRIGGER \"~~pg_migrate_sync_a~b\""
    ));
    finish(&db, id);
    assert_eq!(unfilled(&db), 0);
}

/// Another access method: no ranges of blocks, so rows are walked in the order of a key.
#[test]
fn other_access_methods_are_walked_by_key() {
    let db = cluster().database();
    db.run(
        "CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler;
         CREATE TABLE t (grp text NOT NULL, \"Id\" bigint NOT NULL, a text, b text, n int NOT NULL DEFAULT 0, ok boolean,
                         UNIQUE (grp, \"Id\")) USING other;
         INSERT INTO t SELECT 'g''' || i % 3, i, 'v' || i FROM generate_series(1, 20000) i;",
    );
    db.run("VACUUM ANALYZE t");
    let id = count_up(&db, 5);
    let mut locker = db.connect();
    locker
        .batch_execute("BEGIN; SELECT FROM t WHERE \"Id\" = 777 FOR UPDATE")
        .unwrap();
    db.run("SELECT migrate.backfill_batch()");
    db.run("BEGIN; SELECT migrate.backfill_batch(); ROLLBACK");
    let done = db.one::<i64>("SELECT count(*) FROM t WHERE ok");
    assert!((1..ROWS).contains(&done), "{done}");
    assert_eq!(
        db.rows("SELECT kind, after IS NOT NULL FROM migrate.backfill_range"),
        [["keys", "t"]]
    );
    locker.batch_execute("COMMIT").unwrap();
    db.run("VACUUM FULL t");
    finish(&db, id);
    assert_eq!(
        db.rows("SELECT n, ok, count(*) FROM t GROUP BY 1, 2"),
        [["1", "t", "20000"]]
    );
    // With a trigger too the table is looked through at the end: locked rows are not remembered here.
    db.run("SELECT migrate.sync_column_trigger('t', 'a', 'b')");
    let id = copy(&db, 50);
    let mut locker = db.connect();
    locker
        .batch_execute("BEGIN; SELECT FROM t WHERE \"Id\" IN (5, 19000) FOR UPDATE")
        .unwrap();
    while db.one::<i64>("SELECT count(b) FROM t") < ROWS - 2 {
        db.run(&format!("SELECT migrate.backfill_batch({id})"));
    }
    db.run(&format!("SELECT migrate.backfill_batch({id})"));
    locker.batch_execute("ROLLBACK").unwrap();
    finish(&db, id);
    assert_eq!(unfilled(&db), 0);
    db.run("SELECT migrate.drop_sync_trigger('t', 'a', 'b'); UPDATE t SET b = NULL");
    // Bad rows are found here too.
    let id =
        db.one::<i64>("SELECT migrate.backfill('t', 'b = (1 / (\"Id\" - 5))::text', 'b IS NULL')");
    finish(&db, id);
    assert_eq!(
        db.rows("SELECT state FROM migrate.progress ORDER BY job DESC LIMIT 1"),
        [["done with 1 quarantined"]]
    );
    assert_eq!(db.one::<i64>("SELECT count(b) FROM t"), ROWS - 1);
    db.run("CREATE TABLE keyless (a text, b text, id int UNIQUE) USING other");
    let failure = db.error("SELECT migrate.backfill('keyless', 'b = a')");
    assert!(
        failure.message.contains("stored by access method other")
            && failure.hint.contains("unique key"),
        "{failure:?}"
    );
    db.run("DROP TABLE t, keyless; DROP ACCESS METHOD other");
}
