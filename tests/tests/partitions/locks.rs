//! In which order a step locks partitions and the tables above them.

use crate::*;

/// February by region, and Europe by country below that: a leaf has three tables above it.
const DEEPER: &str = "
    DROP TABLE orders_feb_eu CASCADE;
    CREATE TABLE orders_feb_eu PARTITION OF orders_feb FOR VALUES IN ('eu') PARTITION BY RANGE (id);
    CREATE TABLE orders_feb_eu_low PARTITION OF orders_feb_eu FOR VALUES FROM (MINVALUE) TO (3000);
    CREATE TABLE orders_feb_eu_high PARTITION OF orders_feb_eu FOR VALUES FROM (3000) TO (MAXVALUE);
    INSERT INTO orders SELECT g, 'eu', '2026-02-02', g % 1000, 'seed-' || g, 1 FROM generate_series(10001, 12000) g;
    INSERT INTO orders SELECT g, 'eu', '2026-02-02', g % 1000, 'seed-' || g, 1 FROM generate_series(-2000, -1) g";

const LEAF: &str = "orders_feb_eu_high";

/// The tables that the statement wanting `table` holds ACCESS EXCLUSIVE while it waits for it.
fn held_while_waiting_for(db: &Db, table: &str) -> Vec<String> {
    let waits = format!(
        "FROM pg_locks waits WHERE waits.relation = '{table}'::regclass
         AND waits.mode = 'AccessExclusiveLock' AND NOT waits.granted"
    );
    db.wait_for(
        &format!("a wait for {table}"),
        60,
        &format!("SELECT EXISTS (SELECT {waits})"),
    );
    db.rows(&format!(
        "SELECT c.relname FROM pg_locks held JOIN pg_class c ON c.oid = held.relation
         WHERE held.mode = 'AccessExclusiveLock' AND held.granted AND c.relkind IN ('r', 'p') AND held.pid IN (SELECT waits.pid {waits})"
    ))
    .concat()
}

/// Attaching the last part of the deepest index has PostgreSQL lock every table above. Writers lock
/// from the top: had the step the leaf first, each would wait for the other.
#[test]
fn tables_are_locked_from_the_top() {
    let db = orders();
    db.run(DEEPER);
    apply(
        &db,
        "-- migrate:revision 1\nCREATE INDEX ON orders (amount, note);",
    );
    // They read the topmost tables, and keep no build waiting: they have no snapshot.
    let reader = |table: &str| {
        let mut reader = db.connect();
        let sql = format!("BEGIN; LOCK TABLE ONLY {table} IN ACCESS SHARE MODE");
        reader.batch_execute(&sql).unwrap();
        reader
    };
    let (first, second) = (reader("orders"), reader("orders_feb"));
    let traffic = traffic(&db);
    let upgrade = std::thread::spawn({
        let db = db.clone();
        move || {
            let mut session = db.connect();
            // Longer than the test looks, so that what it sees is one attempt.
            session.batch_execute("SET migrate.lock_timeout = '60s'")?;
            session.batch_execute("CALL migrate.upgrade()")
        }
    });
    let held = held_while_waiting_for(&db, "orders");
    assert!(held.is_empty(), "waits for orders with {held:?}");
    drop(first);
    let held = held_while_waiting_for(&db, "orders_feb");
    assert_eq!(held, ["orders"], "waits for orders_feb");
    drop(second);
    upgrade.join().unwrap().unwrap();
    let built: bool = db.one(&format!(
        "SELECT bool_and(indisvalid) AND count(*) FILTER (WHERE indrelid = '{LEAF}'::regclass) = 1
         FROM pg_index WHERE indrelid IN (SELECT relid FROM pg_partition_tree('orders'))"
    ));
    assert!(built);
    traffic.run_for(Duration::from_millis(100));
    agrees(&db, &traffic.stop(), &[("note", Role::Old)]);
}
