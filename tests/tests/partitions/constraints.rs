//! CHECK, NOT NULL and foreign keys.

use crate::*;

#[test]
fn a_check_is_validated_leaf_by_leaf() {
    let db = orders();
    let add = "ALTER TABLE orders ADD CONSTRAINT positive CHECK (amount >= 0)";
    let plan = db.rows(&format!(
        "SELECT kind, scans, sql FROM migrate.plan('{add}')"
    ));
    let text: Vec<String> = plan.iter().map(|row| row.join(" ")).collect();
    assert_eq!(
        text[1..],
        [
            "validate t ALTER TABLE public.orders_jan VALIDATE CONSTRAINT positive",
            "validate t ALTER TABLE public.orders_rest VALIDATE CONSTRAINT positive",
            "validate t ALTER TABLE public.orders_feb_eu VALIDATE CONSTRAINT positive",
            "validate t ALTER TABLE public.orders_feb_us VALIDATE CONSTRAINT positive",
            "validate t ALTER TABLE public.orders VALIDATE CONSTRAINT positive",
        ]
    );
    life(
        &db,
        &format!("-- migrate:revision 1\n{add};"),
        &plain(ORDERS, add),
    );
    let failure = db.error("UPDATE orders SET amount = -1 WHERE id = 1");
    assert_eq!(failure.sqlstate, "23514");
}

#[test]
fn the_parents_scan_nothing_more() {
    let db = orders();
    let scans = || -> i64 {
        db.one("SELECT sum(seq_tup_read)::bigint FROM (SELECT pg_stat_force_next_flush()) f, pg_stat_user_tables WHERE relname LIKE 'orders%'")
    };
    apply(
        &db,
        "-- migrate:revision 1\nALTER TABLE orders ALTER amount SET NOT NULL;\nALTER TABLE orders ADD CONSTRAINT customer FOREIGN KEY (customer) REFERENCES customers;",
    );
    let all = steps(&db);
    // By hand, to see between the steps.
    for (number, step) in (1..).zip(&all) {
        let before = scans();
        let (head, sql) = step.split_once(": ").unwrap();
        db.run(sql);
        let read = scans() - before;
        let leaf = head == "migrate validate" && !sql.contains("public.orders VALIDATE");
        assert_eq!(read > 0, leaf, "step {number} reads {read} rows: {sql}");
    }
    let open = db.rows("SELECT conname FROM pg_constraint WHERE NOT convalidated");
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn not_null_is_proven_leaf_by_leaf() {
    let db = orders();
    let set = "ALTER TABLE orders ALTER note SET NOT NULL";
    life(
        &db,
        &format!("-- migrate:revision 1\n{set};"),
        &plain(ORDERS, set),
    );
}

#[test]
fn a_foreign_key_is_taken_over_from_the_leaves() {
    let db = orders();
    let add =
        "ALTER TABLE orders ADD FOREIGN KEY (customer) REFERENCES customers ON DELETE CASCADE";
    life(
        &db,
        &format!("-- migrate:revision 1\n{add};"),
        &plain(ORDERS, add),
    );
    let failure =
        db.error("UPDATE orders SET customer = 1000 WHERE id = (SELECT min(id) FROM orders)");
    assert_eq!(failure.sqlstate, "23503");
    db.run("DELETE FROM customers WHERE id = 7");
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM orders WHERE customer = 7"),
        0
    );
    // And away, and back.
    let db = orders();
    let key =
        "ALTER TABLE orders ADD CONSTRAINT customer FOREIGN KEY (customer) REFERENCES customers";
    db.run(key);
    let drop = "ALTER TABLE orders DROP CONSTRAINT customer";
    let expected = plain(&format!("{ORDERS};{key}"), drop);
    life(&db, &format!("-- migrate:revision 1\n{drop};"), &expected);
}

/// A partition attached after the plan gets its foreign key before the parent's, without a scan
/// under a lock; one that is attached between question and answer cannot be, for the locks.
#[test]
fn late_partitions_get_the_foreign_key_first() {
    let db = orders();
    let add =
        "ALTER TABLE orders ADD CONSTRAINT customer FOREIGN KEY (customer) REFERENCES customers";
    apply(&db, &format!("-- migrate:revision 1\n{add};"));
    let late = "CREATE TABLE late (LIKE orders);
         INSERT INTO late SELECT g, 'eu', '2026-06-06', g, 'late' || g, 1 FROM generate_series(1, 1000) g;
         ALTER TABLE orders ATTACH PARTITION late FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');
         CREATE TABLE orders_aug PARTITION OF orders FOR VALUES FROM ('2026-08-01') TO ('2026-09-01');
         ALTER TABLE orders DETACH PARTITION orders_jan";
    db.run(late);
    db.run("CALL migrate.upgrade()");
    same(
        "applied",
        &plain(&format!("{ORDERS};{late}"), add),
        &fingerprint(&db),
    );
    let added = steps(&db);
    assert!(
        added
            .iter()
            .any(|step| step
                == "migrate validate: ALTER TABLE public.late VALIDATE CONSTRAINT customer"),
        "{added:#?}"
    );
    db.run("CALL migrate.downgrade('base')");
    assert!(
        db.rows("SELECT 1 FROM pg_constraint WHERE conname = 'customer'")
            .is_empty()
    );
}

#[test]
fn a_row_without_its_customer_is_named_and_nothing_is_left() {
    let db = orders();
    let before = fingerprint(&db);
    db.run("UPDATE orders SET customer = 4711 WHERE id = (SELECT min(id) FROM orders_rest)");
    apply(
        &db,
        "-- migrate:revision 1\nALTER TABLE orders ADD CONSTRAINT customer FOREIGN KEY (customer) REFERENCES customers;",
    );
    let failure = db.error("CALL migrate.upgrade()");
    assert_eq!(failure.sqlstate, "23503", "{failure}");
    assert!(failure.message.contains("orders_rest"), "{failure}");
    db.run("CALL migrate.downgrade('base')");
    same("taken back", &before, &fingerprint(&db));
}

/// To a partitioned table, from a plain one and from a partitioned one.
#[test]
fn a_foreign_key_to_a_partitioned_table() {
    let fixture = format!(
        "{ORDERS}; CREATE TABLE days (day date PRIMARY KEY) PARTITION BY RANGE (day);
         CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2026-02-10');
         CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM ('2026-02-10') TO ('2027-01-01');
         INSERT INTO days SELECT date '2026-01-01' + g FROM generate_series(0, 200) g;
         CREATE TABLE visits (day date); INSERT INTO visits SELECT day FROM days"
    );
    let db = cluster().database();
    db.run(&fixture);
    let add = "ALTER TABLE orders ADD CONSTRAINT day FOREIGN KEY (at) REFERENCES days";
    life(
        &db,
        &format!("-- migrate:revision 1\n{add};"),
        &plain(&fixture, add),
    );
    let db = cluster().database();
    db.run(&fixture);
    let document = "-- migrate:revision 1\nALTER TABLE visits ADD CONSTRAINT day FOREIGN KEY (day) REFERENCES days;";
    rehearsed(&db, document);
    apply(&db, document);
    db.run("CALL migrate.upgrade()");
    assert!(db.one::<bool>("SELECT convalidated FROM pg_constraint WHERE conname = 'day'"));
    let open = db.rows("SELECT * FROM migrate.verify('1') WHERE found > 0");
    assert!(open.is_empty(), "{open:?}");
    let failure = db.error("INSERT INTO visits VALUES ('2020-01-01')");
    assert_eq!(failure.sqlstate, "23503");
}
