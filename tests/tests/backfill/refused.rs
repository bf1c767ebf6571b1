//! What a backfill refuses, whose rights it has, and what it tells beforehand.

use super::{job, table};
use pg_migrate_tests::{Db, cluster};

#[track_caller]
fn state(db: &Db, job: i64) -> String {
    db.one(&format!(
        "SELECT state FROM migrate.progress WHERE job = {job}"
    ))
}

#[test]
fn what_could_not_end_is_refused() {
    let db = cluster().database();
    table(&db);
    for (set, detail) in [
        ("n = n * 100", "reads \"n\""),
        ("n = id, id = n", "which the backfill itself changes"),
        ("b = t::text", "reads \"*\""),
        ("b = (SELECT x FROM (SELECT t.b AS x) s)", "reads \"b\""),
        ("b = random()::text", "another value each time"),
    ] {
        let failure = db.error(&format!("SELECT migrate.backfill('t', $${set}$$)"));
        assert_eq!(failure.sqlstate, "22023", "{set}: {failure:?}");
        assert!(failure.detail.contains(detail), "{set}: {failure:?}");
        assert!(failure.hint.contains("where"), "{set}: {failure:?}");
    }
    // With a "where" that stays true the first batch finds out, and changes nothing.
    let id = job(&db, "n = n + 1", Some("id > 0"), 200);
    let failure = db.error(&format!("CALL migrate.run_backfill({id})"));
    assert!(failure.message.contains("would never end"), "{failure:?}");
    assert_eq!(state(&db, id), "failed");
    assert_eq!(db.one::<i64>("SELECT sum(n) FROM t"), 0);
    // An expression that is another one in each transaction.
    db.run("ALTER TABLE t ADD at timestamptz");
    let id = job(&db, "at = now()", None, 200);
    let failure = db.error(&format!("CALL migrate.run_backfill({id})"));
    assert!(
        failure.message.contains("does not come to an end"),
        "{failure:?}"
    );
}

#[test]
fn what_cannot_be_done_is_said_before_anything_runs() {
    let db = cluster().database();
    table(&db);
    db.run("CREATE VIEW v AS SELECT * FROM t;
            CREATE TABLE p (k int, v int, g int GENERATED ALWAYS AS (k) STORED) PARTITION BY RANGE (k);
            CREATE FOREIGN DATA WRAPPER files; CREATE SERVER files FOREIGN DATA WRAPPER files;
            CREATE TABLE q (k int, v int) PARTITION BY RANGE (k);
            CREATE FOREIGN TABLE q1 PARTITION OF q FOR VALUES FROM (0) TO (1) SERVER files;");
    for (sql, sqlstate, says) in [
        ("migrate.backfill('t', 'b = nope')", "42703", "nope"),
        ("migrate.backfill('t', 'zz = 1')", "42703", "zz"),
        ("migrate.backfill('t', 'b = 1 +')", "42601", "syntax error"),
        (
            "migrate.backfill('t', 'b = a WHERE true')",
            "42601",
            "plain list",
        ),
        (
            "migrate.backfill('t', '(a, b) = (1, 2)')",
            "42601",
            "plain list",
        ),
        (
            "migrate.backfill('t', 'b = DEFAULT')",
            "42601",
            "plain list",
        ),
        ("migrate.backfill('t', 'b = a, b = a')", "42601", "twice"),
        (
            "migrate.backfill('t', 'b = a; DROP TABLE t')",
            "42601",
            "plain list",
        ),
        (
            "migrate.backfill('t', '{\"b\": 1}')",
            "22023",
            "not an SQL expression",
        ),
        (
            "migrate.backfill('t', '{\"b\": \"a) , n = (1\"}')",
            "42601",
            "",
        ),
        ("migrate.backfill('t', '{')", "22023", "JSON"),
        (
            "migrate.backfill('t', '{}')",
            "22023",
            "without assignments",
        ),
        ("migrate.backfill('t', 'n = a')", "42804", "does not fit"),
        (
            "migrate.backfill('t', 'n = count(*)')",
            "42803",
            "aggregate",
        ),
        ("migrate.backfill('t', 'b = a', 'n +')", "42601", ""),
        ("migrate.backfill('t', 'b = a', 'n')", "42804", "bool"),
        (
            "migrate.backfill('t', 'b = a', 'random() < 1')",
            "22023",
            "volatile",
        ),
        (
            "migrate.backfill('t', 'b = a', NULL, 0)",
            "22023",
            "target_ms",
        ),
        ("migrate.backfill('v', 'b = a')", "42809", "not a table"),
        (
            "migrate.backfill('p', 'k = v', 'true')",
            "0A000",
            "partition key",
        ),
        ("migrate.backfill('p', 'g = 1')", "0A000", "generated"),
        ("migrate.backfill('q', 'v = k')", "0A000", "foreign table"),
        ("migrate.backfill_batch(99)", "42704", "99"),
        ("migrate.pause(99)", "42704", "99"),
    ] {
        let failure = db.error(&format!("SELECT {sql}"));
        assert_eq!(failure.sqlstate, sqlstate, "{sql}: {failure:?}");
        assert!(failure.message.contains(says), "{sql}: {failure:?}");
    }
    assert_eq!(db.one::<i64>("SELECT count(*) FROM migrate.backfill"), 0);
}

#[test]
fn a_job_runs_with_its_owners_rights_and_no_more() {
    let db = cluster().database();
    table(&db);
    let tag = db.name();
    db.run(&format!(
        "CREATE ROLE \"o{tag}\"; CREATE ROLE \"x{tag}\" LOGIN; CREATE ROLE \"l{tag}\" LOGIN IN ROLE \"o{tag}\";
         GRANT USAGE ON SCHEMA migrate TO PUBLIC;
         CREATE FUNCTION who(text) RETURNS text LANGUAGE sql STABLE AS 'SELECT current_user::text';"
    ));
    let failure = db.error(&format!(
        "SET ROLE \"o{tag}\"; SELECT migrate.backfill('t', 'b = a')"
    ));
    assert_eq!(failure.sqlstate, "42501", "{failure:?}");
    db.run(&format!("GRANT SELECT, UPDATE ON t TO \"o{tag}\"; SET ROLE \"o{tag}\"; SELECT migrate.backfill('t', 'b = who(a)')"));
    for sql in [
        "SELECT migrate.backfill_batch(1)",
        "SELECT migrate.cancel(1)",
        "CALL migrate.run_backfill(1)",
    ] {
        assert_eq!(
            db.error_as(&format!("x{tag}"), sql).sqlstate,
            "42501",
            "{sql}"
        );
    }
    assert!(
        db.rows_as(&format!("x{tag}"), "SELECT * FROM migrate.backfill_batch()")
            .is_empty()
    );
    db.run_as(&format!("l{tag}"), "SELECT migrate.backfill_batch()");
    db.run("CALL migrate.run_backfill(1)");
    assert_eq!(db.rows("SELECT DISTINCT b FROM t"), [[format!("o{tag}")]]);
    // Rows that a policy hides would never be filled.
    db.run("ALTER TABLE t ENABLE ROW LEVEL SECURITY");
    let failure = db.error(&format!(
        "SET ROLE \"o{tag}\"; SELECT migrate.backfill('t', 'b = a')"
    ));
    assert!(
        failure.message.contains("row-level security"),
        "{failure:?}"
    );
    db.run(&format!(
        "DROP OWNED BY \"o{tag}\"; DROP ROLE \"o{tag}\", \"x{tag}\", \"l{tag}\";"
    ));
}

#[test]
fn what_a_user_should_know_is_told() {
    let db = cluster().database();
    table(&db);
    db.run(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
            CREATE TRIGGER audit BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f();",
    );
    let said = db
        .notices("SELECT migrate.backfill('t', 'id = n', 'n > 0')")
        .join("\n");
    assert!(
        said.contains("part of a key") && said.contains("audit"),
        "{said}"
    );
}
