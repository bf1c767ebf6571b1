//! `migrate.drift`: what others have changed since a migration last came to rest.

use pg_migrate_tests::{Db, cluster};

const FIXTURE: &str = "
    CREATE SCHEMA side;
    CREATE TABLE t (id int PRIMARY KEY, a int DEFAULT 1, b text, CONSTRAINT sane CHECK (a > 0));
    CREATE TABLE other (id int);
    CREATE INDEX t_b ON t (b);
    CREATE VIEW v AS SELECT id FROM t;
    CREATE MATERIALIZED VIEW m AS SELECT id FROM t;
    CREATE SEQUENCE s;
    CREATE TYPE mood AS ENUM ('sad');
    CREATE DOMAIN small AS int;
    CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf();
    CREATE POLICY p ON t USING (a > 0);
    CREATE RULE r AS ON INSERT TO v DO INSTEAD NOTHING;
    CREATE STATISTICS st ON a, b FROM t;
    CREATE PUBLICATION pub FOR TABLE t;
    INSERT INTO t SELECT g, g, 'b' FROM generate_series(1, 500) g";

const MIGRATION: &str = "-- migrate:revision 1\nALTER TABLE t ADD COLUMN c int;\nALTER TABLE t RENAME COLUMN b TO bb;\nCREATE INDEX ON t (a);";

fn database() -> Db {
    let db = cluster().database();
    db.run(FIXTURE);
    db
}

fn drift(db: &Db) -> Vec<Vec<String>> {
    db.rows("SELECT object, change FROM migrate.drift()")
}

#[track_caller]
fn nothing(db: &Db, when: &str) {
    let found = drift(db);
    assert!(found.is_empty(), "{when}: {found:?}");
}

#[track_caller]
fn apply(db: &Db, document: &str) {
    db.run(&format!("SELECT migrate.apply($d${document}$d$)"));
}

#[test]
fn migrations_themselves_are_no_drift() {
    let db = database();
    nothing(&db, "before any migration");
    db.run("ALTER TABLE t ADD COLUMN early int");
    nothing(&db, "there is nothing to compare with yet");
    apply(&db, MIGRATION);
    db.run("CALL migrate.upgrade()");
    nothing(&db, "expanded");
    db.run("CALL migrate.contract('1')");
    nothing(&db, "applied");
    apply(
        &db,
        "-- migrate:revision 2 after 1\nCREATE TABLE more (id int);\nDROP TABLE other;",
    );
    nothing(&db, "applied by the function alone");
    db.run("CALL migrate.contract('2')");
    nothing(&db, "a table set aside");
    db.run("CALL migrate.downgrade('base')");
    nothing(&db, "taken back");
    db.rows(
        "SELECT * FROM migrate.test($d$-- migrate:revision 3 after 2\nCREATE TABLE x (id int);$d$)",
    );
    nothing(&db, "rehearsed");
    assert_eq!(db.one::<i64>("SELECT count(*) FROM migrate.picture"), 1);
}

#[test]
fn history_that_is_only_recorded_counts() {
    let db = database();
    db.run("SELECT migrate.baseline('0'); ");
    nothing(&db, "baseline");
    db.run("DROP INDEX t_b");
    assert_eq!(drift(&db), [["index public.t_b", "gone"]]);
    db.run("SELECT migrate.add($d$-- migrate:revision 1 after 0\nDROP INDEX t_b;$d$)");
    db.run("SELECT migrate.stamp('1')");
    nothing(&db, "stamped");
}

/// Each statement, and what it is seen as.
#[test]
fn every_kind_of_change_is_named() {
    let db = database();
    apply(&db, "-- migrate:revision 1\nCREATE TABLE mine (id int);");
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("CREATE SCHEMA new", &[("schema new", "made")]),
        ("DROP SCHEMA side", &[("schema side", "gone")]),
        (
            "CREATE TABLE extra (id int)",
            &[
                ("column public.extra.id", "made"),
                ("table public.extra", "made"),
            ],
        ),
        (
            "DROP TABLE other",
            &[
                ("column public.other.id", "gone"),
                ("table public.other", "gone"),
            ],
        ),
        (
            "ALTER TABLE t SET (fillfactor = 50)",
            &[("table public.t", "changed")],
        ),
        (
            "ALTER TABLE t ADD COLUMN d int",
            &[("column public.t.d", "made")],
        ),
        (
            "ALTER TABLE other DROP COLUMN id",
            &[("column public.other.id", "gone")],
        ),
        (
            "ALTER TABLE other ALTER id TYPE bigint",
            &[("column public.other.id", "changed")],
        ),
        (
            "ALTER TABLE t ALTER a SET NOT NULL",
            &[("column public.t.a", "changed")],
        ),
        (
            "ALTER TABLE t ALTER a DROP DEFAULT",
            &[("column public.t.a", "changed")],
        ),
        (
            "COMMENT ON COLUMN t.a IS 'x'",
            &[("column public.t.a", "changed")],
        ),
        (
            "GRANT SELECT ON t TO PUBLIC",
            &[("table public.t", "changed")],
        ),
        (
            "CREATE INDEX extra ON t (a)",
            &[("index public.extra", "made")],
        ),
        ("DROP INDEX t_b", &[("index public.t_b", "gone")]),
        (
            "ALTER INDEX t_b SET (fillfactor = 50)",
            &[("index public.t_b", "changed")],
        ),
        (
            "ALTER TABLE t DROP CONSTRAINT sane",
            &[("constraint sane on public.t", "gone")],
        ),
        (
            "ALTER TABLE t ADD CONSTRAINT more CHECK (a < 1000) NOT VALID",
            &[("constraint more on public.t", "made")],
        ),
        (
            "CREATE OR REPLACE VIEW v AS SELECT id FROM t WHERE a > 1",
            &[("view public.v", "changed")],
        ),
        (
            "DROP MATERIALIZED VIEW m",
            &[
                ("column public.m.id", "gone"),
                ("materialized view public.m", "gone"),
            ],
        ),
        (
            "ALTER SEQUENCE s INCREMENT 2",
            &[("sequence public.s", "changed")],
        ),
        (
            "ALTER TYPE mood ADD VALUE 'glad'",
            &[("type public.mood", "changed")],
        ),
        (
            "ALTER DOMAIN small SET NOT NULL",
            &[("type public.small", "changed")],
        ),
        (
            "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
            &[("function public.f()", "changed")],
        ),
        ("DROP FUNCTION f()", &[("function public.f()", "gone")]),
        (
            "ALTER TABLE t DISABLE TRIGGER g",
            &[("trigger g on public.t", "changed")],
        ),
        ("DROP TRIGGER g ON t", &[("trigger g on public.t", "gone")]),
        (
            "ALTER POLICY p ON t USING (a > 1)",
            &[("policy p on public.t", "changed")],
        ),
        ("DROP RULE r ON v", &[("rule r on public.v", "gone")]),
        ("DROP STATISTICS st", &[("statistics public.st", "gone")]),
        (
            "ALTER PUBLICATION pub SET (publish = 'insert')",
            &[("publication pub", "changed")],
        ),
        (
            "CREATE EXTENSION pgcrypto SCHEMA side",
            &[("extension pgcrypto", "made")],
        ),
        // One of ours.
        (
            "DROP TABLE mine",
            &[
                ("column public.mine.id", "gone"),
                ("table public.mine", "gone"),
            ],
        ),
    ];
    let mut client = db.connect();
    let mut wrong = Vec::new();
    for (change, expected) in cases {
        let mut transaction = client.transaction().unwrap();
        transaction.batch_execute(change).unwrap();
        let rows = transaction
            .query(
                "SELECT object, change, expected IS NULL, found IS NULL FROM migrate.drift()",
                &[],
            )
            .unwrap();
        let found: Vec<(String, String)> =
            rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        for row in &rows {
            let (change, was, is): (String, bool, bool) = (row.get(1), row.get(2), row.get(3));
            assert_eq!((was, is), (change == "made", change == "gone"));
        }
        transaction.rollback().unwrap();
        let mut expected: Vec<_> = expected
            .iter()
            .map(|(object, change)| ((*object).to_owned(), (*change).to_owned()))
            .collect();
        expected.sort();
        let mut sorted = found.clone();
        sorted.sort();
        if sorted != expected {
            wrong.push(format!("{change}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    nothing(&db, "all rolled back");
}

/// It tells how the object was and is, changes nothing, and asks for no right to.
#[test]
fn it_is_read_only() {
    let db = database();
    apply(
        &db,
        "-- migrate:revision 1\nALTER TABLE t ADD COLUMN c int;",
    );
    db.run("ALTER TABLE t ALTER a SET DEFAULT 2");
    let read = || {
        db.rows("SET default_transaction_read_only = on; SELECT object, expected, found FROM migrate.drift()")
    };
    let found = read();
    assert_eq!(found.len(), 1);
    assert!(
        found[0][1].contains("default 1") && found[0][2].contains("default 2"),
        "{found:?}"
    );
    assert_eq!(found, read());
    db.run("ALTER TABLE t ALTER a SET DEFAULT 1");
    nothing(&db, "put back");
}

/// What it finds does not get lost with the next migration, which takes it as it is.
#[test]
fn the_next_migration_notes_it() {
    let db = database();
    apply(
        &db,
        "-- migrate:revision 1\nALTER TABLE t ADD COLUMN c int;",
    );
    db.run("DROP INDEX t_b; ALTER TABLE other ADD COLUMN n int");
    apply(
        &db,
        "-- migrate:revision 2 after 1\nALTER TABLE t ADD COLUMN d int;",
    );
    nothing(&db, "after the next one");
    assert_eq!(
        db.rows("SELECT revision, detail FROM migrate.history WHERE what = 'drift found'"),
        [["2", "column public.other.n made, index public.t_b gone"]]
    );
}

#[test]
fn while_a_migration_is_under_way_nothing_is_told() {
    let db = database();
    apply(&db, MIGRATION);
    let failure = db.error("SELECT * FROM migrate.drift()");
    assert_eq!(failure.sqlstate, "55006");
    assert_eq!(failure.message, "migration \"1\" is migrating");
    assert!(failure.hint.contains("CALL migrate.upgrade()"), "{failure}");
    db.run("CALL migrate.upgrade()");
    nothing(&db, "expanded");
}

/// The definition of a view is read under a lock: nobody waits for one.
#[test]
fn what_is_locked_holds_no_migration_up() {
    let db = database();
    db.run("CREATE VIEW lonely AS SELECT 1 AS one");
    apply(
        &db,
        "-- migrate:revision 1\nALTER TABLE t ADD COLUMN c int;",
    );
    let mut holder = db.connect();
    holder
        .batch_execute("BEGIN; LOCK TABLE lonely IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    db.run("SET migrate.lock_timeout = '200ms'; SET statement_timeout = '30s'; \
            SELECT migrate.apply($d$-- migrate:revision 2 after 1\nALTER TABLE t ADD COLUMN d int;$d$)");
    drop(holder);
    let failure = db.error("SELECT * FROM migrate.drift()");
    assert!(
        failure.message.contains("not known") && !failure.hint.is_empty(),
        "{failure}"
    );
    apply(
        &db,
        "-- migrate:revision 3 after 2\nALTER TABLE t ADD COLUMN e int;",
    );
    nothing(&db, "recorded again");
}

/// A function that has run its steps holds their locks until its caller's transaction ends.
#[test]
fn a_large_schema_is_not_read_under_the_locks_of_a_function() {
    let db = database();
    db.run("DO $$ BEGIN FOR i IN 1..501 LOOP EXECUTE 'CREATE TABLE side.t' || i || ' (a int)'; END LOOP; END $$");
    apply(
        &db,
        "-- migrate:revision 1\nALTER TABLE t ADD COLUMN c int;",
    );
    let refused = db.error("SELECT * FROM migrate.drift()");
    assert!(refused.message.contains("not known"), "{refused}");
    db.run(
        "SELECT migrate.add($d$-- migrate:revision 2 after 1\nALTER TABLE t ADD COLUMN d int;$d$)",
    );
    db.run("CALL migrate.upgrade()");
    nothing(&db, "the driver holds no locks");
    db.run("DROP TABLE side.t7");
    assert_eq!(
        drift(&db),
        [["column side.t7.a", "gone"], ["table side.t7", "gone"]]
    );
}
