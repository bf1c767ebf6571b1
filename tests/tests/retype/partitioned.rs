//! Partitioned tables, on several levels: the whole and what each partition has of its own, while
//! applications write and partitions come and go.

use super::{
    Schema, apply, database, migrate, refused, rehearsed, same, schema, without_positions,
};
use pg_migrate_tests::{Db, LockWatcher, Report, Role, Traffic, TrafficSpec};
use std::time::Duration;

/// A sequence of its own for the key, months, February by region, a default partition; one leaf with
/// its columns in another order. Foreign keys out of it, to its primary key and to a unique
/// constraint.
const TABLES: &str = "
    DO $$ BEGIN CREATE ROLE parts_reader; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
    CREATE TABLE customers (id int PRIMARY KEY, name text);
    INSERT INTO customers SELECT g, 'c' || g FROM generate_series(1, 100) g;
    CREATE TABLE orders (id serial, at date NOT NULL, region text NOT NULL DEFAULT 'eu', customer int DEFAULT 7, amount int, note text, ref bigint,
        CONSTRAINT orders_key PRIMARY KEY (id, at, region) INCLUDE (amount),
        CONSTRAINT orders_number UNIQUE (at, id, region),
        CONSTRAINT orders_positive CHECK (id > 0 AND customer > 0),
        CONSTRAINT orders_customer FOREIGN KEY (customer) REFERENCES customers ON DELETE SET NULL ON UPDATE CASCADE)
        PARTITION BY RANGE (at);
    CREATE TABLE orders_jan (gone int, note text, ref bigint, customer int, at date NOT NULL, region text NOT NULL DEFAULT 'eu', id int NOT NULL, amount int,
        CONSTRAINT orders_positive CHECK (id > 0 AND customer > 0));
    ALTER TABLE orders_jan DROP COLUMN gone;
    ALTER TABLE orders ATTACH PARTITION orders_jan FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE orders_feb PARTITION OF orders FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY LIST (region);
    CREATE TABLE orders_feb_eu PARTITION OF orders_feb FOR VALUES IN ('eu');
    CREATE TABLE orders_feb_us PARTITION OF orders_feb FOR VALUES IN ('us');
    CREATE TABLE orders_rest PARTITION OF orders DEFAULT;
    INSERT INTO orders (at, region, customer, amount, ref, note)
        SELECT date '2026-01-01' + (g % 80), (ARRAY['eu', 'us'])[1 + g % 2], 1 + g % 100, g % 1000, g, 'seed-' || g FROM generate_series(1, 3000) g;
    CREATE TABLE lines (id int PRIMARY KEY, order_id int NOT NULL, order_at date, order_region text, n int,
        CONSTRAINT lines_order FOREIGN KEY (order_id, order_at, order_region) REFERENCES orders (id, at, region) ON DELETE CASCADE ON UPDATE CASCADE,
        CONSTRAINT lines_number FOREIGN KEY (order_at, order_id, order_region) REFERENCES orders (at, id, region) DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO lines SELECT id, id, at, region, 1 FROM orders WHERE id % 5 = 0;";

/// What PostgreSQL itself forgets, or gives other names, when it changes a type: names, comments and
/// marks of the parts of an index.
const SETTINGS: &str = "
    COMMENT ON CONSTRAINT lines_order ON lines IS 'whose line it is';
    CREATE INDEX ON orders (ref);
    CREATE INDEX orders_search ON orders (lower(note), abs(id)) WHERE id > 3;
    ALTER INDEX orders_jan_lower_abs_idx RENAME TO jan_search;
    COMMENT ON INDEX jan_search IS 'that of January';
    COMMENT ON INDEX orders_search IS 'to search';
    COMMENT ON CONSTRAINT orders_key ON orders IS 'the key';
    ALTER INDEX orders_search ALTER COLUMN 2 SET STATISTICS 70;
    ALTER INDEX jan_search ALTER COLUMN 2 SET STATISTICS 71;
    ALTER TABLE orders_feb_eu CLUSTER ON orders_feb_eu_pkey;
    ALTER TABLE orders_feb_us REPLICA IDENTITY USING INDEX orders_feb_us_at_id_region_key;
    COMMENT ON COLUMN orders.id IS 'the number';
    COMMENT ON COLUMN orders_jan.id IS 'the number in January';
    GRANT SELECT (id) ON orders TO parts_reader;
    GRANT UPDATE (customer) ON orders_feb TO parts_reader WITH GRANT OPTION;
    ALTER TABLE orders ALTER id SET STATISTICS 300;
    ALTER TABLE orders_rest ALTER id SET STATISTICS 40, ALTER customer SET (n_distinct = 100);
    ALTER TABLE ONLY orders_feb ALTER customer SET DEFAULT 8;
    ALTER TABLE orders_feb_us ALTER customer DROP DEFAULT;
    ALTER TABLE orders_feb_us ALTER customer SET NOT NULL;
    CREATE INDEX own_of_us ON orders_feb_us (customer, id);
    CREATE UNIQUE INDEX own_of_feb ON orders_feb (id, region, customer);
    ALTER TABLE orders_jan ADD CONSTRAINT own_of_jan CHECK (id < 1000000 AND customer < 1000);
    CREATE STATISTICS own_statistics ON id, customer FROM orders_rest;
    CREATE STATISTICS of_orders ON id, (customer + 1) FROM orders;";

const BLOCKERS: &str = "
    CREATE VIEW all_orders AS SELECT id, at, customer FROM orders WHERE id > 5;
    CREATE VIEW january AS SELECT o.id, j.note FROM orders_jan j JOIN all_orders o USING (id);
    GRANT SELECT ON january TO parts_reader;
    ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
    CREATE POLICY orders_read ON orders FOR SELECT TO parts_reader USING (id < 100000);
    CREATE POLICY own_policy ON orders_feb_eu USING (customer <> 3);
    CREATE FUNCTION parts_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
    CREATE TRIGGER orders_when BEFORE UPDATE OF id, note ON orders FOR EACH ROW WHEN (old.id <> 17) EXECUTE FUNCTION parts_trigger();
    CREATE TRIGGER own_trigger BEFORE UPDATE OF id ON orders_jan FOR EACH ROW EXECUTE FUNCTION parts_trigger();
    CREATE RULE own_rule AS ON DELETE TO customers DO ALSO UPDATE orders_rest SET note = 'alone' WHERE customer = old.id AND id > 0;
    CREATE PUBLICATION of_january FOR TABLE orders_jan (id, at, region, note) WHERE (id > 10);
    CREATE PUBLICATION of_orders FOR TABLE orders (id, at, region) WITH (publish_via_partition_root);";

const ID: &str = "ALTER TABLE orders ALTER COLUMN id TYPE bigint";
const CUSTOMER: &str = "ALTER TABLE orders ALTER COLUMN customer TYPE bigint";
const BOTH: &str =
    "ALTER TABLE orders ALTER COLUMN id TYPE bigint, ALTER COLUMN customer TYPE bigint;
    ALTER TABLE customers ALTER COLUMN id TYPE bigint";
const LINES: &str = "ALTER TABLE lines ALTER COLUMN order_id TYPE bigint";

fn orders() -> Db {
    let db = database(&format!("{TABLES}{SETTINGS}{BLOCKERS}"));
    db.run("ANALYZE");
    db
}

/// The same, with the types changed before there was anything to lose.
fn plain(statement: &str) -> Schema {
    let db = database(&format!(
        "{TABLES} SET CONSTRAINTS ALL IMMEDIATE; {statement};{SETTINGS}{BLOCKERS}"
    ));
    of_application(without_positions(schema(&db)))
}

/// Without what PostgreSQL makes for each referenced partition, and where sequences stand.
fn of_application(schema: Schema) -> Schema {
    let passing = ["internal triggers", "value of"];
    let passes = |row: &Vec<String>| passing.iter().any(|what| row[0].starts_with(what));
    schema.into_iter().filter(|row| !passes(row)).collect()
}

#[track_caller]
fn enforced(db: &Db) {
    for (statement, sqlstate) in [
        (
            "INSERT INTO lines (id, order_id, order_at, order_region) VALUES (90000, 90000, '2026-01-05', 'eu'); SET CONSTRAINTS ALL IMMEDIATE",
            "23503",
        ),
        (
            "INSERT INTO orders (id, at, customer) VALUES (90000, '2026-03-05', 90000)",
            "23503",
        ),
        (
            "INSERT INTO orders (id, at, region, customer) SELECT id, at, region, 1 FROM orders LIMIT 1",
            "23505",
        ),
        (
            "INSERT INTO orders (id, at, customer) VALUES (-1, '2026-01-05', 1)",
            "23514",
        ),
        (
            "INSERT INTO orders (id, at, customer) VALUES (2000000, '2026-01-05', 1)",
            "23514",
        ),
        (
            "INSERT INTO orders (at, region, customer) VALUES ('2026-02-05', 'us', NULL)",
            "23502",
        ),
    ] {
        assert_eq!(db.error(statement).sqlstate, sqlstate, "{statement}");
    }
    db.run("UPDATE orders SET at = at + 1 WHERE id = 25; DELETE FROM orders WHERE id = 30");
    let moved: i64 = db.one("SELECT count(*) FROM lines l JOIN orders o ON (o.id, o.at, o.region) = (l.order_id, l.order_at, l.order_region) WHERE l.id = 25");
    assert_eq!(moved, 1);
    assert_eq!(db.one::<i64>("SELECT count(*) FROM lines WHERE id = 30"), 0);
    db.run("INSERT INTO orders (id, at, region, customer, amount, note, ref) SELECT 30, at, region, customer, amount, note, ref FROM orders WHERE id = 25; UPDATE orders SET at = at - 1 WHERE id = 25;
            INSERT INTO lines (id, order_id, order_at, order_region, n) SELECT 30, id, at, region, 1 FROM orders WHERE id = 30");
}

fn whole_life(change: &str) {
    let db = orders();
    let before = of_application(schema(&db));
    rehearsed(&db, change);
    apply(&db, "1", change);
    db.run("CALL migrate.upgrade()");
    enforced(&db);
    db.run("CALL migrate.downgrade('base')");
    same(&before, &of_application(schema(&db)));
    db.run("CALL migrate.upgrade()");
    db.run("CALL migrate.contract('1')");
    enforced(&db);
    let expected = plain(change);
    same(&expected, &of_application(without_positions(schema(&db))));
    let open = db.rows("SELECT * FROM migrate.verify('1') WHERE found > 0");
    assert!(open.is_empty(), "{open:?}");
    // The planner knows the new columns before anybody asks for them.
    let known: i64 = db.one("SELECT count(*) FROM pg_stats WHERE tablename IN ('orders_jan', 'orders_rest') AND attname IN ('id', 'customer')");
    assert_eq!(known, 4);
    db.run("CALL migrate.downgrade('base')");
    enforced(&db);
    same(&before, &of_application(schema(&db)));
    db.run("CALL migrate.upgrade()");
    db.run("CALL migrate.contract('1')");
    same(&expected, &of_application(without_positions(schema(&db))));
}

#[test]
fn the_primary_key_of_a_partitioned_table() {
    whole_life(ID);
}

#[test]
fn a_column_with_a_foreign_key() {
    whole_life(CUSTOMER);
}

#[test]
fn everything_at_once() {
    whole_life(&format!("{BOTH};{LINES}"));
}

#[test]
fn the_referring_side_first() {
    whole_life(&format!("{LINES};{ID}"));
}

/// Two migrations expanded at once, either side first, contracted in either order.
#[test]
fn two_migrations_at_once() {
    for (first, second) in [(ID, LINES), (LINES, ID)] {
        for contracts in [["1", "2"], ["2", "1"]] {
            let db = orders();
            let before = of_application(schema(&db));
            apply(&db, "1", first);
            db.run("CALL migrate.upgrade()");
            db.run(&super::document("2", "1", second));
            db.run("CALL migrate.upgrade()");
            for contract in contracts {
                db.run(&format!("CALL migrate.contract('{contract}')"));
                enforced(&db);
            }
            same(
                &plain(&format!("{ID};{LINES}")),
                &of_application(without_positions(schema(&db))),
            );
            db.run("CALL migrate.downgrade('base')");
            same(&before, &of_application(schema(&db)));
        }
    }
}

/// Rows that come with a partition have the old columns only, but where the new one is NOT NULL by
/// then (`filled`).
fn late(db: &Db, name: &str, month: u32, filled: bool) {
    let (from, to) = (
        format!("2026-{month:02}-01"),
        format!("2026-{:02}-01", month + 1),
    );
    let (column, value) = match filled {
        true => (", id_pgm_new", format!(", 100000 * {month} + g")),
        false => ("", String::new()),
    };
    db.run(&format!(
        "CREATE TABLE {name} (LIKE orders INCLUDING CONSTRAINTS);
         INSERT INTO {name} (id, region, at, amount, note, customer, ref{column})
             SELECT 100000 * {month} + g, 'eu', '{from}', 1, 'seed-late', 1, 100000 * {month} + g{value} FROM generate_series(1, 300) g;
         ALTER TABLE orders ATTACH PARTITION {name} FOR VALUES FROM ('{from}') TO ('{to}')"
    ));
}

fn spec() -> TrafficSpec {
    let mut spec = TrafficSpec::new("orders", "ref", &[("note", Role::Old)]).threads(2);
    spec.pause = Duration::from_millis(5);
    spec.also = vec![
        (
            "at".to_owned(),
            "date '2026-01-01' + (random() * 79)::int".to_owned(),
        ),
        (
            "region".to_owned(),
            "(ARRAY['eu', 'us'])[1 + (random() * 1.99)::int % 2]".to_owned(),
        ),
        ("customer".to_owned(), "1 + ($1::bigint % 100)".to_owned()),
    ];
    spec.upserts = false; // no unique index on the key alone
    spec
}

#[track_caller]
fn agrees(db: &Db, report: &Report) {
    // A row that an update has moved while another statement waited for it: PostgreSQL says so.
    let errors: Vec<_> = report
        .errors
        .iter()
        .filter(|text| !text.contains("moved to another partition"))
        .collect();
    assert!(errors.is_empty(), "{:#?}", &errors[..errors.len().min(5)]);
    let wrong = report.check(db, "orders", "ref", &[("note", Role::Old)]);
    assert!(wrong.is_empty(), "{:#?}", &wrong[..wrong.len().min(10)]);
    assert!(
        report.operations > 100,
        "hardly any traffic: {}",
        report.operations
    );
    let lost: i64 = db.one(
        "SELECT count(*) FROM orders WHERE note NOT LIKE 'seed%' AND customer <> 1 + ref % 100",
    );
    assert_eq!(lost, 0);
}

/// Partitions are attached, made, detached and dropped at every stage, under writers whose updates
/// move rows between partitions.
#[test]
fn partitions_come_and_go_while_applications_write() {
    let db = orders();
    let traffic = Traffic::start(&db, spec());
    let watcher = LockWatcher::start(&db, "orders");
    apply(&db, "1", &format!("{BOTH};{LINES}"));
    late(&db, "late_a", 6, false);
    db.run("CREATE TABLE made_b PARTITION OF orders FOR VALUES FROM ('2026-07-01') TO ('2026-08-01') PARTITION BY LIST (region);
            CREATE TABLE made_b_eu PARTITION OF made_b FOR VALUES IN ('eu')");
    db.run("CALL migrate.upgrade()");
    late(&db, "late_c", 8, true);
    db.run(
        "CREATE TABLE made_d PARTITION OF orders FOR VALUES FROM ('2026-09-01') TO ('2026-10-01')",
    );
    db.run("INSERT INTO orders (at, customer, note, ref) VALUES ('2026-09-09', 3, 'seed-late', 900001)");
    // With everything that was to be carried with it.
    db.run("DROP VIEW january; ALTER TABLE orders DETACH PARTITION made_b; DROP TABLE made_b; CREATE VIEW january AS SELECT o.id, j.note FROM orders_jan j JOIN all_orders o USING (id); GRANT SELECT ON january TO parts_reader");
    traffic.run_for(Duration::from_millis(300));
    db.run("CALL migrate.contract('1')");
    let locks = watcher.stop();
    traffic.run_for(Duration::from_millis(300));
    let held = locks.longest_hold.map(|hold| hold.held).unwrap_or_default();
    assert!(
        held < Duration::from_secs(5),
        "a strong lock was held for {held:?}"
    );
    for table in ["late_a", "late_c", "made_d", "orders_feb_us"] {
        let types = db.rows(&format!(
            "SELECT attname, format_type(atttypid, NULL), attnotnull FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attname IN ('id', 'customer') ORDER BY 1 DESC"
        ));
        assert_eq!(types[0], ["id", "bigint", "t"], "{table}");
        assert_eq!(types[1][..2], ["customer", "bigint"], "{table}");
        let keys: i64 = db.one(&format!(
            "SELECT count(*) FROM pg_constraint WHERE conrelid = '{table}'::regclass AND contype IN ('p', 'u', 'f') AND convalidated"
        ));
        assert_eq!(keys, 3, "{table}");
    }
    assert_eq!(
        db.one::<i64>(
            "SELECT count(*) FROM orders WHERE note = 'seed-late' AND id > 100000 AND customer = 1"
        ),
        600
    );
    db.run("INSERT INTO customers VALUES (5000000000, 'large'); INSERT INTO orders (id, at, customer) VALUES (5000000000, '2026-09-09', 5000000000);
            DELETE FROM orders WHERE id = 5000000000; DELETE FROM customers WHERE id = 5000000000");
    late(&db, "late_e", 10, false);
    db.run("CALL migrate.downgrade('base')");
    traffic.run_for(Duration::from_millis(300));
    let report = traffic.stop();
    db.run("DELETE FROM orders WHERE note = 'seed-late'");
    agrees(&db, &report);
    let types = db.rows("SELECT DISTINCT format_type(atttypid, NULL) FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid WHERE relkind IN ('r', 'p') AND (relname ~ '^(orders|late|made)') AND attname IN ('id', 'customer')");
    assert_eq!(types, [["integer"]]);
}

#[test]
fn taken_back_while_applications_write() {
    let db = orders();
    let before = of_application(schema(&db));
    let traffic = Traffic::start(&db, spec());
    apply(&db, "1", BOTH);
    late(&db, "late_a", 6, false);
    db.run("CALL migrate.upgrade()");
    traffic.run_for(Duration::from_millis(200));
    db.run("CALL migrate.downgrade('base')");
    traffic.run_for(Duration::from_millis(200));
    let report = traffic.stop();
    db.run("ALTER TABLE orders DETACH PARTITION late_a; DROP TABLE late_a");
    agrees(&db, &report);
    same(&before, &of_application(schema(&db)));
}

/// What a partition gets or brings along meanwhile is named before anything is lost.
#[test]
fn what_partitions_get_meanwhile_is_named() {
    for (change, back) in [
        (
            "CREATE INDEX later ON orders_jan (id, note)",
            "DROP INDEX later",
        ),
        (
            "CREATE VIEW later AS SELECT id FROM orders_feb_eu",
            "DROP VIEW later",
        ),
        (
            "DROP INDEX own_of_us",
            "CREATE INDEX own_of_us ON orders_feb_us (customer, id)",
        ),
        (
            "ALTER POLICY own_policy ON orders_feb_eu USING (customer <> 4 AND id > 0)",
            "ALTER POLICY own_policy ON orders_feb_eu USING (customer <> 3)",
        ),
        (
            "CREATE TABLE later (LIKE orders INCLUDING CONSTRAINTS); CREATE INDEX ON later (abs(id)); ALTER TABLE orders ATTACH PARTITION later FOR VALUES FROM ('2026-06-01') TO ('2026-07-01')",
            "ALTER TABLE orders DETACH PARTITION later; DROP TABLE later",
        ),
    ] {
        let db = orders();
        apply(&db, "1", BOTH);
        db.run("CALL migrate.upgrade()");
        db.run(change);
        let here = schema(&db);
        let failure = db.error("CALL migrate.contract('1')");
        assert_eq!(failure.sqlstate, "55000", "{change}: {failure}");
        assert!(
            failure.message.contains("would be lost"),
            "{change}: {failure}"
        );
        // What came with rows was made ready before; the rest is as it was.
        if !change.contains("ATTACH") {
            same(&here, &schema(&db));
        }
        db.run(back);
        db.run("CALL migrate.contract('1')");
    }
}

#[test]
fn what_cannot_be_done_is_said() {
    for (setup, change, named) in [
        ("", "ALTER TABLE orders ALTER COLUMN at TYPE timestamp", "the partition key of orders"),
        ("", "ALTER TABLE orders ALTER COLUMN region TYPE varchar(5)", "the partition key of orders_feb"),
        ("CREATE TABLE other (at date, k int, PRIMARY KEY (at, k)) PARTITION BY RANGE (at); CREATE TABLE other_one PARTITION OF other DEFAULT;
          CREATE TABLE own (at date, k int, CONSTRAINT own_key FOREIGN KEY (at, k) REFERENCES other) PARTITION BY RANGE (at); CREATE TABLE own_one PARTITION OF own DEFAULT;
          INSERT INTO other VALUES ('2026-01-01', 1)",
         "ALTER TABLE other ALTER COLUMN k TYPE bigint", "own_key"),
        ("ALTER TABLE orders_rest ADD CONSTRAINT alone FOREIGN KEY (amount) REFERENCES customers NOT VALID",
         "ALTER TABLE orders ALTER COLUMN amount TYPE bigint", "partition alone"),
        ("CREATE MATERIALIZED VIEW m AS SELECT id FROM orders_jan", ID, "materialized view public.m"),
        ("CREATE EXTENSION file_fdw; CREATE SERVER s FOREIGN DATA WRAPPER file_fdw; CREATE TABLE far (a int, b int) PARTITION BY RANGE (a);
          CREATE FOREIGN TABLE far_one PARTITION OF far FOR VALUES FROM (10) TO (20) SERVER s OPTIONS (filename '/dev/null'); CREATE TABLE far_two PARTITION OF far FOR VALUES FROM (0) TO (9); INSERT INTO far VALUES (1, 1)",
         "ALTER TABLE far ALTER COLUMN b TYPE bigint", "foreign table"),
    ] {
        let db = database(&format!("{TABLES}{SETTINGS}{BLOCKERS}{setup}"));
        let before = schema(&db);
        let failure = refused(&db, change);
        assert_eq!(failure.sqlstate, "0A000", "{change}: {failure}");
        assert!(failure.detail.contains(named), "{change}: {failure}");
        assert!(!failure.hint.is_empty(), "{failure}");
        same(&before, &schema(&db));
    }
}

/// A change that needs no copy takes the views of partitions away and makes them again.
#[test]
fn a_change_in_place_carries_what_partitions_have() {
    let db = database(
        "CREATE TABLE t (k int, c varchar(10)) PARTITION BY RANGE (k); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10);
         INSERT INTO t VALUES (1, 'a'); CREATE VIEW of_one AS SELECT c FROM t1; CREATE VIEW of_both AS SELECT t.c, t1.k FROM t JOIN t1 USING (k)",
    );
    let before = schema(&db);
    migrate_in_place(&db);
    assert_eq!(db.one::<String>("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'of_one'::regclass AND attname = 'c'"), "character varying(20)");
    db.run("CALL migrate.downgrade('base')");
    same(&before, &schema(&db));
}

fn migrate_in_place(db: &Db) {
    apply(db, "1", "ALTER TABLE t ALTER COLUMN c TYPE varchar(20)");
    db.run("CALL migrate.upgrade()");
    assert_eq!(
        db.one::<String>("SELECT state FROM migrate.status"),
        "applied"
    );
}

/// An identity belongs to the whole.
#[test]
fn an_identity_of_a_partitioned_table() {
    let db = database(
        "CREATE TABLE t (id int GENERATED BY DEFAULT AS IDENTITY (START 10 INCREMENT 5), at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
         CREATE TABLE t1 PARTITION OF t DEFAULT; INSERT INTO t (at) SELECT '2026-01-01' FROM generate_series(1, 50); ANALYZE",
    );
    let before = schema(&db);
    migrate(&db, "1", "ALTER TABLE t ALTER COLUMN id TYPE bigint");
    assert_eq!(
        db.one::<i64>("INSERT INTO t (at) VALUES ('2026-01-02') RETURNING id"),
        10 + 50 * 5
    );
    db.run("SELECT setval('t_id_seq', 255)");
    db.run("CALL migrate.downgrade('base')");
    same(&before, &schema(&db));
}
