//! Backfill jobs: what they fill, what they refuse, how they are steered and what they say.

use super::{ROWS, job, table, unfilled};
use pg_migrate_tests::cluster;
use std::time::{Duration, Instant};

#[test]
fn a_job_fills_every_row_and_says_so() {
    let db = cluster().database();
    table(&db);
    let id = job(&db, r#"{"b": "a"}"#, Some("b IS NULL"), 20);
    let first = db.rows("SELECT job, rows_updated > 0, blocks_done > 0, blocks_total > 300, done FROM migrate.backfill_batch()");
    assert_eq!(first, [[id.to_string().as_str(), "t", "t", "t", "f"]]);
    let half = db.rows("SELECT relation, state, rows_done > 0 AND rows_done < rows_total, percent > 0 AND percent < 100, \
                        rows_per_second > 0, eta > '0', bar ~ '░$', throttle IS NULL, pass FROM migrate.progress");
    assert_eq!(
        half,
        [["public.t", "running", "t", "t", "t", "t", "t", "t", "1"]]
    );
    db.run(&format!("CALL migrate.run_backfill({id})"));
    assert_eq!(unfilled(&db), 0);
    let end = db.rows("SELECT state, rows_done, rows_total, rows_updated, percent, bar ~ '^█+$', eta IS NULL, quarantined FROM migrate.progress");
    let all = ROWS.to_string();
    assert_eq!(end, [["done", &all, &all, &all, "100.0", "t", "t", "0"]]);
    assert!(db.rows("SELECT * FROM migrate.backfill_batch()").is_empty());
    assert_eq!(
        db.rows("SELECT what FROM migrate.event WHERE what LIKE 'backfill%'"),
        [["backfill defined"], ["backfill done"]]
    );
}

#[test]
fn assignments_may_be_an_sql_list() {
    let db = cluster().database();
    table(&db);
    let id = job(
        &db,
        "b = a /* not, this */, n = length(a) + 1, \"pad\" = concat_ws(', ', a, '=')",
        None,
        200,
    );
    db.run(&format!("CALL migrate.run_backfill({id})"));
    let right = "SELECT count(*) FROM t WHERE b = a AND n = length(a) + 1 AND pad = a || ', ='";
    assert_eq!(db.one::<i64>(right), ROWS);
    let jsonb = db.one::<i64>("SELECT migrate.backfill('t', jsonb_build_object('ok', 'true'))");
    db.run(&format!("CALL migrate.run_backfill({jsonb})"));
    assert_eq!(db.one::<i64>("SELECT count(*) FROM t WHERE ok"), ROWS);
}

#[test]
fn values_are_compared_by_their_image() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE t (id int, f float8, j json, p point, m numeric(10, 2), v varchar(3));
            INSERT INTO t (id) SELECT generate_series(1, 500);",
    );
    let id = job(
        &db,
        "f = 'NaN', j = '{\"a\": 1}', p = point(id, 1), m = id / 3.0, v = (id % 100)::text",
        None,
        200,
    );
    db.run(&format!("CALL migrate.run_backfill({id})"));
    assert_eq!(
        db.rows("SELECT state, rows_updated, pass FROM migrate.progress"),
        [["done", "500", "1"]]
    );
}

#[test]
fn rows_that_have_their_value_are_not_written() {
    let db = cluster().database();
    table(&db);
    db.run("UPDATE t SET b = a WHERE id % 4 <> 0");
    let id = job(&db, r#"{"b": "a"}"#, None, 200);
    db.run(&format!("CALL migrate.run_backfill({id})"));
    assert_eq!(
        db.rows("SELECT rows_updated FROM migrate.progress"),
        [[(ROWS / 4).to_string()]]
    );
    assert_eq!(unfilled(&db), 0);
}

#[test]
fn odd_names_and_the_search_path_of_the_owner() {
    let db = cluster().database();
    db.run(r#"CREATE SCHEMA "my app"; SET search_path = "my app";
        CREATE FUNCTION shout(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT upper($1)';
        CREATE TABLE "Odd ""Table" ("Sel ect" text, "to" text, id int);
        INSERT INTO "Odd ""Table" SELECT 'a', NULL, i FROM generate_series(1, 100) i;
        SELECT migrate.backfill('"Odd ""Table"', '"to" = shout("Odd ""Table"."Sel ect") -- done', '"to" IS NULL -- all');"#);
    db.run("CALL migrate.run_backfill(1)");
    assert_eq!(
        db.one::<i64>(r#"SELECT count(*) FROM "my app"."Odd ""Table" WHERE "to" = 'A'"#),
        100
    );
}

#[test]
fn partitions_are_done_leaf_by_leaf_and_new_ones_picked_up() {
    let db = cluster().database();
    db.run("CREATE TABLE t (id int, a text, b text) PARTITION BY RANGE (id);
            CREATE TABLE p1 (b text, junk int, a text, id int);
            ALTER TABLE p1 DROP COLUMN junk;
            ALTER TABLE t ATTACH PARTITION p1 FOR VALUES FROM (0) TO (5000);
            CREATE TABLE p2 PARTITION OF t FOR VALUES FROM (5000) TO (10000) PARTITION BY RANGE (id);
            CREATE TABLE \"P 2a\" PARTITION OF p2 FOR VALUES FROM (5000) TO (10000);
            CREATE TABLE p3 PARTITION OF t FOR VALUES FROM (10000) TO (11000);
            CREATE TABLE p5 PARTITION OF t FOR VALUES FROM (12000) TO (13000);
            INSERT INTO t SELECT i, 'v' || i FROM generate_series(0, 9999) i;
            INSERT INTO p5 SELECT i, 'v' || i FROM generate_series(12000, 12999) i;
            CREATE TABLE p4 (id int, a text, b text);
            INSERT INTO p4 SELECT i, 'v' || i FROM generate_series(11000, 11999) i;");
    let id = job(&db, "b = t.a", None, 1);
    db.run("SELECT migrate.backfill_batch()");
    db.run(
        "ALTER TABLE t ATTACH PARTITION p4 FOR VALUES FROM (11000) TO (12000);
            ALTER TABLE t DETACH PARTITION p5; DROP TABLE p3;",
    );
    db.run(&format!("CALL migrate.run_backfill({id})"));
    assert_eq!(unfilled(&db), 0);
    assert_eq!(db.one::<i64>("SELECT count(*) FROM t WHERE b = a"), 11_000);
    assert_eq!(
        db.one::<i64>("SELECT count(b) FROM p5"),
        0,
        "a detached table is nobody's"
    );
}

#[test]
fn inheriting_tables_are_done_too() {
    let db = cluster().database();
    db.run("CREATE TABLE t (id int, a text, b text); CREATE TABLE c (x int) INHERITS (t);
            INSERT INTO t SELECT i, 'v' FROM generate_series(1, 10) i; INSERT INTO c SELECT i, 'w' FROM generate_series(1, 10) i;");
    let id = job(&db, "b = a", None, 200);
    db.run(&format!("CALL migrate.run_backfill({id})"));
    assert_eq!(db.one::<i64>("SELECT count(*) FROM t WHERE b = a"), 20);
}

#[test]
fn rows_that_cannot_be_filled_are_set_apart_and_named() {
    let db = cluster().database();
    table(&db);
    db.run("ALTER TABLE t ADD share int, ADD CONSTRAINT small CHECK (share < 1000) NOT VALID;
            UPDATE t SET n = 2; UPDATE t SET n = 0 WHERE id IN (7, 15000); UPDATE t SET n = -1 WHERE id = 9999;");
    let id = job(
        &db,
        "share = CASE n WHEN -1 THEN 5000 ELSE 10 / n END",
        Some("share IS NULL"),
        50,
    );
    let said = db
        .notices(&format!("CALL migrate.run_backfill({id})"))
        .join("\n");
    assert!(
        said.contains("3 rows of public.t could not be filled"),
        "{said}"
    );
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM t WHERE share = 5"),
        ROWS - 3
    );
    assert_eq!(
        db.rows("SELECT relation::regclass, key, error ->> 'sqlstate' FROM migrate.quarantine ORDER BY (key ->> 'id')::int"),
        [["t", "{\"id\": 7}", "22012"], ["t", "{\"id\": 9999}", "23514"], ["t", "{\"id\": 15000}", "22012"]]
    );
    assert_eq!(
        db.rows("SELECT state, quarantined FROM migrate.progress"),
        [["done with 3 quarantined", "3"]]
    );
    // A row that is bad still, two that are corrected.
    db.run("UPDATE t SET n = 1 WHERE id IN (7, 9999)");
    db.run(&format!("SELECT migrate.resume({id})"));
    db.run(&format!("CALL migrate.run_backfill({id})"));
    assert_eq!(
        db.rows("SELECT key FROM migrate.quarantine"),
        [["{\"id\": 15000}"]]
    );
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM t WHERE share IS NULL"),
        1
    );
    // An expression that is wrong for everybody is a mistake, not a heap of bad rows.
    let id = job(&db, "b = (1 / (n - n))::text", None, 200);
    let failure = db.error(&format!("CALL migrate.run_backfill({id})"));
    assert!(
        failure.message.contains("more than 1000 rows"),
        "{failure:?}"
    );
}

#[test]
fn a_job_obeys_within_one_batch() {
    let db = cluster().database();
    table(&db);
    let id = job(&db, "b = a", None, 5);
    db.run("SELECT migrate.backfill_batch()");
    db.run(&format!("SELECT migrate.pause({id})"));
    let before = unfilled(&db);
    assert!(db.rows("SELECT * FROM migrate.backfill_batch()").is_empty());
    db.run(&format!("SELECT migrate.backfill_batch({id})"));
    assert_eq!(unfilled(&db), before);
    assert!(
        db.one::<String>("SELECT throttle FROM migrate.progress")
            .contains("migrate.resume")
    );
    db.run(&format!(
        "SELECT migrate.resume({id}); SELECT migrate.backfill_batch({id})"
    ));
    assert!(unfilled(&db) < before);
    // While a batch runs in another session.
    let mut other = db.connect();
    other
        .batch_execute("BEGIN; SELECT migrate.backfill_batch()")
        .unwrap();
    let begun = Instant::now();
    db.run(&format!(
        "SET statement_timeout = 30000; SELECT migrate.pause({id}); SELECT migrate.resume({id}); SELECT migrate.cancel({id})"
    ));
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "nobody waits for a batch to pause"
    );
    other.batch_execute("COMMIT").unwrap();
    let failure = db.error(&format!("SELECT migrate.backfill_batch({id})"));
    assert!(
        failure.message.contains("was cancelled") && !failure.hint.is_empty(),
        "{failure:?}"
    );
    assert!(
        db.error(&format!("SELECT migrate.pause({id})"))
            .message
            .contains("cannot be paused")
    );
    db.run(&format!("SELECT migrate.resume({id})"));
    db.run(&format!("CALL migrate.run_backfill({id})"));
    assert_eq!(unfilled(&db), 0);
    assert_eq!(
        db.error(&format!("SELECT migrate.resume({id})")).sqlstate,
        "55000"
    );
}

#[test]
fn a_migration_does_not_pass_over_rows_it_could_not_fill() {
    let db = cluster().database();
    table(&db);
    db.run("UPDATE t SET n = 1; UPDATE t SET n = 0 WHERE id IN (5, 500); ALTER TABLE t ADD m int");
    db.run(
        r#"SELECT migrate.apply('{"revision": "1", "operations": [
        {"backfill": {"table": "t", "set": {"m": "10 / n"}, "where": "m IS NULL"}}]}')"#,
    );
    for turn in ["upgrade", "upgrade again", "repair"] {
        if turn == "repair" {
            db.run("SELECT migrate.repair('1', 'retry')");
        }
        let failure = db.error("CALL migrate.upgrade()");
        assert!(
            failure
                .message
                .contains("2 rows of public.t could not be filled"),
            "{turn}: {failure:?}"
        );
        assert!(failure.detail.contains("{\"id\": 5"), "{turn}: {failure:?}");
        assert!(
            failure.hint.contains("migrate.repair('1', 'retry')"),
            "{turn}: {failure:?}"
        );
        assert_eq!(
            db.rows("SELECT state FROM migrate.steps"),
            [["failed"]],
            "{turn}"
        );
    }
    assert_eq!(db.one::<i64>("SELECT count(m) FROM t"), ROWS - 2);
    db.run("UPDATE t SET n = 1 WHERE n = 0");
    db.run("CALL migrate.upgrade()");
    assert_eq!(db.one::<i64>("SELECT count(*) FROM t WHERE m = 10"), ROWS);
    assert_eq!(db.rows("SELECT state FROM migrate.steps"), [["done"]]);
    assert_eq!(db.one::<i64>("SELECT count(*) FROM migrate.quarantine"), 0);
}

/// Each row is written once, although two operations fill a column of it.
#[test]
fn operations_on_one_table_share_a_pass() {
    let db = cluster().database();
    table(&db);
    db.run("ALTER TABLE t RENAME b TO other");
    db.run(
        r#"SELECT migrate.apply('{"revision": "1", "operations": [
        {"rename_column": {"table": "t", "from": "a", "to": "label"}},
        {"rename_column": {"table": "t", "from": "pad", "to": "filler"}},
        {"backfill": {"table": "t", "set": {"other": "''x'' || n"}, "where": "other IS NULL"}}]}')"#,
    );
    db.run("SELECT pg_stat_force_next_flush()");
    let updates = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 't'";
    let before = db.one::<i64>(updates);
    db.run("CALL migrate.upgrade()");
    db.run("SELECT pg_stat_force_next_flush()");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(db.one::<i64>(updates) - before, ROWS);
    assert_eq!(
        db.one::<i64>(
            "SELECT count(*) FROM t WHERE label = a AND filler = pad AND other = 'x' || n"
        ),
        ROWS
    );
    let jobs = db.rows("SELECT state, rows_updated FROM migrate.progress ORDER BY job");
    let all = ROWS.to_string();
    assert_eq!(jobs, [["done", all.as_str()], ["done", "0"], ["done", "0"]]);
    // Where one reads what the other fills, it waits for it.
    db.run("CALL migrate.contract('1')");
    db.run("ALTER TABLE t ADD c text, ADD d text");
    db.run(
        r#"SELECT migrate.apply('{"revision": "2", "down_revision": "1", "operations": [
        {"backfill": {"table": "t", "set": {"c": "label"}, "where": "c IS NULL"}},
        {"backfill": {"table": "t", "set": {"d": "c || ''!''"}, "where": "d IS NULL"}}]}')"#,
    );
    db.run("CALL migrate.upgrade()");
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM t WHERE c = label AND d = c || '!'"),
        ROWS
    );
}
