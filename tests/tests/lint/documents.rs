//! plan, apply and upgrade say what of a migration runs as written and hurts.

use pg_migrate_tests::{Db, cluster};

fn fresh() -> Db {
    let db = cluster().database();
    db.run("CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 100)");
    db
}

fn document(revision: &str, body: &str) -> String {
    format!("$d$-- migrate:revision {revision}\n-- migrate:up\n{body}$d$")
}

const AS_WRITTEN: &str =
    "-- migrate:as-written\nALTER TABLE t ALTER COLUMN a TYPE bigint;\nCREATE INDEX i ON t (a);\n";

#[test]
fn the_plan_warns_of_what_runs_as_written() {
    let db = fresh();
    let rows = db.rows(&format!(
        "SELECT sql, warning FROM migrate.plan({}) ORDER BY step",
        document("1", AS_WRITTEN)
    ));
    assert!(
        rows[0][0].starts_with("ALTER TABLE t ALTER COLUMN a"),
        "{rows:?}"
    );
    assert!(rows[0][1].contains("type-change-rewrites: "), "{rows:?}");
    // The index has a recipe.
    assert!(
        !rows
            .iter()
            .any(|row| row[1].contains("index-without-concurrently")),
        "{rows:?}"
    );
}

#[test]
fn apply_says_it() {
    let db = fresh();
    let heard = db.notices(&format!(
        "SELECT migrate.apply({})",
        document("1", AS_WRITTEN)
    ));
    let told = heard
        .iter()
        .find(|notice| notice.contains("type-change-rewrites"))
        .expect("a notice");
    assert!(
        told.starts_with("NOTICE: line 4: public.t and its indexes are written anew"),
        "{told}"
    );
    assert!(
        told.contains("DETAIL: As written: ALTER TABLE t ALTER COLUMN a TYPE bigint"),
        "{told}"
    );
    assert!(
        !heard.iter().any(|notice| notice.contains("lock-timeout")),
        "{heard:?}"
    );
}

#[test]
fn upgrade_says_it_of_what_is_to_come() {
    let db = fresh();
    db.run(&format!(
        "SELECT migrate.add({})",
        document("1", AS_WRITTEN)
    ));
    let heard = db.notices("CALL migrate.upgrade()");
    assert!(
        heard
            .iter()
            .any(|notice| notice.contains("type-change-rewrites")),
        "{heard:?}"
    );
    let heard = db.notices("CALL migrate.upgrade()");
    assert!(
        !heard
            .iter()
            .any(|notice| notice.contains("type-change-rewrites")),
        "{heard:?}"
    );
}

#[test]
fn an_ignored_rule_is_not_said() {
    let db = fresh();
    let body = format!(
        "-- migrate:ignore type-change-rewrites, change-column-type a hundred rows\n{AS_WRITTEN}"
    );
    let heard = db.notices(&format!("SELECT migrate.apply({})", document("1", &body)));
    assert!(
        !heard.iter().any(|notice| notice.contains("type-change")),
        "{heard:?}"
    );
}

#[test]
fn an_sql_operation_is_judged_too() {
    let db = fresh();
    let json = r#"{"revision": "1", "operations": [{"sql": {"up": "ALTER TABLE t ALTER COLUMN a TYPE bigint", "down": "SELECT 1"}}]}"#;
    let rows = db.rows(&format!("SELECT warning FROM migrate.plan('{json}')"));
    assert!(rows[0][0].contains("type-change-rewrites"), "{rows:?}");
}

#[test]
fn migrations_up_to_a_revision_are_not_judged() {
    let db = fresh();
    db.run("SELECT migrate.baseline('1')");
    let second = "$d$-- migrate:revision 2 after 1\n-- migrate:up\nSELECT 1;$d$";
    db.run(&format!("SELECT migrate.apply({second})"));
    let ask = |revision: &str| {
        let script = format!("-- migrate:revision {revision}\nDROP TABLE t;");
        crate::asked(&db, "SET migrate.lint_since = '2'", "rule", &script)
    };
    assert_eq!(ask("1"), ["safe"]);
    assert_eq!(ask("2"), ["safe"]);
    assert!(ask("3").contains(&"drop-table".to_owned()));
    let failure = db.error("SET migrate.lint_since = 'nosuch'; SELECT * FROM migrate.lint('-- migrate:revision 1\nSELECT 1')");
    assert!(failure.message.contains("nosuch"), "{failure}");
}

#[test]
fn a_json_document_is_not_sql() {
    let db = fresh();
    let failure = db.error(r#"SELECT * FROM migrate.lint('{"operations": []}')"#);
    assert_eq!(
        failure.message,
        "lint reads SQL, and this is a document in JSON"
    );
    assert_eq!(failure.sqlstate, "22023");
}
