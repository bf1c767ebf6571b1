//! A sample of the cases with the driver interrupted again and again, after a step or inside one:
//! whoever comes next goes on to the right end.

use crate::case::{Back, Case, Shape, fixture};
use crate::runner::{Spelling, document, quoted, same, schema};
use crate::{alter, columns, constraints, data, indexes, tables};
use pg_migrate_tests::{Cluster, Db, Failure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::process::Command;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Cancel,
    Terminate,
    Kill9,
}

fn sample() -> Vec<Case> {
    let wanted = [
        "create_table",
        "rename_table",
        "drop_table",
        "add_column with up, not null, default",
        "add_column with a reference",
        "drop_column with down",
        "drop_column with what hangs on it",
        "rename_column with indexes and a check",
        "alter_column int to bigint",
        "set_not_null",
        "create_index of other kinds",
        "drop_index",
        "create_constraint primary_key",
        "drop_constraint unique",
        "drop_constraint foreign key",
        "backfill",
        "sql that makes objects",
    ];
    let all = [
        tables::cases(),
        columns::cases(),
        alter::cases(),
        indexes::cases(),
        constraints::cases(),
        data::cases(),
    ]
    .concat();
    let found: Vec<_> = all
        .into_iter()
        .filter(|case| wanted.contains(&case.name) && case.back == Back::Way)
        .collect();
    assert_eq!(found.len(), wanted.len());
    found
}

/// Calls until it gets through. Each time the driver is stopped when it has done so many steps, and
/// a moment later: between two steps or inside the next one.
fn through(db: &Db, call: &str, how: How, random: &mut StdRng, stops: &mut Vec<String>) {
    let mut left = 4;
    for _ in 0..60 {
        let mut client = db.connect();
        let pid: i32 = client
            .query_one("SELECT pg_backend_pid()", &[])
            .unwrap()
            .get(0);
        let (after, moment) = (
            random.random_range(0..4i64),
            Duration::from_micros(random.random_range(0..15_000)),
        );
        let done = "SELECT count(*) FROM migrate.event WHERE what IN ('step done', 'started', 'step undone')";
        let mut eye = db.connect();
        let count = |eye: &mut postgres::Client| -> i64 {
            eye.query_one(done, &[]).map_or(i64::MAX, |row| row.get(0))
        };
        let begun = count(&mut eye);
        let outcome = std::thread::scope(|scope| {
            let running = scope.spawn(|| client.batch_execute(call));
            let end = Instant::now() + Duration::from_millis(400);
            while left > 0 && !running.is_finished() && Instant::now() < end {
                if count(&mut eye) >= begun.saturating_add(after) {
                    std::thread::sleep(moment);
                    if !running.is_finished() {
                        left -= 1;
                        stops.push(format!(
                            "{call} stopped by {how:?} after {after} steps and {moment:?}"
                        ));
                        stop(db, pid, how);
                    }
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            running.join().unwrap()
        });
        match outcome {
            Ok(()) => return,
            Err(error) => {
                let failure = Failure::from(&error);
                // It had got through and was stopped on the way out.
                if failure.message.contains("already applied") {
                    return;
                }
                let expected = ["57014", "57P01", "57P02", "57P03", "55006", ""];
                assert!(
                    expected.contains(&failure.sqlstate.as_str()),
                    "{call}: {failure}"
                );
                std::thread::sleep(Duration::from_millis(30));
            }
        }
    }
    panic!("{call} never got through");
}

fn stop(db: &Db, pid: i32, how: How) {
    match how {
        How::Cancel => drop(db.rows(&format!("SELECT pg_cancel_backend({pid})"))),
        How::Terminate => drop(db.rows(&format!("SELECT pg_terminate_backend({pid})"))),
        How::Kill9 => {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
            // Every backend is started anew after this.
            std::thread::sleep(Duration::from_millis(150));
        }
    }
}

fn state(db: &Db) -> String {
    db.one("SELECT state FROM migrate.revision")
}

fn turns(db: &Db, case: &Case, how: How, random: &mut StdRng, stops: &mut Vec<String>) {
    let (text, spelling) = if case.json.is_empty() {
        (case.sql, Spelling::Sql)
    } else {
        (case.json, Spelling::Json)
    };
    db.run(&fixture(Shape::Rows, case.extra));
    let before = schema(db, !case.moves);
    let document = document(text, spelling, "1", None);
    db.run(&format!("SELECT migrate.add({})", quoted(&document)));
    let mut finish = |stops: &mut Vec<String>, call: &str| through(db, call, how, random, stops);
    finish(stops, "CALL migrate.upgrade()");
    let expanded = schema(db, !case.moves);
    finish(stops, "CALL migrate.downgrade('base')");
    same("taken back", &before, &schema(db, !case.moves));
    for query in case.taken_back {
        assert_eq!(db.one::<i64>(query), 0, "{query}");
    }
    finish(stops, "CALL migrate.upgrade()");
    same("expanded again", &expanded, &schema(db, !case.moves));
    if state(db) == "expanded" {
        finish(stops, "CALL migrate.contract('1')");
    }
    for query in case.contracted {
        assert_eq!(db.one::<i64>(query), 0, "{query}");
    }
    finish(stops, "CALL migrate.downgrade('base')");
    same("downgraded", &before, &schema(db, !case.moves));
}

fn all(cluster: &Cluster, hows: &[How], cases: &[Case], seed: u64) {
    let wanted = std::env::var("FOUR").unwrap_or_default();
    let mut failed = Vec::new();
    let mut count = 0;
    for (number, case) in cases.iter().enumerate() {
        if !case.name.contains(&wanted) {
            continue;
        }
        for how in hows {
            let mut random = StdRng::seed_from_u64(seed + number as u64);
            let mut stops = Vec::new();
            let db = cluster.database();
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                turns(&db, case, *how, &mut random, &mut stops);
            }));
            count += stops.len();
            if let Err(panic) = outcome {
                let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                failed.push(format!(
                    "== {} {how:?}: {text}\n{}",
                    case.name,
                    stops.join("\n")
                ));
            }
        }
    }
    assert!(
        failed.is_empty(),
        "{} failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
    assert!(
        count > cases.len() || !wanted.is_empty(),
        "hardly any stop: {count}"
    );
}

#[test]
fn cancelled_and_terminated() {
    all(
        pg_migrate_tests::cluster(),
        &[How::Cancel, How::Terminate],
        &sample(),
        11,
    );
}

#[test]
fn killed() {
    let cases = sample();
    let some = [
        "rename_column with indexes and a check",
        "drop_constraint unique",
        "alter_column int to bigint",
    ];
    let cases: Vec<_> = cases
        .into_iter()
        .filter(|case| some.contains(&case.name))
        .collect();
    all(&Cluster::own(), &[How::Kill9], &cases, 23);
}
