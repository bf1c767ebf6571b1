//! Backfill jobs among writers, lockers, killed sessions and each other. Each test stands
//! for a way to lose or repeat a row.

use super::{ROWS, copy, count_up, counted_once, finish, keep_in_sync, table, unfilled};
use pg_migrate_tests::{Cluster, Db, cluster};
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Batches until nothing can be done now; gives the longest of them.
fn until_idle(db: &Db, job: i64) -> Duration {
    let mut client = db.connect();
    let mut longest = Duration::ZERO;
    let mut quiet = 0;
    while quiet < 3 {
        let begun = Instant::now();
        let sql = format!(
            "SELECT rows_updated, blocks_done = blocks_total FROM migrate.backfill_batch({job})"
        );
        let row = client.query_one(&sql, &[]).unwrap();
        longest = longest.max(begun.elapsed());
        quiet = if row.get::<_, i64>(0) == 0 && row.get::<_, bool>(1) {
            quiet + 1
        } else {
            0
        };
    }
    longest
}

#[test]
fn callers_of_every_kind_share_a_job() {
    let db = cluster().database();
    table(&db);
    let id = count_up(&db, 5);
    let sum = AtomicI64::new(0);
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                let mut client = db.connect();
                loop {
                    let sql = "SELECT coalesce(max(rows_updated), 0), count(*) FROM migrate.backfill_batch()";
                    let row = client.query_one(sql, &[]).unwrap();
                    sum.fetch_add(row.get::<_, i64>(0), Ordering::Relaxed);
                    if row.get::<_, i64>(1) == 0 {
                        break;
                    }
                }
            });
        }
        scope.spawn(|| finish(&db, id));
    });
    counted_once(&db);
    assert!(sum.into_inner() > 0);
}

#[test]
fn a_killed_session_leaves_nothing_half_done() {
    let db = cluster().database();
    table(&db);
    let id = count_up(&db, 5);
    for _ in 0..6 {
        thread::scope(|scope| {
            let name = format!("victim{}", db.name());
            let (db, sql) = (&db, format!("SET application_name = '{name}'"));
            let call = scope.spawn(move || {
                let mut client = db.connect();
                client.batch_execute(&sql).unwrap();
                client.batch_execute(&format!("CALL migrate.run_backfill({id})"))
            });
            thread::sleep(Duration::from_millis(60));
            db.run(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{name}'"));
            let _ = call.join().unwrap();
        });
        let agree = "SELECT (SELECT count(*) FROM t WHERE ok) = (SELECT coalesce(sum(rows_updated), 0) FROM migrate.backfill_range)";
        assert!(db.one::<bool>(agree));
    }
    assert_eq!(db.rows("SELECT error FROM migrate.progress"), [["NULL"]]);
    finish(&db, id);
    counted_once(&db);
}

#[test]
fn a_crash_loses_batches_but_never_half_of_one() {
    let cluster = Cluster::own();
    let db = cluster.database();
    table(&db);
    let id = count_up(&db, 5);
    for _ in 0..3 {
        for _ in 0..4 {
            db.run("SELECT migrate.backfill_batch()");
        }
        cluster.restart_immediate();
        let agree = "SELECT coalesce((SELECT count(*) FROM t WHERE ok), 0) = coalesce((SELECT sum(rows_updated) FROM migrate.backfill_range), 0)";
        assert!(db.one::<bool>(agree));
    }
    finish(&db, id);
    counted_once(&db);
}

#[test]
fn a_batch_rolled_back_by_its_caller_never_was() {
    let db = cluster().database();
    table(&db);
    let id = count_up(&db, 5);
    db.run("SELECT migrate.backfill_batch()");
    let before = db.rows("SELECT rows_updated FROM migrate.progress");
    db.run("BEGIN; SELECT migrate.backfill_batch(); SELECT migrate.backfill_batch(); ROLLBACK");
    assert_eq!(db.rows("SELECT rows_updated FROM migrate.progress"), before);
    let failure =
        db.error("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT migrate.backfill_batch()");
    assert!(
        failure.message.contains("READ COMMITTED") && !failure.hint.is_empty(),
        "{failure:?}"
    );
    let failure = db.error(&format!("BEGIN; CALL migrate.run_backfill({id}); COMMIT"));
    assert_eq!(failure.sqlstate, "25001", "{failure:?}");
    finish(&db, id);
    counted_once(&db);
}

/// A row that is locked must not be waited for, and not be forgotten either.
#[test]
fn locked_rows_are_passed_over_and_visited_again() {
    let db = cluster().database();
    table(&db);
    keep_in_sync(&db);
    let id = copy(&db, 50);
    let mut locker = db.connect();
    locker
        .batch_execute("BEGIN; SELECT FROM t WHERE id % 1000 = 0 FOR UPDATE; UPDATE t SET n = 1 WHERE id = 77; SELECT FROM t WHERE id = 5 FOR KEY SHARE")
        .unwrap();
    let longest = until_idle(&db, id);
    assert!(longest < Duration::from_secs(15), "{longest:?}");
    let left = db.rows("SELECT id FROM t WHERE b IS NULL ORDER BY id");
    assert_eq!(left.len(), 21, "{left:?}");
    assert!(
        db.one::<String>("SELECT throttle FROM migrate.progress")
            .contains("locked")
    );
    locker.batch_execute("ROLLBACK").unwrap();
    finish(&db, id);
    assert_eq!(unfilled(&db), 0);
    assert_eq!(
        db.rows("SELECT kind FROM migrate.backfill_range WHERE kind = 'verify'")
            .len(),
        0,
        "one pass was to be enough"
    );
}

/// A write that was under way when the batch came must win, with the value derived from it.
#[test]
fn a_write_under_way_is_never_overwritten() {
    let db = cluster().database();
    table(&db);
    keep_in_sync(&db);
    let id = copy(&db, 50);
    let mut writer = db.connect();
    writer
        .batch_execute("BEGIN; UPDATE t SET a = 'written' WHERE id % 500 = 0")
        .unwrap();
    until_idle(&db, id);
    writer.batch_execute("COMMIT").unwrap();
    finish(&db, id);
    assert_eq!(unfilled(&db), 0);
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM t WHERE a = 'written' AND b = 'written'"),
        ROWS / 500
    );
}

#[test]
fn a_batch_reads_no_more_than_its_blocks() {
    let db = cluster().database();
    table(&db);
    keep_in_sync(&db);
    let scans = "SELECT seq_scan + idx_scan FROM pg_stat_user_tables WHERE relname = 't'";
    db.run("SELECT pg_stat_force_next_flush()");
    let before = db.one::<i64>(scans);
    let id = copy(&db, 5);
    finish(&db, id);
    db.run("SELECT pg_stat_force_next_flush()");
    thread::sleep(Duration::from_millis(100));
    assert_eq!(
        db.one::<i64>(scans),
        before,
        "a window is to be read by a TID Range Scan"
    );
    assert_eq!(unfilled(&db), 0);
}

/// A batch must not hold up inserts of rows that refer to the ones it fills.
#[test]
fn rows_can_be_referred_to_while_a_batch_holds_them() {
    let db = cluster().database();
    table(&db);
    db.run("CREATE TABLE child (t int REFERENCES t)");
    copy(&db, 200);
    let mut batch = db.connect();
    batch
        .batch_execute("BEGIN; SELECT migrate.backfill_batch()")
        .unwrap();
    assert!(
        batch
            .query_one("SELECT count(b) FROM t WHERE id <= 10", &[])
            .unwrap()
            .get::<_, i64>(0)
            == 10
    );
    db.run("SET lock_timeout = '200ms'; INSERT INTO child SELECT generate_series(1, 10)");
    batch.batch_execute("COMMIT").unwrap();
}

/// Locks that come with a row: here of the row it refers to.
#[test]
fn locks_beside_the_row_do_not_hold_a_batch_up() {
    let db = cluster().database();
    table(&db);
    db.run(
        "CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (0), (1);
            ALTER TABLE t ADD p int REFERENCES parent",
    );
    let id = db.one::<i64>("SELECT migrate.backfill('t', 'p = (id > 9000)::int', 'p IS NULL', 50)");
    let mut locker = db.connect();
    locker
        .batch_execute("BEGIN; SELECT FROM parent WHERE id = 1 FOR UPDATE")
        .unwrap();
    for _ in 0..12 {
        let begun = Instant::now();
        db.run(&format!("SELECT migrate.backfill_batch({id})"));
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{:?}",
            begun.elapsed()
        );
    }
    assert_eq!(db.one::<i64>("SELECT count(*) FROM t WHERE p = 1"), 0);
    locker.batch_execute("ROLLBACK").unwrap();
    finish(&db, id);
    assert_eq!(
        db.rows("SELECT p, count(*) FROM t GROUP BY 1 ORDER BY 1"),
        [["0", "9000"], ["1", "11000"]]
    );
}

#[test]
fn a_lock_on_the_table_is_reported_not_waited_for() {
    let db = cluster().database();
    table(&db);
    let id = copy(&db, 5);
    db.run("SELECT migrate.backfill_batch()");
    let mut holder = db.connect();
    holder
        .batch_execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    let begun = Instant::now();
    db.run("SELECT migrate.backfill_batch()");
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_eq!(
        db.one::<String>("SELECT throttle FROM migrate.progress"),
        "waiting for a lock on public.t"
    );
    holder.batch_execute("COMMIT").unwrap();
    finish(&db, id);
    assert_eq!(unfilled(&db), 0);
    db.run("DROP TABLE t");
}
