//! The backfill engine: jobs, what they refuse, and everything that may happen beside them.

mod concurrency;
mod jobs;
mod late;
mod parallel;
mod passes;
mod quarantine;
mod refused;
mod stripes;
mod telling;
mod throttles;

use pg_migrate_tests::Db;

/// Rows over some hundred blocks.
const ROWS: i64 = 20_000;

fn table(db: &Db) {
    db.run(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, a text, b text, n int NOT NULL DEFAULT 0, ok boolean, pad text);
         INSERT INTO t (id, a, pad) SELECT i, 'v' || i, repeat('x', 100) FROM generate_series(1, {ROWS}) i;"
    ));
    db.run("VACUUM ANALYZE t");
}

fn job(db: &Db, set: &str, predicate: Option<&str>, target_ms: i32) -> i64 {
    let predicate = predicate.map_or("NULL".to_owned(), |text| format!("$${text}$$"));
    db.one(&format!(
        "SELECT migrate.backfill('t', $${set}$$, {predicate}, {target_ms})"
    ))
}

fn unfilled(db: &Db) -> i64 {
    db.one("SELECT count(*) FROM t WHERE b IS DISTINCT FROM a")
}

/// A trigger that fills `b` from `a` whatever is written. With it a job visits each row once.
fn keep_in_sync(db: &Db) {
    db.run("SELECT migrate.sync_column_trigger('t', 'a', 'b')");
}

fn copy(db: &Db, target_ms: i32) -> i64 {
    db.one(&format!(
        "SELECT migrate.backfill('t', 'b = a', 'b IS NULL AND a IS NOT NULL', {target_ms})"
    ))
}

/// A job that would show any row done twice or not at all.
fn count_up(db: &Db, target_ms: i32) -> i64 {
    db.one(&format!(
        "SELECT migrate.backfill('t', 'n = n + 1, ok = true', 'ok IS NULL', {target_ms})"
    ))
}

#[track_caller]
fn counted_once(db: &Db) {
    let wrong = db.rows("SELECT n, ok, count(*) FROM t WHERE n <> 1 OR ok IS NULL GROUP BY 1, 2");
    assert!(wrong.is_empty(), "n, ok, rows: {wrong:?}");
    assert_eq!(
        db.rows("SELECT state, rows_updated FROM migrate.progress"),
        [["done".to_owned(), ROWS.to_string()]]
    );
}

fn finish(db: &Db, job: i64) {
    db.run(&format!("CALL migrate.run_backfill({job})"));
}
