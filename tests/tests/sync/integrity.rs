//! Beside constraints, foreign keys, conflicts and inheritance.

use crate::row;
use pg_migrate_tests::{Db, cluster};

#[test]
fn foreign_keys_on_both_columns() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE customer (id int PRIMARY KEY);
         CREATE TABLE orders (id int PRIMARY KEY, cust int REFERENCES customer ON UPDATE CASCADE ON DELETE SET NULL);
         INSERT INTO customer VALUES (1), (2);
         INSERT INTO orders VALUES (1, 1), (2, 2);
         ALTER TABLE orders ADD COLUMN customer_id int REFERENCES customer ON UPDATE CASCADE ON DELETE SET NULL",
    );
    db.run("SELECT migrate.sync_column_trigger('orders', 'cust', 'customer_id')");
    let pair = |id: i32| {
        row(
            &db,
            &format!("SELECT cust, customer_id FROM orders WHERE id = {id}"),
        )
    };
    db.run("UPDATE customer SET id = 10 WHERE id = 1");
    assert_eq!(pair(1), "10 10", "a cascade on an unfilled row");
    db.run("UPDATE customer SET id = 11 WHERE id = 10");
    assert_eq!(pair(1), "11 11", "a cascade on a filled one, by both keys");
    db.run("DELETE FROM customer WHERE id = 11");
    assert_eq!(pair(1), "NULL NULL");
    let failure = db.error("UPDATE orders SET cust = 99 WHERE id = 2");
    assert_eq!(failure.sqlstate, "23503", "{failure}");
    assert_eq!(pair(2), "2 NULL");
}

#[test]
fn deferred_constraints_see_what_was_written() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE d (id int PRIMARY KEY, a int, b int,
             CONSTRAINT unique_b UNIQUE (b) DEFERRABLE INITIALLY DEFERRED,
             CONSTRAINT same CHECK (b IS NULL OR b = a + 1))",
    );
    db.run("SELECT migrate.sync_column_trigger('d', 'a', 'b', 'a + 1', 'b - 1')");
    db.run("INSERT INTO d (id, a) VALUES (1, 1), (2, 2)");
    db.run("UPDATE d SET a = 3 - a");
    let rows = || db.rows("SELECT id, a, b FROM d ORDER BY id");
    assert_eq!(rows(), [["1", "2", "3"], ["2", "1", "2"]]);
    let failure = db.error("UPDATE d SET a = 7");
    assert_eq!(failure.sqlstate, "23505", "{failure}");
    db.run("BEGIN; UPDATE d SET b = 3 WHERE id = 2; UPDATE d SET a = 1 WHERE id = 1; COMMIT");
    assert_eq!(rows(), [["1", "1", "2"], ["2", "2", "3"]]);
}

/// A derived value past a constraint of the new column: the application sees PostgreSQL's own error.
#[test]
fn constraints_of_the_new_column_hold() {
    let db = cluster().database();
    db.run("CREATE TABLE c (id int PRIMARY KEY, a text NOT NULL, b text NOT NULL UNIQUE CHECK (b <> 'bad'))");
    db.run("SELECT migrate.sync_column_trigger('c', 'a', 'b', 'nullif(a, ''none'')', 'b')");
    db.run("INSERT INTO c (id, a) VALUES (1, 'x')");
    db.run("INSERT INTO c (id, b) VALUES (2, 'y')");
    for (sql, sqlstate) in [
        ("INSERT INTO c (id, a) VALUES (3, 'none')", "23502"),
        ("UPDATE c SET a = 'bad' WHERE id = 1", "23514"),
        ("UPDATE c SET a = 'y' WHERE id = 1", "23505"),
        ("UPDATE c SET b = NULL WHERE id = 1", "23502"),
    ] {
        let failure = db.error(sql);
        assert_eq!(failure.sqlstate, sqlstate, "{sql}: {failure}");
    }
    assert_eq!(
        db.rows("SELECT a, b FROM c ORDER BY id"),
        [["x", "x"], ["y", "y"]]
    );
}

fn family() -> Db {
    let db = cluster().database();
    db.run(
        "CREATE TABLE parent (id int, a text);
         CREATE TABLE child (own int, gone text) INHERITS (parent);
         CREATE TABLE grandchild () INHERITS (child);
         ALTER TABLE child DROP COLUMN gone;
         INSERT INTO parent VALUES (1, 'p');
         INSERT INTO child VALUES (2, 'c');
         INSERT INTO grandchild VALUES (3, 'g');
         ALTER TABLE parent ADD COLUMN b text",
    );
    db
}

#[test]
fn tables_that_inherit_get_it_too() {
    let db = family();
    db.run("SELECT migrate.sync_column_trigger('parent', 'a', 'b', 'upper(a)', 'lower(b)')");
    db.run("UPDATE parent SET id = id");
    let rows = || db.rows("SELECT id, a, b FROM parent ORDER BY id");
    assert_eq!(rows(), [["1", "p", "P"], ["2", "c", "C"], ["3", "g", "G"]]);
    db.run(
        "UPDATE parent SET b = 'X' WHERE id = 2;
         UPDATE ONLY child SET a = 'y' WHERE id = 2;
         INSERT INTO grandchild (id, b) VALUES (4, 'Z')",
    );
    assert_eq!(rows()[1], ["2", "y", "Y"]);
    assert_eq!(rows()[3], ["4", "z", "Z"]);
    db.run("SELECT migrate.sync_filled('parent', 'a', 'b')");
    let done =
        "SELECT count(*) FROM pg_trigger t WHERE obj_description(t.oid, 'pg_trigger') IS NOT NULL";
    assert_eq!(db.one::<i64>(done), 3);
    db.run("SELECT migrate.drop_sync_trigger('parent', 'a', 'b')");
    let left = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE '~~%'";
    assert_eq!(db.one::<i64>(left), 0);
    let owner = format!("owner_{}", db.name());
    db.run(&format!(
        "CREATE ROLE {owner} LOGIN; ALTER TABLE parent OWNER TO {owner}; GRANT USAGE ON SCHEMA migrate TO {owner}"
    ));
    let failure = db.error_as(
        &owner,
        "SELECT migrate.sync_column_trigger('parent', 'a', 'b')",
    );
    assert_eq!(failure.sqlstate, "42501", "{failure}");
    assert_eq!(db.one::<i64>(left), 0, "all or none");
}

/// The loser of a conflict fires BEFORE INSERT as well: nothing of it may be left.
#[test]
fn losers_of_a_conflict_leave_nothing() {
    let db = cluster().database();
    db.run("CREATE TABLE u (id int PRIMARY KEY, a int, b int)");
    db.run("SELECT migrate.sync_column_trigger('u', 'a', 'b', 'a + 1', 'b - 1')");
    db.run("INSERT INTO u (id, a) VALUES (1, 1), (2, 2)");
    db.run("INSERT INTO u (id, a) VALUES (1, 50) ON CONFLICT DO NOTHING");
    db.run(
        "INSERT INTO u (id, b) VALUES (2, 50) ON CONFLICT (id) DO UPDATE SET id = u.id WHERE false",
    );
    assert_eq!(
        db.rows("SELECT a, b FROM u ORDER BY id"),
        [["1", "2"], ["2", "3"]]
    );
    for (set, expected) in [
        ("a = EXCLUDED.a", "7 8"),
        ("b = EXCLUDED.b", "7 8"),
        ("a = EXCLUDED.a, b = EXCLUDED.b", "7 8"),
        ("a = u.a + EXCLUDED.a", "8 9"),
        ("b = u.b + 1", "2 3"),
    ] {
        db.run("UPDATE u SET a = 1 WHERE id = 1");
        db.run(&format!(
            "INSERT INTO u (id, a) VALUES (1, 7) ON CONFLICT (id) DO UPDATE SET {set}"
        ));
        assert_eq!(
            row(&db, "SELECT a, b FROM u WHERE id = 1"),
            expected,
            "{set}"
        );
    }
}
