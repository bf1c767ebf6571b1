//! Nobody waits behind us: brief locks with a limit, given up and tried again.

use pg_migrate_tests::{Db, cluster};
use std::thread;
use std::time::{Duration, Instant};

fn table(db: &Db) {
    db.run("CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL); INSERT INTO t SELECT i, 'x' || i FROM generate_series(1, 1000) i");
}

/// The longest an application's SELECT took while `work` went on.
fn longest_wait(db: &Db, work: impl FnOnce()) -> Duration {
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        let app = scope.spawn(|| {
            let mut client = db.connect();
            let mut longest = Duration::ZERO;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let begun = Instant::now();
                client
                    .query("SELECT count(*) FROM t WHERE id = 7", &[])
                    .unwrap();
                longest = longest.max(begun.elapsed());
            }
            longest
        });
        work();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        app.join().unwrap()
    })
}

#[test]
fn queries_behind_us_never_queue_longer_than_the_limit() {
    let db = cluster().database();
    table(&db);
    let mut holder = db.connect();
    holder
        .batch_execute("BEGIN; SELECT * FROM t LIMIT 1")
        .unwrap();
    let db = &db;
    let longest = longest_wait(db, || {
        thread::scope(|scope| {
            let apply = scope.spawn(move || {
                db.notices("SET migrate.lock_timeout = '300ms'; SELECT migrate.apply('-- migrate:revision 1\nALTER TABLE t DROP COLUMN a;'); ")
            });
            // Long enough for several attempts.
            thread::sleep(Duration::from_millis(4500));
            holder.batch_execute("COMMIT").unwrap();
            let said = apply.join().unwrap().join("\n");
            assert!(
                said.contains("waiting for a lock on public.t") && said.contains("pid "),
                "{said}"
            );
        });
    });
    // The limit is a lock_timeout inside the server; the margin is for a busy machine.
    assert!(
        longest >= Duration::from_millis(200),
        "nobody was in the way: {longest:?}"
    );
    assert!(
        longest < Duration::from_millis(4000),
        "an application query waited {longest:?}"
    );
}

#[test]
fn the_deadline_ends_with_the_blocker_named_and_nothing_done() {
    let db = cluster().database();
    table(&db);
    let mut holder = db.connect();
    holder
        .batch_execute("BEGIN; LOCK TABLE t IN ROW EXCLUSIVE MODE")
        .unwrap();
    let pid: i32 = holder
        .query_one("SELECT pg_backend_pid()", &[])
        .unwrap()
        .get(0);
    let failure = db.error("SET migrate.lock_timeout = '100ms'; SET migrate.lock_deadline = 2; SELECT migrate.apply('-- migrate:revision 1\nALTER TABLE t RENAME COLUMN a TO b;')");
    assert_eq!(failure.sqlstate, "55P03", "{failure}");
    assert!(failure.detail.contains(&format!("pid {pid}")), "{failure}");
    assert!(failure.detail.contains("RowExclusiveLock"), "{failure}");
    assert!(db.rows("SELECT 1 FROM migrate.revision").is_empty());
    assert_eq!(db.rows("SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum"), [["id"], ["a"]]);
}

#[test]
fn a_driver_that_waits_for_a_lock_holds_none() {
    let db = cluster().database();
    table(&db);
    db.run("CREATE TABLE other (id int PRIMARY KEY); SELECT migrate.apply('-- migrate:revision 1\nALTER TABLE t RENAME COLUMN a TO b;')");
    db.run("CALL migrate.upgrade()");
    let mut holder = db.connect();
    holder
        .batch_execute("BEGIN; SELECT * FROM t LIMIT 1")
        .unwrap();
    let db = &db;
    thread::scope(|scope| {
        let contract = scope.spawn(move || {
            let mut client = db.connect();
            client
                .batch_execute("SET migrate.lock_timeout = '100ms'; SET migrate.lock_deadline = 60")
                .unwrap();
            client.batch_execute("CALL migrate.contract('1')").unwrap();
        });
        db.wait_for(
            "the driver says whom it waits for",
            30,
            "SELECT coalesce(waiting, '') LIKE 'waiting for a lock on public.t: pid %' FROM migrate.status",
        );
        let held = db.rows(
            "SELECT l.mode FROM pg_locks l JOIN pg_stat_activity a USING (pid)
             WHERE a.query LIKE '%migrate.contract%' AND a.pid <> pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND l.relation = 't'::regclass",
        );
        assert!(held.is_empty(), "{held:?}");
        holder.batch_execute("COMMIT").unwrap();
        contract.join().unwrap();
    });
    assert_eq!(db.rows("SELECT state FROM migrate.status"), [["applied"]]);
}

#[test]
fn a_prepared_transaction_in_the_way_is_named() {
    let db = cluster().database();
    table(&db);
    let possible: bool = db.one("SELECT current_setting('max_prepared_transactions')::int > 0");
    if !possible {
        return;
    }
    db.run("BEGIN; LOCK TABLE t IN ROW EXCLUSIVE MODE; PREPARE TRANSACTION 'in_the_way'");
    let failure = db.error("SET migrate.lock_timeout = '100ms'; SET migrate.lock_deadline = 2; SELECT migrate.apply('-- migrate:revision 1\nALTER TABLE t RENAME COLUMN a TO b;')");
    db.run("ROLLBACK PREPARED 'in_the_way'");
    assert!(failure.detail.contains("in_the_way"), "{failure}");
}

#[test]
fn two_migrations_lock_their_tables_in_one_order() {
    let db = cluster().database();
    db.run("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)");
    let db = &db;
    for round in 0..8 {
        thread::scope(|scope| {
            for (name, first, second) in [("x", "a", "b"), ("y", "b", "a")] {
                scope.spawn(move || {
                    db.run(&format!(
                        "SET migrate.lock_deadline = 60; SELECT migrate.apply('-- migrate:revision {name}{round}\n-- migrate:branch-label of-{name}{round}\nALTER TABLE {first} ADD COLUMN {name}{round} int;ALTER TABLE {second} ADD COLUMN {name}{round} int;')"
                    ));
                });
            }
        });
    }
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM migrate.history WHERE what = 'applied'"),
        16
    );
}

/// Waits until a session waits for a lock on the table.
fn waiting_for(db: &Db, table: &str) {
    let begun = Instant::now();
    while !db.one::<bool>(&format!(
        "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = '{table}'::regclass AND NOT granted)"
    )) {
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody waits");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn who_waits_behind_us_and_is_waited_for_goes_first() {
    let db = cluster().database();
    table(&db);
    db.run("CREATE TABLE u (id int PRIMARY KEY, n int); INSERT INTO u VALUES (1, 0)");
    // Nobody but the migration looks for deadlocks.
    db.run(&format!(
        "ALTER DATABASE {} SET deadlock_timeout = '10min'",
        db.name()
    ));
    let (mut first, mut second) = (db.connect(), db.connect());
    first
        .batch_execute("BEGIN; UPDATE t SET a = 'y' WHERE id = 1")
        .unwrap();
    second
        .batch_execute("BEGIN; UPDATE u SET n = 1 WHERE id = 1")
        .unwrap();
    thread::scope(|scope| {
        let apply = scope.spawn(|| {
            db.notices("SET migrate.lock_timeout = '12s'; SELECT migrate.apply('-- migrate:revision 1\nALTER TABLE t ALTER a DROP NOT NULL;')").join("\n")
        });
        waiting_for(&db, "t");
        // It waits for the first, the first for the second, and the second behind it.
        let second =
            scope.spawn(move || second.batch_execute("UPDATE t SET a = 'z' WHERE id = 2; COMMIT"));
        let first =
            scope.spawn(move || first.batch_execute("UPDATE u SET n = 2 WHERE id = 1; COMMIT"));
        first.join().unwrap().unwrap();
        second.join().unwrap().unwrap();
        let said = apply.join().unwrap();
        assert!(!said.contains("waiting for a lock"), "{said}");
    });
    assert_eq!(
        db.rows("SELECT a FROM t WHERE id IN (1, 2) ORDER BY id"),
        [["y"], ["z"]]
    );
}
