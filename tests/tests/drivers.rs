//! Who drives the queue: a CALL, workers, pg_cron, all at once; and every way to be interrupted.

use pg_migrate_tests::{Cluster, Db, cluster};
use std::thread;
use std::time::Duration;

const ROWS: i64 = 60_000;

fn table(db: &Db) {
    db.run(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL, n bigint NOT NULL DEFAULT 0);
         INSERT INTO t (id, a) SELECT i, 'value ' || i FROM generate_series(1, {ROWS}) i;"
    ));
}

/// A rename, an index and a data migration that would show any row done twice.
const DOCUMENT: &str = r#"{"revision": "1", "operations": [
    {"rename_column": {"table": "t", "from": "a", "to": "b"}},
    {"add_column": {"table": "t", "column": {"name": "m", "type": "bigint", "nullable": true}}},
    {"backfill": {"table": "t", "set": {"m": "coalesce(m, 0) + id * 10"}, "where": "m IS NULL"}},
    {"create_index": {"name": "t_m", "table": "t", "columns": ["m"]}}]}"#;

#[track_caller]
fn finished(db: &Db) {
    assert_eq!(db.rows("SELECT state FROM migrate.status"), [["expanded"]]);
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM t WHERE b = a AND m = id * 10"),
        ROWS
    );
    assert!(
        db.one::<bool>("SELECT bool_and(indisvalid) FROM pg_index WHERE indrelid = 't'::regclass")
    );
    let twice = db.rows("SELECT step FROM migrate.history WHERE what = 'step done' AND direction = 'up' GROUP BY step HAVING count(*) > 1");
    assert!(twice.is_empty(), "steps done twice: {twice:?}");
}

fn prepared() -> Db {
    let db = cluster().database();
    table(&db);
    db.run(&format!("SELECT migrate.apply('{DOCUMENT}')"));
    db
}

#[test]
fn apply_says_what_is_left_and_how_to_drive_it() {
    let db = cluster().database();
    table(&db);
    let said = db
        .notices(&format!("SELECT migrate.apply('{DOCUMENT}')"))
        .join("\n");
    for way in [
        "queued",
        "CALL migrate.upgrade()",
        "migrate.start_worker()",
        "migrate.schedule()",
    ] {
        assert!(said.contains(way), "{way} is missing in {said}");
    }
    assert!(
        db.one::<String>("SELECT waiting FROM migrate.status")
            .contains("no driver")
    );
}

#[test]
fn a_call_drives_in_the_foreground_and_tells() {
    let db = prepared();
    let said = db.notices("CALL migrate.upgrade()").join("\n");
    assert!(said.contains("migration \"1\" step"), "{said}");
    finished(&db);
    db.run("CALL migrate.contract('1')");
    assert_eq!(db.one::<i64>("SELECT count(b) FROM t"), ROWS);
}

#[test]
fn workers_drive_and_end() {
    let db = prepared();
    db.run("SELECT migrate.start_worker(3)");
    db.wait_for(
        "the workers",
        120,
        "SELECT state = 'expanded' FROM migrate.status",
    );
    finished(&db);
    db.wait_for(
        "their end",
        60,
        "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_migrate worker' AND datname = current_database()",
    );
}

#[test]
fn a_worker_begins_when_the_transaction_has_committed() {
    let db = cluster().database();
    table(&db);
    let mut client = db.connect();
    client.batch_execute("BEGIN").unwrap();
    client
        .batch_execute(&format!(
            "SELECT migrate.apply('{DOCUMENT}'); SELECT migrate.start_worker()"
        ))
        .unwrap();
    thread::sleep(Duration::from_millis(300));
    assert!(db.rows("SELECT 1 FROM migrate.revision").is_empty());
    client.batch_execute("COMMIT").unwrap();
    db.wait_for(
        "the worker",
        120,
        "SELECT state = 'expanded' FROM migrate.status",
    );
    finished(&db);
}

#[test]
fn autostart_starts_a_worker() {
    let db = cluster().database();
    table(&db);
    db.run(&format!(
        "SET migrate.autostart = on; SELECT migrate.apply('{DOCUMENT}')"
    ));
    db.wait_for(
        "the worker",
        120,
        "SELECT state = 'expanded' FROM migrate.status",
    );
    finished(&db);
}

#[test]
fn stop_worker_stops_and_another_resumes() {
    let db = prepared();
    // Held up by an old writer, the worker is still there to be stopped.
    let mut holder = db.connect();
    holder
        .batch_execute("BEGIN; UPDATE t SET n = n + 1 WHERE id = 5")
        .unwrap();
    db.run("SELECT migrate.start_worker()");
    db.wait_for(
        "the worker",
        60,
        "SELECT count(*) > 0 FROM migrate.worker WHERE kind = 'driver' AND state = 'running'",
    );
    assert_eq!(db.one::<i64>("SELECT migrate.stop_worker()"), 1);
    db.wait_for(
        "its end",
        60,
        "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_migrate worker' AND datname = current_database()",
    );
    holder.batch_execute("ROLLBACK").unwrap();
    db.run("CALL migrate.upgrade()");
    finished(&db);
}

/// pg_cron knows one database; the tests that use it take turns by being one test.
#[test]
fn pg_cron_finishes_a_real_backfill() {
    let Some(db) = cluster().cron_database() else {
        return;
    };
    db.run("CREATE EXTENSION IF NOT EXISTS pg_migrate");
    table(db);
    db.run(&format!("SELECT migrate.apply('{DOCUMENT}')"));
    assert_eq!(db.one::<String>("SELECT migrate.schedule()"), "pg_migrate");
    assert_eq!(
        db.rows("SELECT command FROM cron.job"),
        [["CALL migrate.work(55)"]]
    );
    db.wait_for(
        "pg_cron",
        200,
        "SELECT state = 'expanded' FROM migrate.status",
    );
    finished(db);
    let drivers = db.rows(
        "SELECT DISTINCT application FROM migrate.history WHERE what = 'step done' AND step > 1",
    );
    assert!(
        drivers.iter().any(|row| row[0].contains("pg_cron")),
        "{drivers:?}"
    );
    assert!(db.one::<bool>("SELECT migrate.unschedule()"));
    assert!(!db.one::<bool>("SELECT migrate.unschedule()"));
    assert!(db.rows("SELECT 1 FROM cron.job").is_empty());
    let failure = db.error("SELECT migrate.schedule('whenever')");
    // Ours, or that of pg_cron 1.5 and later.
    let told = ["five fields", "cron format"];
    assert!(
        told.iter().any(|words| failure.hint.contains(words)),
        "{failure}"
    );
}

#[test]
fn calls_and_workers_at_once_cooperate() {
    let db = prepared();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| db.run("CALL migrate.upgrade()"));
        }
        scope.spawn(|| db.run("SELECT migrate.start_worker(2)"));
        scope.spawn(|| {
            for _ in 0..40 {
                db.run("SELECT * FROM migrate.backfill_batch()");
            }
        });
        scope.spawn(|| db.run("CALL migrate.work(30)"));
    });
    db.wait_for(
        "everybody",
        60,
        "SELECT state = 'expanded' FROM migrate.status",
    );
    finished(&db);
}

/// Interrupts the driver again and again, at points of the work that differ, until it gets through.
fn interrupted_by(db: &Db, interrupt: impl Fn(i32)) {
    let mut client = db.connect();
    let mut interruptions = 0;
    for round in 0u64.. {
        if client.is_closed() || client.simple_query("SELECT 1").is_err() {
            client = db.connect();
        }
        let pid: i32 = client
            .query_one("SELECT pg_backend_pid()", &[])
            .unwrap()
            .get(0);
        let outcome = thread::scope(|scope| {
            let call = scope.spawn(|| client.batch_execute("CALL migrate.upgrade()"));
            thread::sleep(Duration::from_millis(15 + 37 * (round % 17)));
            if !call.is_finished() {
                interrupt(pid);
            }
            call.join().unwrap()
        });
        if outcome.is_ok() {
            break;
        }
        interruptions += 1;
        assert!(interruptions < 200, "never got through: {outcome:?}");
    }
    finished(db);
}

#[test]
fn pg_cancel_backend_at_any_point() {
    let db = prepared();
    interrupted_by(&db, |pid| {
        db.rows(&format!("SELECT pg_cancel_backend({pid})"));
    });
}

#[test]
fn pg_terminate_backend_at_any_point() {
    let db = prepared();
    interrupted_by(&db, |pid| {
        db.rows(&format!("SELECT pg_terminate_backend({pid})"));
    });
}

#[test]
fn kill_9_of_the_backend_at_any_point() {
    let own = Cluster::own();
    let db = own.database();
    table(&db);
    db.run(&format!("SELECT migrate.apply('{DOCUMENT}')"));
    for pause in [20, 90, 200, 350, 600] {
        let mut client = db.connect();
        let pid: i32 = client
            .query_one("SELECT pg_backend_pid()", &[])
            .unwrap()
            .get(0);
        thread::scope(|scope| {
            let call = scope.spawn(move || client.batch_execute("CALL migrate.upgrade()").is_ok());
            thread::sleep(Duration::from_millis(pause));
            // The server restarts every backend after this.
            let _ = std::process::Command::new("kill")
                .args(["-9", &pid.to_string()])
                .status();
            let _ = call.join();
        });
        thread::sleep(Duration::from_millis(300));
    }
    db.run("CALL migrate.upgrade()");
    finished(&db);
}

/// The state is replicated with the rows: the promoted standby goes on from where it is.
#[test]
fn a_failover_in_the_middle_of_a_backfill() {
    let own = Cluster::own();
    let db = own.database();
    table(&db);
    db.run(&format!("SELECT migrate.apply('{DOCUMENT}')"));
    for _ in 0..3 {
        db.run("SELECT migrate.backfill_batch()");
    }
    let standby = own.standby();
    db.run("SELECT migrate.backfill_batch()");
    standby.catch_up(&own);
    own.stop_immediate();
    standby.promote();
    let there = standby.db(db.name());
    there.run(
        "INSERT INTO t (id, b) VALUES (-1, 'after the failover'); DELETE FROM t WHERE id = -1",
    );
    there.run("CALL migrate.upgrade()");
    finished(&there);
    there.run("CALL migrate.contract('1')");
    assert_eq!(there.one::<i64>("SELECT count(b) FROM t"), ROWS);
}

#[test]
fn an_immediate_stop_at_any_point() {
    let own = Cluster::own();
    let db = own.database();
    table(&db);
    db.run(&format!("SELECT migrate.apply('{DOCUMENT}')"));
    for pause in [30, 150, 400, 800] {
        let mut client = db.connect();
        thread::scope(|scope| {
            let call = scope.spawn(move || client.batch_execute("CALL migrate.upgrade()").is_ok());
            thread::sleep(Duration::from_millis(pause));
            own.restart_immediate();
            let _ = call.join();
        });
    }
    db.run("CALL migrate.upgrade()");
    finished(&db);
}

#[test]
fn an_invalid_index_that_was_left_is_dropped_and_built_again() {
    let db = cluster().database();
    db.run("CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t SELECT i, i % 1000 FROM generate_series(1, 2000) i;
            SELECT migrate.apply('-- migrate:revision 1\nCREATE UNIQUE INDEX t_a ON t (a);')");
    let failure = db.error("CALL migrate.upgrade()");
    assert_eq!(failure.sqlstate, "23505", "{failure}");
    assert!(!db.one::<bool>("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_a'::regclass"));
    db.run("UPDATE t SET a = id");
    db.run("CALL migrate.upgrade()");
    assert!(db.one::<bool>("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_a'::regclass"));
    assert_eq!(db.rows("SELECT state FROM migrate.status"), [["applied"]]);
}

#[test]
fn an_index_of_somebody_else_is_never_taken_for_ours() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 1);
            SELECT migrate.apply('-- migrate:revision 1\nCREATE INDEX t_a ON t (a);');
            CREATE INDEX t_a ON t (id)",
    );
    let failure = db.error("CALL migrate.upgrade()");
    assert_eq!(failure.sqlstate, "42P07", "{failure}");
    assert!(
        db.one::<String>("SELECT pg_get_indexdef('t_a'::regclass)")
            .contains("(id)")
    );
}

/// Up, contract, back, with an interruption at ever other moments of each.
#[test]
fn contract_and_downgrade_survive_interruptions() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL, n bigint NOT NULL DEFAULT 0);
         INSERT INTO t (id, a) SELECT i, 'value ' || i FROM generate_series(1, 5000) i;
         CREATE INDEX t_a ON t (a)",
    );
    let before = db.rows("SELECT object, definition FROM migrate.fingerprint() ORDER BY 1");
    db.run(
        "SELECT migrate.add('-- migrate:revision 1
ALTER TABLE t RENAME COLUMN a TO b;
CREATE INDEX t_i ON t ((id % 10));
ALTER TABLE t ALTER COLUMN n TYPE numeric;')",
    );
    let mut interruptions = 0;
    let mut round = 0u64;
    for calls in [
        &["CALL migrate.upgrade()", "CALL migrate.downgrade('base')"][..],
        &[
            "CALL migrate.upgrade()",
            "CALL migrate.contract('1')",
            "CALL migrate.downgrade('base')",
        ],
        &[
            "CALL migrate.upgrade()",
            "CALL migrate.contract('1')",
            "CALL migrate.downgrade('base')",
        ],
    ] {
        for call in calls {
            loop {
                round += 1;
                assert!(round < 600, "never got through {call}");
                let mut client = db.connect();
                let pid: i32 = client
                    .query_one("SELECT pg_backend_pid()", &[])
                    .unwrap()
                    .get(0);
                let outcome = thread::scope(|scope| {
                    let running = scope.spawn(|| client.batch_execute(call));
                    thread::sleep(Duration::from_millis(3 + 7 * (round % 23)));
                    if !running.is_finished() {
                        let how = if round.is_multiple_of(2) {
                            "pg_cancel_backend"
                        } else {
                            "pg_terminate_backend"
                        };
                        db.rows(&format!("SELECT {how}({pid})"));
                    }
                    running.join().unwrap()
                });
                match outcome {
                    Ok(()) => break,
                    Err(error) => {
                        let failure = pg_migrate_tests::Failure::from(&error);
                        let expected =
                            ["57014", "57P01", "55006", ""].contains(&failure.sqlstate.as_str());
                        // It had got through and was interrupted on the way out.
                        let through = failure.message.contains("already applied");
                        assert!(expected || through, "{call}: {failure}");
                        interruptions += 1;
                        if through {
                            break;
                        }
                    }
                }
            }
            assert_eq!(
                db.one::<i64>("SELECT count(*) FROM t WHERE id BETWEEN 1 AND 5000 AND to_jsonb(t) ->> CASE WHEN to_jsonb(t) ? 'a' THEN 'a' ELSE 'b' END = 'value ' || id"),
                5000,
                "after {call}"
            );
        }
        let after = db.rows("SELECT object, definition FROM migrate.fingerprint() ORDER BY 1");
        let lost: Vec<_> = before.iter().filter(|row| !after.contains(row)).collect();
        let new: Vec<_> = after.iter().filter(|row| !before.contains(row)).collect();
        assert!(
            lost.is_empty() && new.is_empty(),
            "lost {lost:#?}
new {new:#?}"
        );
    }
    assert!(
        interruptions > 3,
        "hardly any interruption: {interruptions}"
    );
}
