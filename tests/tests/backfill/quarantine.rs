//! Rows that cannot be filled: exactly they are set apart, and they can be tried again.

use super::{finish, job, table};
use pg_migrate_tests::cluster;

/// Halving finds each of them; everything else is done.
#[test]
fn ten_bad_rows_in_a_million_are_ten_named_rows() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL, m int);
         INSERT INTO t SELECT i, CASE WHEN i % 100000 = 777 THEN 0 ELSE 1 END FROM generate_series(1, 1000000) i;",
    );
    db.run("VACUUM ANALYZE t");
    let id = job(&db, "m = 10 / n", Some("m IS NULL"), 200);
    let said = db
        .notices(&format!("CALL migrate.run_backfill({id})"))
        .join("\n");
    assert!(said.contains("10 rows of public.t"), "{said}");
    assert_eq!(
        db.rows(
            "SELECT key, error ->> 'sqlstate' FROM migrate.quarantine ORDER BY (key ->> 'id')::int"
        ),
        (0..10)
            .map(|i| [
                format!("{{\"id\": {}}}", i * 100_000 + 777),
                "22012".to_owned()
            ])
            .collect::<Vec<_>>()
    );
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM t WHERE m = 10"),
        999_990
    );
    assert_eq!(
        db.rows("SELECT state, rows_updated, quarantined FROM migrate.progress"),
        [["done with 10 quarantined", "999990", "10"]]
    );
    assert_eq!(
        db.rows("SELECT what FROM migrate.event WHERE what LIKE 'backfill done%'"),
        [["backfill done with 10 quarantined"]]
    );
}

#[test]
fn corrected_rows_are_tried_again_wherever_they_are_now() {
    let db = cluster().database();
    table(&db);
    db.run("UPDATE t SET n = 1; UPDATE t SET n = 0 WHERE id IN (7, 500, 15000, 19000); ALTER TABLE t ADD m int");
    let id = job(&db, "m = 10 / n", Some("m IS NULL"), 200);
    finish(&db, id);
    // Corrected (which moves it), deleted, left as it is, locked by somebody.
    db.run("UPDATE t SET n = 5 WHERE id = 7; DELETE FROM t WHERE id = 500");
    let mut locker = db.connect();
    locker
        .batch_execute("BEGIN; UPDATE t SET n = 2 WHERE id = 19000")
        .unwrap();
    let again = format!("SELECT filled, quarantined FROM migrate.retry_quarantined({id})");
    assert_eq!(db.rows(&again), [["1", "2"]]);
    assert_eq!(db.one::<i32>("SELECT m FROM t WHERE id = 7"), 2);
    assert_eq!(
        db.rows("SELECT key ->> 'id' FROM migrate.quarantine ORDER BY 1"),
        [["15000"], ["19000"]]
    );
    locker.batch_execute("COMMIT").unwrap();
    assert_eq!(db.rows(&again), [["1", "1"]]);
    assert_eq!(db.one::<i32>("SELECT m FROM t WHERE id = 19000"), 5);
    db.run("UPDATE t SET n = 1 WHERE n = 0");
    assert_eq!(db.rows(&again), [["1", "0"]]);
    assert_eq!(db.rows(&again), [["0", "0"]]);
    assert_eq!(db.one::<i64>("SELECT count(*) FROM t WHERE m IS NULL"), 0);
    assert_eq!(db.rows("SELECT state FROM migrate.progress"), [["done"]]);
}

/// Rows that were moved by VACUUM FULL while the job was at work are named once, where they are now.
#[test]
fn a_rewrite_names_no_row_twice() {
    let db = cluster().database();
    table(&db);
    db.run(
        "UPDATE t SET n = 1; UPDATE t SET n = 0 WHERE id IN (7, 19000); ALTER TABLE t ADD m int",
    );
    db.run("VACUUM FULL t");
    let id = job(&db, "m = 10 / n", Some("m IS NULL"), 1);
    while db.one::<i64>("SELECT count(*) FROM migrate.quarantine") == 0 {
        db.run(&format!("SELECT migrate.backfill_batch({id})"));
    }
    db.run("DELETE FROM t WHERE id < 7");
    db.run("VACUUM FULL t");
    finish(&db, id);
    assert_eq!(
        db.rows("SELECT key ->> 'id' FROM migrate.quarantine ORDER BY 1"),
        [["19000"], ["7"]]
    );
    assert_eq!(
        db.rows("SELECT state FROM migrate.progress"),
        [["done with 2 quarantined"]]
    );
}

/// Without a key a row is where it was; with a partitioned table it may be in another leaf.
#[test]
fn rows_without_a_key_and_rows_in_another_partition() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE t (id int, n int, m int); INSERT INTO t SELECT i, i % 2 FROM generate_series(1, 4) i;
         CREATE TABLE p (id int, part int, n int, m int, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
         CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
         INSERT INTO p SELECT i, 1, 0 FROM generate_series(1, 3) i;",
    );
    let id = job(&db, "m = 10 / n", Some("m IS NULL"), 200);
    finish(&db, id);
    assert_eq!(
        db.rows(&format!(
            "SELECT filled, quarantined FROM migrate.retry_quarantined({id})"
        )),
        [["0", "2"]]
    );
    let id = db.one::<i64>("SELECT migrate.backfill('p', 'm = 10 / n', 'm IS NULL')");
    finish(&db, id);
    db.run("UPDATE p SET n = 2; UPDATE p SET part = 2 WHERE id = 3");
    assert_eq!(
        db.rows(&format!(
            "SELECT filled, quarantined FROM migrate.retry_quarantined({id})"
        )),
        [["2", "0"]]
    );
    // The third has another key now: what cannot be found is looked for in the whole table.
    assert_eq!(
        db.rows(&format!(
            "SELECT state FROM migrate.progress WHERE job = {id}"
        )),
        [["queued"]]
    );
    finish(&db, id);
    assert_eq!(db.one::<i64>("SELECT count(*) FROM p WHERE m = 5"), 3);
    db.run("CREATE ROLE nobody_here");
    let failure = db.error_as(
        "postgres",
        &format!("SET ROLE nobody_here; SELECT * FROM migrate.retry_quarantined({id})"),
    );
    db.run("DROP ROLE nobody_here");
    assert_eq!(failure.sqlstate, "42501", "{failure:?}");
}
