//! Partitioned tables, on several levels and with a default partition: every change online, under
//! writers whose updates move rows between partitions, with the end state of the plain statement.

mod attach;
mod columns;
mod constraints;
mod indexes;
mod keys;
mod locks;

use pg_migrate_tests::{Db, Report, Role, Traffic, TrafficSpec, cluster};
use std::time::Duration;

/// Orders by month, February by region; the rest in a default partition. `orders_jan` has its
/// columns in another order, and a dropped one.
pub const ORDERS: &str = "
    CREATE TABLE customers (id bigint PRIMARY KEY, name text);
    INSERT INTO customers SELECT g, 'c' || g FROM generate_series(1, 100) g;
    CREATE TABLE orders (id bigint NOT NULL, region text NOT NULL, at date NOT NULL, amount int DEFAULT 1, note text, customer bigint)
        PARTITION BY RANGE (at);
    CREATE TABLE orders_jan (gone int, note text, customer bigint, at date NOT NULL, region text NOT NULL, id bigint NOT NULL, amount int DEFAULT 1);
    ALTER TABLE orders_jan DROP COLUMN gone;
    ALTER TABLE orders ATTACH PARTITION orders_jan FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE orders_feb PARTITION OF orders FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY LIST (region);
    CREATE TABLE orders_feb_eu PARTITION OF orders_feb FOR VALUES IN ('eu');
    CREATE TABLE orders_feb_us PARTITION OF orders_feb FOR VALUES IN ('us');
    CREATE TABLE orders_rest PARTITION OF orders DEFAULT;
    INSERT INTO orders SELECT g, (ARRAY['eu', 'us'])[1 + g % 2], date '2026-01-01' + (g % 80), g % 1000, 'seed-' || g, 1 + g % 100
        FROM generate_series(1, 6000) g;
    ANALYZE";

pub fn orders() -> Db {
    let db = cluster().database();
    db.run(ORDERS);
    db
}

/// Writers of `column`, whose other updates move rows from one partition to another.
pub fn writers(columns: &[(&str, Role)]) -> TrafficSpec {
    let mut spec = TrafficSpec::new("orders", "id", columns);
    spec.also = vec![
        (
            "at".to_owned(),
            "date '2026-01-01' + (random() * 79)::int".to_owned(),
        ),
        (
            "region".to_owned(),
            "(ARRAY['eu', 'us'])[1 + (random() * 1.99)::int % 2]".to_owned(),
        ),
    ];
    spec.upserts = false; // no unique index on the key alone
    spec
}

pub fn traffic(db: &Db) -> Traffic {
    Traffic::start(db, writers(&[("note", Role::Old)]))
}

#[track_caller]
pub fn apply(db: &Db, document: &str) {
    db.run(&format!(
        "SELECT migrate.apply($document${document}$document$)"
    ));
}

/// What the applications wrote is there, and none of them saw an error.
#[track_caller]
pub fn agrees(db: &Db, report: &Report, columns: &[(&str, Role)]) {
    // A row that an update has moved while another statement waited for it: PostgreSQL says so.
    let errors: Vec<_> = report
        .errors
        .iter()
        .filter(|text| !text.contains("moved to another partition"))
        .collect();
    assert!(errors.is_empty(), "{:#?}", &errors[..errors.len().min(5)]);
    let wrong = report.check(db, "orders", "id", columns);
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(10)].join("\n")
    );
    assert!(
        report.operations > 100,
        "hardly any traffic: {}",
        report.operations
    );
}

pub fn fingerprint(db: &Db) -> Vec<Vec<String>> {
    db.rows("SELECT object, definition FROM migrate.fingerprint() ORDER BY 1")
}

#[track_caller]
pub fn same(what: &str, expected: &[Vec<String>], found: &[Vec<String>]) {
    let differ: Vec<_> = expected
        .iter()
        .filter(|row| !found.contains(row))
        .map(|row| format!("- {row:?}"))
        .chain(
            found
                .iter()
                .filter(|row| !expected.contains(row))
                .map(|row| format!("+ {row:?}")),
        )
        .collect();
    assert!(differ.is_empty(), "{what}:\n{}", differ.join("\n"));
}

#[track_caller]
pub fn rehearsed(db: &Db, document: &str) {
    let differences = db.rows(&format!(
        "SELECT * FROM migrate.test($document${document}$document$)"
    ));
    assert!(differences.is_empty(), "{differences:#?}");
}

/// The schema that the plain statements leave.
pub fn plain(fixture: &str, sql: &str) -> Vec<Vec<String>> {
    let db = cluster().database();
    db.run(fixture);
    db.run(sql);
    fingerprint(&db)
}

#[track_caller]
pub fn contract(db: &Db) {
    if db.rows("SELECT state FROM migrate.status") == [["expanded"]] {
        db.run("CALL migrate.contract('1')");
    }
}

/// The whole life of migration 1 under writers: up, back before the contract, up, contract, down, up;
/// the schema is that of `expected` or what it was before.
#[track_caller]
pub fn life(db: &Db, document: &str, expected: &[Vec<String>]) {
    rehearsed(db, document);
    let before = fingerprint(db);
    let traffic = traffic(db);
    apply(db, document);
    db.run("CALL migrate.upgrade()");
    if db.rows("SELECT state FROM migrate.status") == [["expanded"]] {
        db.run("CALL migrate.downgrade('base')");
        same("taken back before the contract", &before, &fingerprint(db));
        db.run("CALL migrate.upgrade()");
        contract(db);
    }
    same("applied", expected, &fingerprint(db));
    db.run("CALL migrate.downgrade('base')");
    same("taken back", &before, &fingerprint(db));
    db.run("CALL migrate.upgrade()");
    contract(db);
    same("applied again", expected, &fingerprint(db));
    traffic.run_for(Duration::from_millis(100));
    agrees(db, &traffic.stop(), &[("note", Role::Old)]);
    let open = db.rows("SELECT * FROM migrate.verify('1') WHERE found > 0");
    assert!(open.is_empty(), "{open:?}");
}

/// Steps of migration 1 as `phase kind: sql`.
pub fn steps(db: &Db) -> Vec<String> {
    db.rows("SELECT phase || ' ' || kind || ': ' || sql FROM migrate.step WHERE revision = '1' ORDER BY step")
        .concat()
}
