//! Partitions that come while the backfill of a migration ends.

use pg_migrate_tests::cluster;
use std::thread;

/// Between the last look for partitions and the word that all nulls are meant.
#[test]
fn a_partition_that_comes_at_the_last_moment_is_filled_before_the_contract() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE p (id int, part int, old text, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
         CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
         INSERT INTO p SELECT i, 1, 'v' || i FROM generate_series(1, 100) i;",
    );
    db.run(
        r#"SELECT migrate.add($${"revision": "1", "operations": [{"rename_column": {"table": "p", "from": "old", "to": "new"}}]}$$)"#,
    );
    let mut keeper = db.connect();
    keeper
        .batch_execute("SELECT pg_advisory_lock(42)")
        .expect("a lock");
    thread::scope(|scope| {
        let upgrade = scope.spawn(|| {
            let mut client = db.connect();
            client.batch_execute("SET migrate.fault_point = 'step.filled wait 42'")?;
            client.batch_execute("CALL migrate.upgrade()")
        });
        db.wait_for(
            "the driver stands at its point",
            60,
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)",
        );
        db.run(
            "CREATE TABLE p2 (LIKE p INCLUDING DEFAULTS); INSERT INTO p2 (id, part, old) SELECT i, 2, 'w' || i FROM generate_series(1, 50) i;
             ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2)",
        );
        keeper
            .batch_execute("SELECT pg_advisory_unlock(42)")
            .expect("a lock");
        upgrade.join().expect("a thread").expect("an upgrade");
    });
    db.run("CALL migrate.contract('1')");
    assert_eq!(db.one::<i64>("SELECT count(new) FROM p"), 150);
}
