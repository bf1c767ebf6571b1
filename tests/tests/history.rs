//! The revision graph in the database: targets, branches, merges, stamps, repairs, the log.

use pg_migrate_tests::{Db, cluster};

fn add(db: &Db, revision: &str, parents: &str, labels: &str) {
    db.run(&format!(
        r#"SELECT migrate.add('{{"revision": "{revision}", "down_revision": {parents}, "branch_labels": {labels},
           "operations": [{{"create_table": {{"name": "t_{revision}", "columns": [{{"name": "id", "type": "int", "pk": true}}]}}}}]}}')"#
    ));
}

/// 1 ← 2 ← 3a(label a), 3b(label b) ← 4 (merge)
fn branched() -> Db {
    let db = cluster().database();
    add(&db, "r1", "null", "[]");
    add(&db, "r2", "\"r1\"", "[]");
    add(&db, "r3a", "\"r2\"", "[\"a\"]");
    add(&db, "r3b", "\"r2\"", "[\"b\"]");
    db
}

fn applied(db: &Db) -> Vec<String> {
    db.rows("SELECT revision FROM migrate.status WHERE state = 'applied' ORDER BY revision")
        .into_iter()
        .map(|mut row| row.remove(0))
        .collect()
}

#[test]
fn targets_of_an_upgrade() {
    let db = branched();
    db.run("CALL migrate.upgrade('+1')");
    assert_eq!(applied(&db), ["r1"]);
    db.run("CALL migrate.upgrade('r2')");
    assert_eq!(applied(&db), ["r1", "r2"]);
    db.run("CALL migrate.upgrade('b@head')");
    assert_eq!(applied(&db), ["r1", "r2", "r3b"]);
    db.run("CALL migrate.upgrade()");
    assert_eq!(applied(&db), ["r1", "r2", "r3a", "r3b"]);
    add(&db, "r4", "[\"r3a\", \"r3b\"]", "[]");
    db.run("CALL migrate.upgrade('head')");
    assert_eq!(applied(&db), ["r1", "r2", "r3a", "r3b", "r4"]);
}

#[test]
fn targets_of_a_downgrade() {
    let db = branched();
    add(&db, "r4", "[\"r3a\", \"r3b\"]", "[]");
    db.run("CALL migrate.upgrade()");
    db.run("CALL migrate.downgrade('-1')");
    assert_eq!(applied(&db), ["r1", "r2", "r3a", "r3b"]);
    db.run("CALL migrate.downgrade('r2')");
    assert_eq!(applied(&db), ["r1", "r2"]);
    db.run("CALL migrate.downgrade('base')");
    assert_eq!(applied(&db), Vec::<String>::new());
    assert!(
        db.rows("SELECT 1 FROM pg_tables WHERE tablename LIKE 't\\_%'")
            .is_empty()
    );
    db.run("CALL migrate.upgrade()");
    assert_eq!(applied(&db).len(), 5);
}

#[test]
fn depends_on_orders_branches() {
    let db = branched();
    db.run(r#"SELECT migrate.add('{"revision": "r5", "down_revision": "r3a", "depends_on": "r3b", "operations": []}')"#);
    db.run("CALL migrate.upgrade('r5')");
    assert_eq!(applied(&db), ["r1", "r2", "r3a", "r3b", "r5"]);
}

#[test]
fn heads_graph_and_prefixes() {
    let db = branched();
    assert_eq!(
        db.rows("SELECT revision FROM migrate.heads ORDER BY 1"),
        [["r3a"], ["r3b"]]
    );
    let mermaid: String = db.one("SELECT migrate.graph()");
    assert!(
        mermaid.contains("r1") && mermaid.contains("-->"),
        "{mermaid}"
    );
    let dot: String = db.one("SELECT migrate.graph('dot')");
    assert!(dot.contains("digraph"), "{dot}");
    db.run(r#"SELECT migrate.add('{"revision": "abcdef123", "down_revision": "r3a", "operations": []}')"#);
    db.run("CALL migrate.upgrade('abcd')");
    assert!(applied(&db).contains(&"abcdef123".to_owned()));
}

#[test]
fn stamps_and_baselines_record_without_running() {
    let db = branched();
    db.run("SELECT migrate.stamp('r2')");
    assert_eq!(applied(&db), ["r1", "r2"]);
    assert!(
        db.rows("SELECT 1 FROM pg_tables WHERE tablename LIKE 't\\_%'")
            .is_empty()
    );
    let db = cluster().database();
    db.run("SELECT migrate.baseline('2024', 'everything before pg_migrate')");
    add(&db, "next", "\"2024\"", "[]");
    db.run("CALL migrate.upgrade()");
    assert_eq!(applied(&db), ["2024", "next"]);
}

#[test]
fn the_log_says_who_did_what_and_which_error() {
    let db = cluster().database();
    db.run("CREATE TABLE t (id int, a int); INSERT INTO t VALUES (1, NULL);
            SET application_name = 'deploy 7'; SELECT migrate.apply('-- migrate:revision 1\nALTER TABLE t ALTER COLUMN a SET NOT NULL;')");
    let failure = db.error("CALL migrate.upgrade()");
    assert_eq!(failure.sqlstate, "23514", "{failure}");
    let log = db.rows(
        "SELECT what, role, application FROM migrate.history WHERE revision = '1' ORDER BY at",
    );
    assert!(
        log.contains(&vec![
            "registered".into(),
            "postgres".into(),
            "deploy 7".into()
        ]),
        "{log:?}"
    );
    let failed = db.rows("SELECT detail, sql, step IS NOT NULL, error ->> 'sqlstate' FROM migrate.history WHERE what = 'step failed'");
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(
        failed[0][0].contains("violated")
            && failed[0][1].contains("VALIDATE")
            && failed[0][3] == "23514",
        "{failed:?}"
    );
    assert!(
        db.one::<String>("SELECT waiting FROM migrate.status")
            .contains("failed")
    );
}

#[test]
fn a_failed_step_is_retried_skipped_or_abandoned() {
    let db = cluster().database();
    let document = "-- migrate:revision 1\nALTER TABLE t ALTER COLUMN a SET NOT NULL;";
    db.run(&format!("CREATE TABLE t (id int, a int); INSERT INTO t VALUES (1, NULL); SELECT migrate.apply('{document}')"));
    db.error("CALL migrate.upgrade()");
    // A driver of everything leaves a failed step alone.
    db.run("CALL migrate.work()");
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM migrate.steps WHERE state = 'failed'"),
        1
    );
    db.run("UPDATE t SET a = 0; SELECT migrate.repair('1', 'retry'); ");
    db.run("CALL migrate.work()");
    assert_eq!(applied(&db), ["1"]);
    assert!(db.one::<bool>(
        "SELECT attnotnull FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'a'"
    ));

    db.run(r#"SELECT migrate.add('{"revision": "2", "down_revision": "1", "operations": []}')"#);
    db.run("SELECT migrate.repair('2', 'abandon')");
    assert_eq!(db.rows("SELECT revision FROM migrate.heads"), [["1"]]);
}

#[test]
fn apply_is_safe_in_the_callers_transaction() {
    let db = cluster().database();
    db.run("CREATE TABLE t (id int)");
    db.run("BEGIN; SELECT migrate.apply('-- migrate:revision 1\nALTER TABLE t ADD COLUMN a int;'); ROLLBACK");
    assert!(db.rows("SELECT 1 FROM migrate.revision").is_empty());
    assert!(
        db.rows("SELECT 1 FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'a'")
            .is_empty()
    );
    let rows = db.rows("SELECT revision, step, phase, kind, state FROM migrate.apply('-- migrate:revision 1\nALTER TABLE t ADD COLUMN a int;')");
    assert_eq!(rows, [["1", "1", "expand", "ddl", "done"]]);
    assert_eq!(applied(&db), ["1"]);
}

#[test]
fn several_migrations_may_be_expanded_unless_they_touch_the_same_column() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE t (id int PRIMARY KEY, a text, b text); INSERT INTO t VALUES (1, 'x', 'y');
         SELECT migrate.apply('-- migrate:revision 1\nALTER TABLE t RENAME COLUMN a TO aa;');
         SELECT migrate.apply('-- migrate:revision 2 after 1\nALTER TABLE t RENAME COLUMN b TO bb;')",
    );
    db.run("CALL migrate.upgrade()");
    assert_eq!(
        db.rows("SELECT state FROM migrate.status"),
        [["expanded"], ["expanded"]]
    );
    let failure = db.error("SELECT migrate.apply('-- migrate:revision 3 after 2\nALTER TABLE t RENAME COLUMN b TO bbb;')");
    assert!(
        failure.message.contains("\"2\"") && failure.message.contains("\"3\""),
        "{failure}"
    );
    db.run("CALL migrate.contract('1')");
    db.run("CALL migrate.contract('2')");
    assert_eq!(db.rows("SELECT aa, bb FROM t"), [["x", "y"]]);
}
