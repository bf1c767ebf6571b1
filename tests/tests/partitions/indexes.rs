//! create_index and drop_index.

use crate::*;
use std::time::Duration;

const INDEX: &str =
    "-- migrate:revision 1\nCREATE INDEX ON orders (amount, lower(note)) WHERE amount > 3;";

fn valid(db: &Db, index: &str) -> bool {
    db.one(&format!(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = '{index}'::regclass"
    ))
}

#[test]
fn an_index_is_built_leaf_by_leaf() {
    let db = orders();
    // One that fits is taken over, as PostgreSQL does; one that does not is left alone.
    let own = "CREATE INDEX mine ON orders_feb_us (amount, lower(note)) WHERE amount > 3;
               CREATE INDEX other ON orders_feb_eu (amount, lower(note))";
    db.run(own);
    let expected = plain(
        &format!("{ORDERS};{own}"),
        "CREATE INDEX ON orders (amount, lower(note)) WHERE amount > 3",
    );
    life(&db, INDEX, &expected);
    assert!(valid(&db, "orders_amount_lower_idx"));
}

#[test]
fn the_plan_shows_every_statement() {
    let db = orders();
    let plan = db.rows("SELECT kind, lock, sql FROM migrate.plan('CREATE UNIQUE INDEX u ON orders (id, at, region) INCLUDE (amount)')");
    let text: Vec<String> = plan.iter().map(|row| row.join(" | ")).collect();
    assert_eq!(
        text,
        [
            "ddl | SHARE | CREATE UNIQUE INDEX u ON ONLY public.orders (id, at, region) INCLUDE (amount)",
            "concurrent | SHARE UPDATE EXCLUSIVE | CREATE UNIQUE INDEX CONCURRENTLY orders_jan_id_at_region_amount_idx ON public.orders_jan (id, at, region) INCLUDE (amount)",
            "ddl | ACCESS EXCLUSIVE | ALTER INDEX public.u ATTACH PARTITION public.orders_jan_id_at_region_amount_idx",
            "ddl | SHARE | CREATE UNIQUE INDEX orders_feb_id_at_region_amount_idx ON ONLY public.orders_feb (id, at, region) INCLUDE (amount);\nALTER INDEX public.u ATTACH PARTITION public.orders_feb_id_at_region_amount_idx",
            "concurrent | SHARE UPDATE EXCLUSIVE | CREATE UNIQUE INDEX CONCURRENTLY orders_rest_id_at_region_amount_idx ON public.orders_rest (id, at, region) INCLUDE (amount)",
            "ddl | ACCESS EXCLUSIVE | ALTER INDEX public.u ATTACH PARTITION public.orders_rest_id_at_region_amount_idx",
            "concurrent | SHARE UPDATE EXCLUSIVE | CREATE UNIQUE INDEX CONCURRENTLY orders_feb_eu_id_at_region_amount_idx ON public.orders_feb_eu (id, at, region) INCLUDE (amount)",
            "ddl | ACCESS EXCLUSIVE | ALTER INDEX public.orders_feb_id_at_region_amount_idx ATTACH PARTITION public.orders_feb_eu_id_at_region_amount_idx",
            "concurrent | SHARE UPDATE EXCLUSIVE | CREATE UNIQUE INDEX CONCURRENTLY orders_feb_us_id_at_region_amount_idx ON public.orders_feb_us (id, at, region) INCLUDE (amount)",
            "ddl | ACCESS EXCLUSIVE | ALTER INDEX public.orders_feb_id_at_region_amount_idx ATTACH PARTITION public.orders_feb_us_id_at_region_amount_idx",
            "partitions | ACCESS SHARE | SELECT count(*) FROM migrate.partitions_without_index('public.u')",
        ]
    );
    db.psql(
        "SELECT migrate.plan_sql('CREATE UNIQUE INDEX u ON orders (id, at, region)') \\gexec\n",
    );
    assert!(valid(&db, "u"));
    // By hand: what came meanwhile is found by the last line.
    let script = db
        .rows("SELECT migrate.plan_sql('CREATE INDEX v ON orders (amount)')")
        .concat();
    db.run("CREATE TABLE late (LIKE orders); ALTER TABLE orders ATTACH PARTITION late FOR VALUES FROM ('2026-06-01') TO ('2026-07-01')");
    let (ended, text) = db.try_psql(&script.join(";\n"));
    assert!(
        !ended && text.contains("partitions have no part of index public.v"),
        "{text}"
    );
}

/// Attached, made, detached and dropped after the plan was made and before its steps run.
#[test]
fn partitions_come_and_go_before_the_first_step() {
    let db = orders();
    apply(&db, INDEX);
    db.run(
        "CREATE TABLE late (LIKE orders);
         INSERT INTO late SELECT g, 'eu', '2026-06-06', g, 'late' || g, 1 FROM generate_series(1, 1000) g;
         ALTER TABLE orders ATTACH PARTITION late FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');
         CREATE TABLE orders_jul PARTITION OF orders FOR VALUES FROM ('2026-07-01') TO ('2026-08-01') PARTITION BY LIST (region);
         CREATE TABLE orders_jul_eu PARTITION OF orders_jul FOR VALUES IN ('eu');
         ALTER TABLE orders DETACH PARTITION orders_jan;
         DROP TABLE orders_feb_us",
    );
    db.run("CALL migrate.upgrade()");
    assert!(valid(&db, "orders_amount_lower_idx"));
    for part in ["late", "orders_jul", "orders_jul_eu", "orders_feb_eu"] {
        assert!(valid(&db, &format!("{part}_amount_lower_idx")), "{part}");
    }
    assert_eq!(
        db.rows("SELECT 1 FROM pg_index WHERE indrelid = 'orders_jan'::regclass")
            .len(),
        0
    );
    let events = db.rows("SELECT count(*) FROM migrate.event WHERE what = 'steps added'");
    assert_eq!(events, [["1"]]);
    let before = steps(&db);
    assert!(before.len() > 11, "{before:#?}");
    db.run("CALL migrate.downgrade('-1')");
    let left = db.rows("SELECT indexrelid::regclass FROM pg_index WHERE indrelid::regclass::text ~ '^(orders|late)'");
    assert!(left.is_empty(), "{left:?}");
}

/// The same between the steps: what comes then has its part from PostgreSQL; when the last one to
/// miss leaves, the whole is valid all the same.
#[test]
fn partitions_come_and_go_between_the_steps() {
    let db = orders();
    apply(&db, INDEX);
    let mut blocker = db.connect();
    // The build on the last leaf waits for this one.
    blocker
        .batch_execute("BEGIN; UPDATE orders_feb_us SET amount = 5")
        .unwrap();
    let upgrade = std::thread::spawn({
        let db = db.clone();
        move || db.connect().batch_execute("CALL migrate.upgrade()")
    });
    db.wait_for(
        "the build on the last leaf",
        60,
        "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'orders_feb_us'::regclass AND mode = 'ShareUpdateExclusiveLock' AND granted)
         AND EXISTS (SELECT FROM pg_class WHERE relname = 'orders_feb_us_amount_lower_idx')",
    );
    db.run("CREATE TABLE orders_aug (LIKE orders);
            ALTER TABLE orders ATTACH PARTITION orders_aug FOR VALUES FROM ('2026-08-01') TO ('2026-09-01');
            CREATE TABLE late (LIKE orders);
            INSERT INTO late SELECT g, 'eu', '2026-06-06', g, 'late' || g, 1 FROM generate_series(1, 1000) g;
            ALTER TABLE orders ATTACH PARTITION late FOR VALUES FROM ('2026-06-01') TO ('2026-07-01')");
    assert!(valid(&db, "orders_aug_amount_lower_idx") && valid(&db, "late_amount_lower_idx"));
    assert!(!valid(&db, "orders_amount_lower_idx"));
    blocker.batch_execute("COMMIT").unwrap();
    upgrade.join().unwrap().unwrap();
    assert!(valid(&db, "orders_amount_lower_idx"));

    // The last leaf leaves before it is attached.
    db.run("CALL migrate.downgrade('-1')");
    apply(&db, INDEX);
    blocker
        .batch_execute("BEGIN; UPDATE orders_feb_us SET amount = 5")
        .unwrap();
    let upgrade = std::thread::spawn({
        let db = db.clone();
        move || db.connect().batch_execute("CALL migrate.upgrade()")
    });
    db.wait_for(
        "the build on the last leaf",
        60,
        "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'orders_feb_us'::regclass AND mode = 'ShareUpdateExclusiveLock' AND granted)
         AND EXISTS (SELECT FROM pg_class WHERE relname = 'orders_feb_us_amount_lower_idx')",
    );
    db.run("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE relation = 'orders_feb_us'::regclass AND mode = 'ShareUpdateExclusiveLock' AND granted");
    blocker.batch_execute("COMMIT").unwrap();
    let _ = upgrade.join().unwrap();
    db.run("ALTER TABLE orders_feb DETACH PARTITION orders_feb_us");
    db.run("CALL migrate.upgrade()");
    assert!(valid(&db, "orders_amount_lower_idx"));
    // What was begun on it is not left behind.
    let left = db.rows(
        "SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'orders_feb_us'::regclass",
    );
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_interrupted_build_is_begun_again_and_taken_back() {
    let db = orders();
    let before = fingerprint(&db);
    let traffic = traffic(&db);
    apply(&db, INDEX);
    for _ in 0..2 {
        let mut blocker = db.connect();
        blocker.batch_execute("BEGIN; UPDATE orders_feb_eu SET amount = 5 WHERE id = (SELECT min(id) FROM orders_feb_eu)").unwrap();
        let upgrade = std::thread::spawn({
            let db = db.clone();
            move || db.connect().batch_execute("CALL migrate.upgrade()")
        });
        db.wait_for(
            "the build",
            60,
            "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'orders_feb_eu'::regclass AND mode = 'ShareUpdateExclusiveLock' AND granted)
         AND EXISTS (SELECT FROM pg_class WHERE relname = 'orders_feb_eu_amount_lower_idx')",
        );
        db.run("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE relation = 'orders_feb_eu'::regclass AND mode = 'ShareUpdateExclusiveLock' AND granted");
        drop(blocker);
        upgrade.join().unwrap().unwrap_err();
        assert!(!valid(&db, "orders_feb_eu_amount_lower_idx"));
        if fingerprint(&db).len() > before.len() {
            db.run("CALL migrate.downgrade('base')");
            same("taken back", &before, &fingerprint(&db));
        }
    }
    db.run("CALL migrate.upgrade()");
    assert!(valid(&db, "orders_amount_lower_idx"));
    traffic.run_for(Duration::from_millis(100));
    agrees(&db, &traffic.stop(), &[("note", Role::Old)]);
}

/// Dropped and brought back, with the names its parts had.
#[test]
fn an_index_is_dropped() {
    let db = orders();
    let fixture = "CREATE INDEX mine ON orders_jan (amount); CREATE INDEX whole ON orders (amount)";
    db.run(fixture);
    let failure = db.error("SELECT migrate.plan('DROP INDEX mine')");
    assert_eq!(failure.sqlstate, "2BP01");
    assert!(
        failure.message.contains("is a part of index public.whole"),
        "{failure}"
    );
    let plan =
        db.rows("SELECT phase, lock, warning IS NOT NULL FROM migrate.plan('DROP INDEX whole')");
    assert_eq!(plan, [["contract", "ACCESS EXCLUSIVE", "t"]]);
    life(
        &db,
        "-- migrate:revision 1\nDROP INDEX whole;",
        &plain(&format!("{ORDERS};{fixture}"), "DROP INDEX whole"),
    );
    db.run("CALL migrate.downgrade('base')");
    assert_eq!(
        db.rows("SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'whole'::regclass ORDER BY 1").len(),
        3
    );
}

#[test]
fn what_cannot_be_is_said_before_anything_runs() {
    let db = orders();
    let failure = db.error("SELECT migrate.apply('CREATE UNIQUE INDEX u ON orders (id, at)', '1')");
    assert!(
        failure.message.contains("\"region\" is missing"),
        "{failure}"
    );
    assert!(
        failure
            .detail
            .contains("public.orders_feb is partitioned by region"),
        "{failure}"
    );
    // On one partition alone it is an index like any other.
    apply(
        &db,
        "-- migrate:revision 1\nCREATE UNIQUE INDEX u ON orders_jan (id);",
    );
    db.run("CALL migrate.upgrade()");
    assert!(valid(&db, "u"));
    db.run(
        "CREATE TABLE e (a int) PARTITION BY RANGE ((a + 1));
         CREATE EXTENSION file_fdw; CREATE SERVER s FOREIGN DATA WRAPPER file_fdw;
         CREATE TABLE f (a int) PARTITION BY RANGE (a);
         CREATE FOREIGN TABLE f1 PARTITION OF f FOR VALUES FROM (1) TO (2) SERVER s OPTIONS (filename '/dev/null')",
    );
    let failure = db.error("SELECT migrate.plan('CREATE UNIQUE INDEX ON e (a)')");
    assert!(
        failure
            .message
            .contains("an expression is in the partition key"),
        "{failure}"
    );
    let failure = db.error("SELECT migrate.plan('CREATE INDEX ON f (a)')");
    assert!(
        failure.message.contains("public.f1 is a foreign table"),
        "{failure}"
    );
}
