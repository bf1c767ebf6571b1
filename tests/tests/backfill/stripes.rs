//! Striping: most new row versions stay on their page, and where they cannot the job says so and
//! goes on.

use super::{job, unfilled};
use pg_migrate_tests::{Cluster, Db, cluster};

/// A table without room on its pages, with two indexes.
fn full(db: &Db) {
    db.run(
        "CREATE TABLE t (id bigint PRIMARY KEY, a text NOT NULL, pad text, b text) WITH (autovacuum_enabled = off);
         INSERT INTO t SELECT i, 'value ' || i, repeat('x', 90) FROM generate_series(1, 40000) i;
         CREATE INDEX ON t (a);",
    );
    db.run("VACUUM (ANALYZE) t");
}

fn heap_only_share(db: &Db) -> f64 {
    db.run("SELECT pg_stat_force_next_flush()");
    db.one("SELECT (100.0 * n_tup_hot_upd / n_tup_upd)::float8 FROM pg_stat_user_tables WHERE relname = 't'")
}

#[test]
fn most_row_versions_stay_on_their_page() {
    // A transaction in any database of the cluster would keep the room.
    let own = Cluster::own();
    let db = own.database();
    full(&db);
    let before = db.one::<i64>("SELECT pg_relation_size('t')");
    let id = job(&db, r#"{"b": "a"}"#, Some("b IS NULL"), 200);
    db.run(&format!("CALL migrate.run_backfill({id})"));
    assert_eq!(unfilled(&db), 0);
    assert_eq!(
        db.one::<i64>("SELECT rows_updated FROM migrate.progress"),
        40_000
    );
    let share = heap_only_share(&db);
    assert!(share > 50.0, "{share} % heap-only");
    let grown = db.one::<i64>("SELECT pg_relation_size('t')") as f64 / before as f64;
    assert!(grown < 1.6, "{grown}");
}

#[test]
fn an_indexed_column_is_filled_at_the_first_visit() {
    let db = cluster().database();
    full(&db);
    db.run("CREATE INDEX ON t ((lower(b)))");
    let id = job(&db, r#"{"b": "a"}"#, Some("b IS NULL"), 60_000);
    db.run(&format!("CALL migrate.run_backfill({id})"));
    assert_eq!(unfilled(&db), 0);
    let batches = db.one::<i64>(
        "SELECT max(batches) FROM migrate.backfill_range WHERE kind = 'scan' AND rows_updated > 0",
    );
    assert_eq!(batches, 1);
}

/// An old snapshot keeps the dead rows: there is no room, the job says whose it is, and ends.
#[test]
fn an_old_snapshot_is_named_and_does_not_stop_the_job() {
    // Nobody else's snapshot is older.
    let own = Cluster::own();
    let db = own.database();
    full(&db);
    let id = job(&db, r#"{"b": "a"}"#, Some("b IS NULL"), 200);
    let mut old = db.connect();
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t")
        .unwrap();
    let pid: i32 = old
        .query_one("SELECT pg_backend_pid()", &[])
        .unwrap()
        .get(0);
    let mut said = String::new();
    for _ in 0..1000 {
        let done = db.rows("SELECT done FROM migrate.backfill_batch()");
        let now: Option<String> = db.one("SELECT throttle FROM migrate.progress");
        if let Some(text) = now.filter(|text| text.contains("dead rows")) {
            said = text;
        }
        if done.first().is_none_or(|row| row[0] == "t") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(unfilled(&db), 0, "the job did not end");
    assert!(said.contains(&format!("session {pid} ")), "{said:?}");
    old.batch_execute("ROLLBACK").unwrap();
    assert_eq!(
        db.one::<String>(&format!(
            "SELECT state FROM migrate.backfill WHERE job = {id}"
        )),
        "done"
    );
}

/// Another session's snapshot, as that of a second worker's batch, may keep the room for a moment: the
/// visit is put off, and no more rows leave their pages for it.
#[test]
fn a_visit_that_comes_too_early_is_put_off() {
    let own = Cluster::own();
    let db = own.database();
    full(&db);
    db.run("SELECT migrate.backfill('t', 'b = a', 'b IS NULL', target_ms => 60000, stripes => 10)");
    let mut session = db.connect();
    let mut batch = || {
        db.wait_for(
            "the window's time",
            60,
            "SELECT NOT EXISTS (SELECT FROM migrate.backfill_range WHERE retry_at > clock_timestamp())",
        );
        session
            .batch_execute("SELECT migrate.backfill_batch()")
            .unwrap();
    };
    let window = |what: &str| {
        db.one::<i64>(&format!(
            "SELECT coalesce(max((\"window\" ->> '{what}')::int8), 0) FROM migrate.backfill_range"
        ))
    };
    while window("visit") < 3 {
        batch();
    }
    let mut old = db.connect();
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t")
        .unwrap();
    // The room of the visit before is there still.
    batch();
    let before = ["visit", "moved"].map(window);
    assert_eq!((before[0], window("pins")), (4, 0));
    for pins in 1..=3 {
        batch();
        assert_eq!(window("pins"), pins);
    }
    assert_eq!(["visit", "moved"].map(window), before);
    old.batch_execute("ROLLBACK").unwrap();
    batch();
    assert_eq!((window("visit"), window("pins")), (5, 0));
    db.run("CALL migrate.run_backfill(1)");
    assert_eq!(unfilled(&db), 0);
    let share = heap_only_share(&db);
    assert!(share > 60.0, "{share} % heap-only");
}

/// What makes a visit the last one may come in the middle of it: here, a caller whose transaction goes
/// on. With the trigger nobody looks at the rows again.
#[test]
fn a_visit_that_becomes_the_last_begins_anew() {
    let own = Cluster::own();
    let db = own.database();
    full(&db);
    db.run("SELECT migrate.sync_column_trigger('t', 'a', 'b')");
    db.run("SELECT migrate.backfill('t', 'b = a', 'b IS NULL', target_ms => 1, stripes => 10)");
    let mut session = db.connect();
    let amid = "SELECT EXISTS (SELECT FROM migrate.backfill_range
                WHERE (\"window\" ->> 'visit')::int > 0 AND (\"window\" ->> 'at')::int > next_block)";
    while !db.one::<bool>(amid) {
        session
            .batch_execute("SELECT migrate.backfill_batch()")
            .unwrap();
    }
    db.run("UPDATE migrate.backfill SET target_ms = 1000");
    while db.one::<bool>("SELECT state <> 'done' FROM migrate.backfill") {
        session
            .batch_execute("BEGIN; SELECT migrate.backfill_batch(); COMMIT")
            .unwrap();
    }
    assert_eq!(unfilled(&db), 0);
}

/// A crash or another caller in the middle of a window: what it had left is still found.
#[test]
fn a_window_goes_on_where_it_was_left() {
    let db = cluster().database();
    full(&db);
    let id = db.one::<i64>(
        "SELECT migrate.backfill('t', 'b = a', 'b IS NULL', target_ms => 5, stripes => 20)",
    );
    for _ in 0..12 {
        db.run("SELECT migrate.backfill_batch()");
        db.run("BEGIN; SELECT migrate.backfill_batch(); ROLLBACK");
    }
    assert!(unfilled(&db) > 0, "nothing was left to go on with");
    db.run(&format!("CALL migrate.run_backfill({id})"));
    assert_eq!(unfilled(&db), 0);
    assert_eq!(
        db.one::<i64>("SELECT rows_updated FROM migrate.progress"),
        40_000
    );
    let failure = db.error("SELECT migrate.backfill('t', 'b = a', 'b IS NULL', stripes => 65)");
    assert!(failure.message.contains("stripes"), "{failure:?}");
}

/// Two columns without a "where": their conditions belong together within the window.
#[test]
fn several_columns_are_filled_window_by_window() {
    let db = cluster().database();
    full(&db);
    db.run("ALTER TABLE t ADD c text");
    let id =
        db.one::<i64>("SELECT migrate.backfill('t', 'b = a, c = a', target_ms => 1, stripes => 1)");
    db.run("SELECT migrate.backfill_batch()");
    assert!(
        unfilled(&db) > 20_000,
        "a batch went beyond its blocks: {} left",
        unfilled(&db)
    );
    db.run(&format!("CALL migrate.run_backfill({id})"));
    assert_eq!(unfilled(&db), 0);
}

/// Between two visits of a window its last blocks are emptied and cut off.
#[test]
fn blocks_that_are_cut_off_between_two_visits_are_not_missed() {
    let db = cluster().database();
    full(&db);
    let id = db.one::<i64>(
        "SELECT migrate.backfill('t', 'b = a', 'b IS NULL', target_ms => 1000, stripes => 8)",
    );
    let mut session = db.connect();
    let batch = format!("SELECT migrate.backfill_batch({id})");
    session.batch_execute(&batch).unwrap();
    let visit = "SELECT (\"window\" ->> 'visit')::int FROM migrate.backfill_range";
    while db.one::<i32>(visit) == 0 {
        session.batch_execute(&batch).unwrap();
    }
    let blocks = "SELECT pg_relation_size('t')";
    let before = db.one::<i64>(blocks);
    db.run("DELETE FROM t WHERE id > 20000 OR ctid >= '(500,0)'");
    db.run("VACUUM (TRUNCATE) t");
    assert!(db.one::<i64>(blocks) < before, "nothing was cut off");
    let mut done = false;
    while !done {
        done = session
            .query_one(
                &format!("SELECT done FROM migrate.backfill_batch({id})"),
                &[],
            )
            .unwrap()
            .get(0);
    }
    assert_eq!(unfilled(&db), 0);
}

/// What a session has noted of a window is of no use when another has been at it: nothing is lost.
#[test]
fn sessions_that_take_turns_at_a_window_lose_nothing() {
    let db = cluster().database();
    full(&db);
    db.run("ALTER TABLE t ADD n int NOT NULL DEFAULT 0");
    let id = db.one::<i64>(
        "SELECT migrate.backfill('t', 'b = a, n = n + 1', 'b IS NULL', target_ms => 10, stripes => 8)",
    );
    let mut sessions = [db.connect(), db.connect(), db.connect()];
    let mut turn = 0;
    loop {
        turn += 1;
        // Sometimes the same session twice, sometimes a batch that never was.
        let session = &mut sessions[(turn * turn + turn / 3) % 3];
        if turn % 7 == 0 {
            session
                .batch_execute(&format!(
                    "BEGIN; SELECT migrate.backfill_batch({id}); ROLLBACK"
                ))
                .unwrap();
        }
        let sql = format!("SELECT done FROM migrate.backfill_batch({id})");
        if session.query_one(&sql, &[]).unwrap().get(0) {
            break;
        }
    }
    assert_eq!(unfilled(&db), 0);
    assert_eq!(db.one::<i64>("SELECT count(*) FROM t WHERE n <> 1"), 0);
    assert!(turn > 20, "{turn} batches");
}

/// What a pass leaves behind is room for the next one.
#[test]
fn a_second_pass_does_not_let_the_heap_grow_again() {
    // A transaction in any database of the cluster would keep the room.
    let own = Cluster::own();
    let db = own.database();
    full(&db);
    let id = job(&db, "b = a", None, 200);
    db.run(&format!("CALL migrate.run_backfill({id})"));
    let after_one = db.one::<i64>("SELECT pg_relation_size('t')");
    let id = job(&db, "b = a || '!'", None, 200);
    db.run(&format!("CALL migrate.run_backfill({id})"));
    let after_two = db.one::<i64>("SELECT pg_relation_size('t')");
    assert!(
        after_two as f64 <= after_one as f64 * 1.2,
        "{after_one} to {after_two}"
    );
    assert!(heap_only_share(&db) > 60.0);
}

/// Page images are most of a backfill's WAL: the values say with which setting they were written.
#[test]
fn page_images_are_compressed_for_the_backfill_alone() {
    let db = cluster().database();
    db.run("CREATE TABLE t AS SELECT g AS id, NULL::text AS how FROM generate_series(1, 1000) g");
    let best: String = db.one(
        "SELECT CASE WHEN 'lz4' = ANY (enumvals) THEN 'lz4' ELSE 'off' END FROM pg_settings WHERE name = 'wal_compression'",
    );
    let mut client = db.connect();
    let job: i64 = client
        .query_one(
            "SELECT migrate.backfill('t', 'how = current_setting(''wal_compression'')', 'how IS NULL')",
            &[],
        )
        .unwrap()
        .get(0);
    client
        .batch_execute(&format!("CALL migrate.run_backfill({job})"))
        .unwrap();
    assert_eq!(
        db.rows("SELECT how, count(*) FROM t GROUP BY how"),
        [[best, "1000".to_owned()]]
    );
    let after = client.query_one("SHOW wal_compression", &[]).unwrap();
    assert_eq!(after.get::<_, String>(0), "off");
}
