//! Unique and primary key constraints.

use crate::*;

#[test]
fn a_unique_constraint_is_built_leaf_by_leaf() {
    let db = orders();
    let own = "ALTER TABLE orders_feb_us ADD CONSTRAINT mine UNIQUE (id, at, region)";
    db.run(own);
    let add = "ALTER TABLE orders ADD UNIQUE (id, at, region)";
    let expected = plain(&format!("{ORDERS};{own}"), add);
    life(&db, &format!("-- migrate:revision 1\n{add};"), &expected);
    let failure = db.error("INSERT INTO orders SELECT * FROM orders_feb LIMIT 1");
    assert_eq!(failure.sqlstate, "23505");
}

#[test]
fn a_deferrable_one_too() {
    let db = orders();
    let add = "ALTER TABLE orders ADD CONSTRAINT whole UNIQUE (id, at, region) INCLUDE (amount) DEFERRABLE INITIALLY DEFERRED";
    life(
        &db,
        &format!("-- migrate:revision 1\n{add};"),
        &plain(ORDERS, add),
    );
}

#[test]
fn a_primary_key_comes_after_not_null() {
    let nullable =
        "ALTER TABLE orders ALTER id DROP NOT NULL; ALTER TABLE orders ALTER region DROP NOT NULL";
    let db = orders();
    db.run(nullable);
    let add = "ALTER TABLE orders ADD PRIMARY KEY (id, at, region)";
    let fixture = format!("{ORDERS};{nullable}");
    let expected = plain(&fixture, add);
    apply(&db, &format!("-- migrate:revision 1\n{add};"));
    // Attached between the plan and the first step, with rows.
    let late = "CREATE TABLE late (LIKE orders);
         INSERT INTO late SELECT g, 'eu', '2026-06-06', g, 'late' || g, 1 FROM generate_series(1, 1000) g;
         ALTER TABLE orders ATTACH PARTITION late FOR VALUES FROM ('2026-06-01') TO ('2026-07-01')";
    db.run(late);
    db.run("CALL migrate.upgrade()");
    same(
        "applied",
        &plain(&format!("{fixture};{late}"), add),
        &fingerprint(&db),
    );
    let db = orders();
    db.run(nullable);
    rehearsed(&db, &format!("-- migrate:revision 1\n{add};"));
    let traffic = traffic(&db);
    apply(&db, &format!("-- migrate:revision 1\n{add};"));
    db.run("CALL migrate.upgrade()");
    same("applied", &expected, &fingerprint(&db));
    agrees(&db, &traffic.stop(), &[("note", Role::Old)]);
}

#[test]
fn a_duplicate_is_named_and_nothing_is_left() {
    let db = orders();
    let before = fingerprint(&db);
    db.run("INSERT INTO orders SELECT * FROM orders_rest LIMIT 1");
    apply(
        &db,
        "-- migrate:revision 1\nALTER TABLE orders ADD CONSTRAINT u UNIQUE (id, at, region);",
    );
    let failure = db.error("CALL migrate.upgrade()");
    assert_eq!(failure.sqlstate, "23505", "{failure}");
    assert!(failure.detail.contains("orders_rest"), "{failure}");
    db.run("CALL migrate.downgrade('base')");
    same("taken back", &before, &fingerprint(&db));
    db.run("DELETE FROM orders_rest a USING orders_rest b WHERE a.ctid < b.ctid AND (a.id, a.at) = (b.id, b.at)");
    db.run("CALL migrate.upgrade()");
    let all = db.rows("SELECT convalidated FROM pg_constraint WHERE conname = 'u'");
    assert_eq!(all, [["t"]]);
}

#[test]
fn the_key_contains_the_partition_key() {
    let db = orders();
    for (sql, what) in [
        ("ALTER TABLE orders ADD UNIQUE (id)", "unique constraint"),
        ("ALTER TABLE orders ADD PRIMARY KEY (id)", "primary key"),
    ] {
        let failure = db.error(&format!("SELECT migrate.apply('{sql}', '1')"));
        assert!(failure.message.starts_with(what), "{failure}");
        assert!(failure.message.contains("\"at\" is missing"), "{failure}");
    }
    db.run("ALTER TABLE orders_jan ADD PRIMARY KEY (id, at)");
    let failure = db
        .error("SELECT migrate.apply('ALTER TABLE orders ADD PRIMARY KEY (id, at, region)', '1')");
    assert!(
        failure
            .message
            .contains("public.orders_jan has another primary key"),
        "{failure}"
    );
}
