//! Columns: added, filled, renamed, dropped, while partitions come and go.

use crate::*;

const RENAME: &str = "-- migrate:revision 1\nALTER TABLE orders RENAME COLUMN note TO remark;";
const BOTH: &[(&str, Role)] = &[("note", Role::Old), ("remark", Role::New)];

/// Rows of a table that are to be attached have the old column only.
fn late(db: &Db, name: &str, from: &str, to: &str) {
    db.run(&format!(
        "CREATE TABLE {name} (LIKE orders);
         INSERT INTO {name} (id, region, at, amount, note, customer)
             SELECT 1000000 + g * 10 + ascii('{name}'), 'eu', '{from}', 1, 'seed-{name}', 1 FROM generate_series(1, 500) g;
         ALTER TABLE orders ATTACH PARTITION {name} FOR VALUES FROM ('{from}') TO ('{to}')"
    ));
}

fn leave(db: &Db, name: &str) {
    db.run(&format!(
        "ALTER TABLE orders DETACH PARTITION {name}; DROP TABLE {name}"
    ));
}

fn always(db: &Db) {
    let asleep = db.rows(
        "SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger WHERE tgname LIKE '~~pg_migrate%' AND tgenabled <> 'A'",
    );
    assert!(asleep.is_empty(), "{asleep:?}");
}

/// Old and new application write, rows move between the partitions, and partitions are attached with
/// rows of their own, made, and detached, at every stage.
#[test]
fn a_rename_while_partitions_come_and_go() {
    let db = orders();
    db.run("CREATE INDEX ON orders (note)");
    rehearsed(&db, RENAME);
    let before = fingerprint(&db);
    let traffic = Traffic::start(&db, writers(BOTH));
    apply(&db, RENAME);
    late(&db, "a", "2026-06-01", "2026-07-01");
    db.run("CREATE TABLE b PARTITION OF orders FOR VALUES FROM ('2026-07-01') TO ('2026-08-01')");
    always(&db);
    traffic.new_writers(2);
    db.run("CALL migrate.upgrade()");
    let empty = "SELECT count(*) FROM orders WHERE remark IS DISTINCT FROM note";
    assert_eq!(db.one::<i64>(empty), 0);
    // After the backfill: the contract fills it first.
    late(&db, "c", "2026-08-01", "2026-09-01");
    always(&db);
    assert_eq!(db.one::<i64>(empty), 500);
    traffic.new_writers(4);
    db.run("CALL migrate.contract('1')");
    traffic.run_for(Duration::from_millis(200));
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM orders WHERE remark IN ('seed-a', 'seed-c')"),
        1000
    );
    for name in ["a", "b", "c"] {
        leave(&db, name);
    }
    agrees(&db, &traffic.stop(), &BOTH[1..]);
    db.run("CALL migrate.downgrade('base')");
    same("taken back", &before, &fingerprint(&db));
    // Back before the contract as well.
    db.run("CALL migrate.upgrade()");
    late(&db, "d", "2026-06-01", "2026-07-01");
    db.run("CALL migrate.downgrade('base')");
    leave(&db, "d");
    same("taken back before the contract", &before, &fingerprint(&db));
}

/// What was written to a partition while it was detached is filled when it comes back, also when
/// its rows had been filled before.
#[test]
fn a_partition_leaves_and_comes_back() {
    let db = orders();
    apply(&db, RENAME);
    let away = "ALTER TABLE orders DETACH PARTITION orders_jan; UPDATE orders_jan SET note = 'away', remark = NULL";
    let back = "ALTER TABLE orders ATTACH PARTITION orders_jan FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')";
    // In the middle of the backfill: one batch of it is done before.
    db.run("CALL migrate.upgrade()");
    db.run(away);
    db.run(back);
    let empty = "SELECT count(*) FROM orders WHERE remark IS DISTINCT FROM note";
    assert!(db.one::<i64>(empty) > 1000);
    // A null on purpose, in a partition that was there all the time, stays.
    db.run("UPDATE orders SET remark = NULL WHERE id = (SELECT min(id) FROM orders_rest)");
    db.run("CALL migrate.contract('1')");
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM orders WHERE remark IS NULL"),
        1
    );
    assert!(db.one::<i64>("SELECT count(*) FROM orders WHERE remark = 'away'") > 1000);
}

/// The same while the job runs: what it has filled already is not taken for done.
#[test]
fn a_partition_leaves_and_comes_back_during_the_backfill() {
    let db = orders();
    apply(
        &db,
        "-- migrate:revision 1\nALTER TABLE orders RENAME COLUMN note TO remark;",
    );
    let job = || db.rows("SELECT job, state FROM migrate.backfill");
    let mut client = db.connect();
    // One batch at a time until the partition's pieces are done; then it leaves and comes back.
    client.batch_execute("SELECT migrate.backfill_batch()").ok();
    for _ in 0..200 {
        if db.one::<bool>("SELECT EXISTS (SELECT FROM migrate.backfill_range WHERE relation = 'orders_jan'::regclass AND done)") {
            break;
        }
        let _ = client.batch_execute("SELECT migrate.backfill_batch()");
        if job().is_empty() {
            db.run("SELECT 1");
            break;
        }
    }
    db.run("ALTER TABLE orders DETACH PARTITION orders_jan; UPDATE orders_jan SET note = 'away', remark = NULL;
            ALTER TABLE orders ATTACH PARTITION orders_jan FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')");
    db.run("CALL migrate.upgrade()");
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM orders WHERE remark IS DISTINCT FROM note"),
        0
    );
}

/// No default partition: DETACH CONCURRENTLY in the middle of it.
#[test]
fn detach_concurrently_in_the_middle() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE orders (id bigint NOT NULL, at date NOT NULL, note text) PARTITION BY RANGE (at);
         CREATE TABLE p1 PARTITION OF orders FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
         CREATE TABLE p2 PARTITION OF orders FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
         CREATE TABLE p3 PARTITION OF orders FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
         INSERT INTO orders SELECT g, date '2026-01-01' + g % 85, 'seed-' || g FROM generate_series(1, 20000) g;
         CREATE INDEX ON orders (note)",
    );
    let mut spec = TrafficSpec::new("orders", "id", BOTH);
    spec.upserts = false;
    spec.also = vec![(
        "at".to_owned(),
        "date '2026-02-01' + (random() * 50)::int".to_owned(),
    )];
    db.run("DELETE FROM orders WHERE at < '2026-02-01'");
    let traffic = Traffic::start(&db, spec);
    apply(&db, RENAME);
    let upgrade = std::thread::spawn({
        let db = db.clone();
        move || db.connect().batch_execute("CALL migrate.upgrade()")
    });
    db.run("ALTER TABLE orders DETACH PARTITION p1 CONCURRENTLY");
    db.run("DROP TABLE p1");
    upgrade.join().unwrap().unwrap();
    traffic.new_writers(4);
    db.run("CALL migrate.contract('1')");
    traffic.run_for(Duration::from_millis(200));
    agrees(&db, &traffic.stop(), &BOTH[1..]);
    assert!(db.one::<bool>(
        "SELECT bool_and(indisvalid) FROM pg_index WHERE indrelid = 'orders'::regclass"
    ));
}

#[test]
fn a_column_with_up_and_not_null() {
    let db = orders();
    let document = r#"{"revision": "1", "down_revision": null, "operations": [{"add_column": {"table": "orders",
        "up": "coalesce(amount, 0) * 100", "column": {"name": "cents", "type": "bigint", "nullable": false, "check": {"name": "positive", "constraint": "cents >= 0"}}}}]}"#;
    rehearsed(&db, document);
    let before = fingerprint(&db);
    let traffic = traffic(&db);
    apply(&db, document);
    late(&db, "a", "2026-06-01", "2026-07-01");
    always(&db);
    db.run("CALL migrate.upgrade()");
    let wrong =
        "SELECT count(*) FROM orders WHERE cents IS DISTINCT FROM coalesce(amount, 0) * 100";
    assert_eq!(db.one::<i64>(wrong), 0);
    contract(&db);
    assert!(
        db.one::<bool>("SELECT bool_and(attnotnull) FROM pg_attribute WHERE attname = 'cents'")
    );
    leave(&db, "a");
    traffic.run_for(Duration::from_millis(100));
    // From the contract on the application has to give a value.
    let _ = traffic.stop();
    db.run("CALL migrate.downgrade('base')");
    same("taken back", &before, &fingerprint(&db));
}

/// A column that may be null: what a partition brings along after the backfill is filled before
/// the trigger leaves, and nulls on purpose stay.
#[test]
fn a_nullable_column_with_up() {
    let db = orders();
    let document = r#"{"revision": "1", "down_revision": null, "operations": [{"add_column": {"table": "orders",
        "up": "upper(note)", "column": {"name": "loud", "type": "text", "nullable": true}}}]}"#;
    rehearsed(&db, document);
    apply(&db, document);
    db.run("CALL migrate.upgrade()");
    db.run("UPDATE orders SET loud = NULL WHERE id = (SELECT min(id) FROM orders)");
    late(&db, "a", "2026-06-01", "2026-07-01");
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM orders WHERE loud IS NULL"),
        501
    );
    db.run("CALL migrate.contract('1')");
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM orders WHERE loud IS NULL"),
        1
    );
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM orders WHERE loud = 'SEED-A'"),
        500
    );
}

#[test]
fn a_volatile_default_and_a_data_migration() {
    let db = orders();
    db.run("UPDATE orders SET amount = NULL WHERE id % 3 = 0");
    let document = "-- migrate:revision 1\nALTER TABLE orders ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid();\nUPDATE orders SET amount = 7 WHERE amount IS NULL;";
    let traffic = traffic(&db);
    apply(&db, document);
    db.run("CALL migrate.upgrade()");
    contract(&db);
    assert_eq!(
        db.one::<i64>("SELECT count(DISTINCT token) - count(*) FROM orders"),
        0
    );
    agrees(&db, &traffic.stop(), &[("note", Role::Old)]);
}

/// The column leaves with its index and its constraint, and comes back with them.
#[test]
fn a_column_is_dropped() {
    let db = orders();
    let fixture = "CREATE INDEX by_amount ON orders (amount); ALTER TABLE orders ADD CONSTRAINT positive CHECK (amount >= 0);
        ALTER TABLE orders ADD UNIQUE (id, at, region, amount)";
    db.run(fixture);
    let drop = "ALTER TABLE orders DROP COLUMN amount";
    let document = format!("-- migrate:revision 1\n{drop};");
    rehearsed(&db, &document);
    let before = fingerprint(&db);
    let traffic = traffic(&db);
    apply(&db, &document);
    db.run("CALL migrate.upgrade()");
    contract(&db);
    assert_eq!(
        db.one::<i64>(
            "SELECT count(*) FROM pg_index WHERE indrelid::regclass::text LIKE 'orders%'"
        ),
        0
    );
    db.run("CALL migrate.downgrade('base')");
    agrees(&db, &traffic.stop(), &[("note", Role::Old)]);
    same("taken back", &before, &fingerprint(&db));
}

#[test]
fn one_partition_alone_is_not_changed() {
    let db = orders();
    for sql in [
        "ALTER TABLE orders_jan RENAME COLUMN note TO remark",
        "ALTER TABLE orders_jan ALTER amount TYPE text USING amount::text",
    ] {
        let failure = db.error(&format!("SELECT migrate.plan('{sql}')"));
        assert_eq!(
            failure.message,
            "public.orders_jan is a partition of public.orders"
        );
        assert_eq!(failure.hint, "Change public.orders: its partitions follow.");
    }
    apply(
        &db,
        "-- migrate:revision 1\nALTER TABLE orders_jan ADD CONSTRAINT own CHECK (amount >= 0);\nALTER TABLE orders_jan ADD UNIQUE (id);",
    );
    db.run("CALL migrate.upgrade()");
    assert_eq!(db.one::<i64>("SELECT count(*) FROM pg_constraint WHERE conrelid = 'orders_jan'::regclass AND convalidated"), 2);
}
