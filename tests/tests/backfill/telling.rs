//! What a job says of itself while it runs.

use super::{finish, job, table};
use pg_migrate_tests::{Cluster, Db, cluster};
use postgres::fallible_iterator::FallibleIterator;
use std::time::Duration;

#[test]
fn progress_says_what_the_engine_does() {
    // A transaction in any database of the cluster would keep the room of moved rows.
    let own = Cluster::own();
    let db = own.database();
    table(&db);
    db.run("CREATE INDEX ON t (a)");
    let id = job(&db, "b = a", Some("b IS NULL"), 5);
    for _ in 0..10 {
        db.run(&format!("SELECT migrate.backfill_batch({id})"));
    }
    assert_eq!(
        db.rows(
            "SELECT blocks_done > 0 AND blocks_done < blocks_total, blocks_total = pg_relation_size('t') / 8192 OR blocks_total > 300, \
             rows_per_batch > 0, stripes BETWEEN 8 AND 24, hot_percent >= 0, wal_per_row > 0 FROM migrate.progress"
        ),
        [["t"; 6]]
    );
    finish(&db, id);
    assert!(db.one::<bool>(
        "SELECT hot_percent > 40 AND blocks_done = blocks_total FROM migrate.progress"
    ));
    let mut listed = db.rows("SELECT wal_bytes, rows_hot, rows_updated FROM migrate.backfill_range WHERE rows_updated > 0");
    assert!(!listed.is_empty());
    for row in &mut listed {
        let number = |i: usize| row[i].parse::<i64>().unwrap();
        assert!(
            number(0) > 50 * number(2) && number(1) <= number(2),
            "{row:?}"
        );
    }
}

/// The clock is what rows cost: a moved row as much as four that stay, and reading them. Time that
/// passes in the test says nothing.
#[test]
fn the_time_left_is_right_within_a_fifth_after_a_tenth() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE t (id bigint PRIMARY KEY, a text NOT NULL, pad text, b text) WITH (autovacuum_enabled = off);
         INSERT INTO t SELECT i, 'value ' || i, repeat('x', 90), NULL FROM generate_series(1, 30000) i;
         CREATE INDEX ON t (a);",
    );
    db.run("VACUUM (ANALYZE) t");
    let id = db.one::<i64>(
        "SELECT migrate.backfill('t', 'b = a', 'b IS NULL', target_ms => 10, stripes => 10)",
    );
    // Reading a row where its page is visited whole, at first and at last, is 0.3 of filling it.
    let spent = "SELECT coalesce(sum(rows_hot + 4 * (rows_updated - rows_hot) + 0.3 * 30000 * CASE \
                     WHEN done THEN 2 WHEN (\"window\" ->> 'visit')::int > 0 THEN 1 \
                     ELSE (\"window\" ->> 'end')::float8 / end_block END), 0)::float8 \
                 FROM migrate.backfill_range WHERE kind = 'scan'";
    let mut session = db.connect();
    let mut number = |sql: &str| -> Option<f64> { session.query_one(sql, &[]).unwrap().get(0) };
    let mut seen: Vec<(f64, f64)> = Vec::new();
    let batch = format!("SELECT done::int::float8 FROM migrate.backfill_batch({id})");
    while number(&batch) == Some(0.0) {
        let cost = number(spent).unwrap_or(0.0);
        // The pass has lasted ten milliseconds for each unit of cost.
        number(&format!(
            "WITH moved AS (UPDATE migrate.backfill SET pass_started_at = clock_timestamp() - {cost} * interval '10 milliseconds' RETURNING 1)
             SELECT count(*)::float8 FROM moved"
        ));
        if let Some(left) =
            number("SELECT EXTRACT(epoch FROM eta)::float8 * 100 FROM migrate.progress")
        {
            seen.push((cost, left));
        }
    }
    let all = db.one::<f64>(spent);
    let judged: Vec<_> = seen
        .iter()
        .filter(|(cost, ..)| *cost >= all / 10.0)
        .collect();
    assert!(judged.len() > 5, "{seen:?}");
    for (cost, left) in judged {
        let total = cost + left;
        assert!(
            (total / all - 1.0).abs() < 0.2,
            "after {cost} the whole was thought to take {total:.0} instead of {all:.0}: {seen:?}"
        );
    }
}

fn activity(db: &Db, pid: i32) -> String {
    db.one(&format!(
        "SELECT query FROM pg_stat_activity WHERE pid = {pid}"
    ))
}

#[test]
fn listeners_hear_of_it_and_activity_shows_it() {
    let db = cluster().database();
    table(&db);
    let id = job(&db, "b = a", Some("b IS NULL"), 5);
    let mut ear = db.connect();
    ear.batch_execute("LISTEN migrate_progress").unwrap();
    let mut driver = db.connect();
    let pid: i32 = driver
        .query_one("SELECT pg_backend_pid()", &[])
        .unwrap()
        .get(0);
    driver
        .batch_execute(&format!("SELECT migrate.backfill_batch({id})"))
        .unwrap();
    let shown = activity(&db, pid);
    assert!(
        shown.starts_with(&format!(
            "SELECT migrate.backfill_batch({id}) -- public.t: "
        )) && shown.contains(" % ")
            && shown.contains("rows/s"),
        "{shown}"
    );
    // Somebody's own transaction may be one that is to be prepared. This session has said nothing yet.
    db.connect()
        .batch_execute(&format!(
            "BEGIN; SELECT migrate.backfill_batch({id}); PREPARE TRANSACTION 'batch {}'",
            db.name()
        ))
        .unwrap_or_else(|error| panic!("{error:?}"));
    db.run(&format!("COMMIT PREPARED 'batch {}'", db.name()));
    finish(&db, id);
    let heard: Vec<_> = ear
        .notifications()
        .timeout_iter(Duration::from_secs(3))
        .map(|heard| Ok(serde_json::from_str::<serde_json::Value>(heard.payload()).unwrap()))
        .collect()
        .unwrap();
    let first = heard.first().unwrap();
    assert_eq!(first["job"], id, "{first}");
    assert_eq!(first["relation"], "public.t");
    assert!(first["rows_done"].is_i64() && first["rows_total"].is_i64());
    assert!(
        heard.iter().any(|heard| heard["state"] == "done"),
        "{heard:?}"
    );
}
