//! What later versions of PostgreSQL have and earlier ones do not. Each test says on stderr that
//! it was skipped where the server is too old for it.

use std::io::Write;

use pg_migrate_tests::{Db, cluster};

/// A fresh database, if the server is of that version or a later one.
fn since(major: i32) -> Option<Db> {
    let found: i32 = cluster()
        .db("postgres")
        .one("SELECT current_setting('server_version_num')::int / 10000");
    if found < major {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: needs PostgreSQL {major}, this is {found}"
        );
        return None;
    }
    Some(cluster().database())
}

fn migrate(db: &Db, revision: &str, after: &str, script: &str) {
    db.run(&format!(
        "SELECT migrate.apply($d$-- migrate:revision {revision}{after}\n-- migrate:up\n{script}$d$)"
    ));
    db.run("CALL migrate.upgrade()");
    let state: String = db.one(&format!(
        "SELECT state FROM migrate.revision WHERE revision = '{revision}'"
    ));
    if state == "expanded" {
        db.run(&format!("CALL migrate.contract('{revision}')"));
    }
}

fn refused(db: &Db, script: &str) -> String {
    db.error(&format!(
        "SELECT * FROM migrate.plan($d$-- migrate:revision x\n-- migrate:up\n{script}$d$)"
    ))
    .to_string()
}

fn not_nulls(db: &Db) -> Vec<Vec<String>> {
    db.rows(
        "SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint
         WHERE conrelid = 't'::regclass AND contype = 'n' ORDER BY 1",
    )
}

const ROWS: &str = "INSERT INTO t SELECT g, g FROM generate_series(1, 300) g";

#[test]
fn not_null_keeps_its_name() {
    let Some(db) = since(18) else { return };
    db.run("CREATE TABLE t (id int CONSTRAINT named NOT NULL, n int)");
    db.run(ROWS);
    migrate(&db, "1", "", "ALTER TABLE t ALTER id TYPE bigint");
    assert_eq!(not_nulls(&db), [["named", "NOT NULL id", "t"]]);
    migrate(
        &db,
        "2",
        " after 1",
        "ALTER TABLE t ALTER n TYPE text USING n::text, ALTER n SET NOT NULL",
    );
    let both = [
        ["named", "NOT NULL id", "t"],
        ["t_n_not_null", "NOT NULL n", "t"],
    ];
    assert_eq!(not_nulls(&db), both);
    migrate(
        &db,
        "3",
        " after 2",
        "ALTER TABLE t RENAME COLUMN id TO key",
    );
    assert_eq!(not_nulls(&db)[0], ["named", "NOT NULL key", "t"]);
    db.run("CALL migrate.downgrade('1')");
    assert_eq!(
        db.rows("SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped AND attname IN ('id', 'n') ORDER BY 1"),
        [["id", "bigint"], ["n", "integer"]]
    );
}

/// `attnotnull` is set for both: only the validated one may be taken for done.
#[test]
fn a_not_null_that_is_not_valid_is_not_there_yet() {
    let Some(db) = since(18) else { return };
    db.run("CREATE TABLE t (id int PRIMARY KEY, n int)");
    db.run(ROWS);
    db.run("ALTER TABLE t ADD CONSTRAINT later NOT NULL n NOT VALID");
    migrate(&db, "1", "", "ALTER TABLE t ALTER n SET NOT NULL");
    assert_eq!(not_nulls(&db)[0], ["later", "NOT NULL n", "t"]);
    let checks: i64 = db
        .one("SELECT count(*) FROM pg_constraint WHERE contype = 'c' AND conrelid = 't'::regclass");
    assert_eq!(checks, 0);
}

#[test]
fn virtual_columns_are_read_like_others() {
    let Some(db) = since(18) else { return };
    db.run("CREATE TABLE t (id int PRIMARY KEY, n int)");
    db.run(ROWS);
    let before: i64 = db.one("SELECT pg_relation_filenode('t')::bigint");
    migrate(
        &db,
        "1",
        "",
        "ALTER TABLE t ADD COLUMN twice int GENERATED ALWAYS AS (n * 2) VIRTUAL",
    );
    assert_eq!(
        db.one::<i64>("SELECT pg_relation_filenode('t')::bigint"),
        before,
        "rewritten"
    );
    migrate(&db, "2", " after 1", "ALTER TABLE t ADD COLUMN m int");
    // A backfill and a trigger that read it.
    db.run("SELECT migrate.sync_column_trigger('t', '', 'm', 'twice + 1', NULL, 'fill')");
    db.run("INSERT INTO t (id, n) VALUES (1000, 7)");
    assert_eq!(db.one::<i32>("SELECT m FROM t WHERE id = 1000"), 15);
    migrate(
        &db,
        "3",
        " after 2",
        "UPDATE t SET m = twice WHERE id <= 300",
    );
    assert_eq!(db.one::<i64>("SELECT count(*) FROM t WHERE m = n * 2"), 300);
    // It cannot be written, nor kept in sync.
    assert!(
        db.error("SELECT migrate.backfill('t', 'twice = 1')")
            .to_string()
            .contains("generated")
    );
    assert!(refused(&db, "ALTER TABLE t RENAME COLUMN twice TO double").contains("generated"));
    assert!(refused(&db, "ALTER TABLE t ALTER n TYPE bigint").contains("twice"));
    let told: String = db
        .one("SELECT definition FROM migrate.fingerprint() WHERE object = 'column public.t.twice'");
    assert!(told.contains("virtually generated (n * 2)"), "{told}");
}

#[test]
fn what_is_not_enforced_is_left_alone() {
    let Some(db) = since(18) else { return };
    db.run("CREATE TABLE t (id int PRIMARY KEY, n int)");
    db.run(ROWS);
    migrate(
        &db,
        "1",
        "",
        "ALTER TABLE t ADD CONSTRAINT wish CHECK (n < 5) NOT ENFORCED",
    );
    assert_eq!(
        db.rows("SELECT convalidated, conenforced FROM pg_constraint WHERE conname = 'wish'"),
        [["f", "f"]]
    );
    assert!(
        refused(&db, "ALTER TABLE t ALTER n TYPE bigint").contains("unenforced constraint wish")
    );
    migrate(&db, "2", " after 1", "ALTER TABLE t RENAME COLUMN n TO m");
    assert_eq!(
        db.rows("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'wish'"),
        [["CHECK ((m < 5)) NOT ENFORCED"]]
    );
    // Dropped and taken back, it is what it was.
    migrate(&db, "3", " after 2", "ALTER TABLE t DROP CONSTRAINT wish");
    db.run("CALL migrate.downgrade('2')");
    assert_eq!(
        db.rows("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'wish'"),
        [["CHECK ((m < 5)) NOT ENFORCED"]]
    );
    assert!(
        db.rows("SELECT migrate.verify('2')")
            .iter()
            .all(|row| !row[0].contains("wish"))
    );
}

#[test]
fn temporal_keys_survive_a_rename() {
    let Some(db) = since(18) else { return };
    db.run("CREATE TABLE t (id int4range, p daterange, CONSTRAINT k PRIMARY KEY (id, p WITHOUT OVERLAPS))");
    db.run("INSERT INTO t SELECT int4range(g, g + 1), daterange('2020-01-01', '2021-01-01') FROM generate_series(1, 300) g");
    assert!(
        refused(&db, "ALTER TABLE t ALTER id TYPE text USING 'x'")
            .contains("temporal constraint k")
    );
    migrate(&db, "1", "", "ALTER TABLE t RENAME COLUMN id TO room");
    assert_eq!(
        db.rows("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'k'"),
        [["PRIMARY KEY (room, p WITHOUT OVERLAPS)"]]
    );
    assert_eq!(
        db.error("INSERT INTO t VALUES ('[5,6)', '[2020-05-01,2020-06-01)')")
            .sqlstate,
        "23P01"
    );
}

/// From 17 on the default is null, before it was -1; MAINTAIN is new.
#[test]
fn statistics_targets_and_maintain_are_told() {
    let Some(db) = since(17) else { return };
    db.run("CREATE TABLE t (id int PRIMARY KEY, n int); CREATE ROLE versions_keeper; GRANT MAINTAIN ON t TO versions_keeper");
    db.run(ROWS);
    let column = "SELECT definition FROM migrate.fingerprint() WHERE object = 'column public.t.n'";
    assert!(!db.one::<String>(column).contains("statistics"));
    migrate(&db, "1", "", "ALTER TABLE t ALTER n SET STATISTICS 7");
    assert!(db.one::<String>(column).contains("statistics 7"));
    migrate(&db, "2", " after 1", "ALTER TABLE t RENAME COLUMN n TO m");
    let table: String =
        db.one("SELECT definition FROM migrate.fingerprint() WHERE object = 'table public.t'");
    assert!(table.contains("versions_keeper=m/postgres"), "{table}");
}
