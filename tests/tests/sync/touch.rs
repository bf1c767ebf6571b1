//! The touch trigger: a column that says when a row really changed.

use crate::{fill, row};
use pg_migrate_tests::{Db, cluster};

#[test]
fn a_touch_column_says_when_a_row_really_changed() {
    let db = cluster().database();
    for data_type in ["timestamptz", "timestamp", "date", "timestamptz(0)"] {
        db.run(&format!(
            "DROP TABLE IF EXISTS t;
             CREATE TABLE t (id int PRIMARY KEY, a text, g text GENERATED ALWAYS AS (a) STORED, at {data_type});
             CREATE TRIGGER touch BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION migrate.touch_column('at');
             INSERT INTO t VALUES (1, 'x')"
        ));
        db.run("UPDATE t SET a = 'x'");
        assert_eq!(
            db.one::<i64>("SELECT count(at) FROM t"),
            0,
            "{data_type}: nothing changed"
        );
        let mut client = db.connect();
        let right = format!(
            "BEGIN; UPDATE t SET a = 'y'; DO $$ BEGIN ASSERT (SELECT at = now()::{data_type} FROM t); END $$; COMMIT"
        );
        client
            .batch_execute(&right)
            .unwrap_or_else(|error| panic!("{data_type}: {error:?}"));
        db.run("UPDATE t SET a = 'z', at = '2001-01-01'");
        assert_eq!(
            db.one::<i64>("SELECT count(*) FROM t WHERE at = '2001-01-01'"),
            1,
            "{data_type}"
        );
    }
    db.run("CREATE TRIGGER wrong BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION migrate.touch_column('a')");
    let failure = db.error("UPDATE t SET a = 'w'");
    assert_eq!(failure.sqlstate, "42804", "{failure}");
}

fn touched() -> Db {
    let db = cluster().database();
    db.run(
        "CREATE TABLE t (gone int, id int PRIMARY KEY, a text, j json, at timestamptz);
         ALTER TABLE t DROP COLUMN gone;
         CREATE TRIGGER touch BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION migrate.touch_column('at');
         INSERT INTO t VALUES (1, repeat('x', 100000), '{\"a\": 1}', '2001-01-01')",
    );
    db
}

/// Statement, and whether it stamps.
const WRITES: &[(&str, bool)] = &[
    ("UPDATE t SET a = a", false),
    ("UPDATE t SET a = left(a, 99999) || 'x'", false),
    ("UPDATE t SET a = NULL", true),
    ("UPDATE t SET a = left(a, 99999) || 'y'", true),
    ("UPDATE t SET j = '{\"a\":1}'", true),
    ("UPDATE t SET id = 2", true),
    ("UPDATE t SET at = at, a = 'b'", true),
    ("UPDATE t SET at = '1999-01-01', a = 'b'", false),
    (
        "INSERT INTO t VALUES (1, 'n') ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a",
        true,
    ),
    ("INSERT INTO t VALUES (9, 'n', NULL, '2001-01-01')", false),
    (
        "MERGE INTO t USING (VALUES (1)) v (id) ON t.id = v.id WHEN MATCHED THEN UPDATE SET a = 'm'",
        true,
    ),
    (
        "SET session_replication_role = replica; UPDATE t SET a = 'r'",
        false,
    ),
    (
        "ALTER TABLE t ADD COLUMN more int; UPDATE t SET more = 1",
        true,
    ),
    ("ALTER TABLE t DROP COLUMN a; UPDATE t SET j = NULL", true),
    (
        "ALTER TABLE t ALTER COLUMN at TYPE date; UPDATE t SET a = 'd'",
        true,
    ),
];

#[test]
fn only_what_changes_a_row_stamps_it() {
    for (write, stamps) in WRITES {
        let db = touched();
        // The session has written before.
        db.run(&format!("UPDATE t SET a = a; {write}"));
        let stamped: bool = db.one("SELECT bool_or(at > '2020-01-01') FROM t");
        assert_eq!(stamped, *stamps, "{write}");
    }
}

#[test]
fn a_backfill_stamps_nothing() {
    let db = touched();
    db.run("ALTER TABLE t ADD COLUMN b text");
    fill(&db, "t", "b", "left(a, 3)", "b IS NULL");
    assert_eq!(
        row(&db, "SELECT b, at FROM t"),
        "xxx 2001-01-01 00:00:00+00"
    );
    // The same column is an application's too.
    db.run("UPDATE t SET b = 'y'");
    assert!(db.one::<bool>("SELECT at > '2020-01-01' FROM t"));
}

#[test]
fn a_transaction_has_one_time() {
    let db = touched();
    db.run(
        "DO $$
         BEGIN
             UPDATE t SET a = 'one';
             ASSERT (SELECT at = now() FROM t);
             PERFORM pg_sleep(0.01);
             UPDATE t SET a = 'two';
             ASSERT (SELECT at = now() FROM t);
         END $$",
    );
    db.run("CREATE SCHEMA evil; CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '1970-01-01'::timestamptz $$");
    db.run("SET search_path = evil, public, pg_catalog; UPDATE t SET a = 'three'");
    assert!(db.one::<bool>("SELECT at > '2020-01-01' FROM t"));
}

#[test]
fn partitions_and_renames() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE p (k int, a text, at timestamp) PARTITION BY LIST (k);
         CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
         CREATE TABLE p2 (at timestamp, junk int, a text, k int);
         ALTER TABLE p2 DROP COLUMN junk;
         ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2);
         CREATE TRIGGER touch BEFORE UPDATE ON p FOR EACH ROW EXECUTE FUNCTION migrate.touch_column('at');
         INSERT INTO p VALUES (1, 'one'), (2, 'two')",
    );
    db.run("UPDATE p SET a = 'x' WHERE k = 2");
    db.run("UPDATE p SET k = 2 WHERE k = 1");
    assert_eq!(row(&db, "SELECT count(*), count(at) FROM p2"), "2 2");
    db.run("ALTER TABLE p RENAME COLUMN at TO changed");
    let failure = db.error("UPDATE p SET a = 'y'");
    assert_eq!(failure.sqlstate, "42703", "{failure}");
    assert!(failure.hint.contains("Rename the column back"), "{failure}");
    assert!(failure.context.contains("trigger \"touch\""), "{failure}");
}

#[test]
fn a_wrong_trigger_says_so_when_it_fires() {
    let db = touched();
    for (events, arguments, sqlstate, part) in [
        ("BEFORE UPDATE", "", "22023", "needs one column name"),
        (
            "BEFORE UPDATE",
            "'at', 'a'",
            "22023",
            "needs one column name",
        ),
        ("BEFORE UPDATE", "'nope'", "42703", "\"nope\""),
        ("BEFORE UPDATE", "'a'", "42804", "holds no time"),
        (
            "AFTER UPDATE",
            "'at'",
            "39P01",
            "BEFORE UPDATE FOR EACH ROW",
        ),
        ("BEFORE DELETE OR UPDATE", "'at'", "", ""),
    ] {
        db.run(&format!(
            "CREATE TRIGGER wrong {events} ON t FOR EACH ROW EXECUTE FUNCTION migrate.touch_column({arguments})"
        ));
        if sqlstate.is_empty() {
            assert_eq!(db.error("DELETE FROM t").sqlstate, "39P01");
        } else {
            let failure = db.error("UPDATE t SET a = 'w'");
            assert_eq!(failure.sqlstate, sqlstate, "{failure}");
            assert!(failure.message.contains(part), "{failure}");
        }
        db.run("DROP TRIGGER wrong ON t");
    }
    db.run("UPDATE t SET a = 'right'");
    assert_eq!(db.error("SELECT migrate.touch_column()").sqlstate, "39P01");
}
