//! Lint needs no right beyond those of its caller.

use crate::literal;
use pg_migrate_tests::cluster;

#[test]
fn a_role_without_rights_gets_the_careful_answer() {
    let db = cluster().database();
    db.psql(pg_migrate_tests::facts::FIXTURE);
    db.run(
        "CREATE ROLE lint_nobody LOGIN;
         REVOKE ALL ON SCHEMA public FROM PUBLIC;
         DO $$BEGIN EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()); END$$;
         CREATE TABLE hidden (a int); REVOKE ALL ON hidden FROM PUBLIC;
         GRANT USAGE ON SCHEMA public TO lint_nobody;
         DO $$BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO lint_nobody', current_database()); END$$;
         GRANT USAGE ON SCHEMA migrate TO lint_nobody;",
    );
    let script = "ALTER TABLE hidden ALTER COLUMN a TYPE bigint; ALTER TABLE users ALTER COLUMN email TYPE varchar(100);
                  ALTER TABLE users ALTER COLUMN age TYPE bigint; SELECT * FROM users; UPDATE users SET age = 1;
                  CREATE INDEX ON orders (qty); ALTER TABLE p ATTACH PARTITION cand FOR VALUES FROM (100) TO (200);";
    let found = db.rows_as(
        "lint_nobody",
        &format!(
            "SELECT statement, rule FROM migrate.lint({})",
            literal(script)
        ),
    );
    let has =
        |statement: &str, rule: &str| found.contains(&vec![statement.to_owned(), rule.to_owned()]);
    // It is empty, but that is not for this role to see.
    assert!(has("1", "type-change-rewrites"), "{found:?}");
    assert!(!has("2", "type-change-rewrites") && has("3", "type-change-rewrites"));
    assert!(has("6", "index-without-concurrently") && has("7", "attach-reads-partition"));
}

#[test]
fn nothing_is_left_behind() {
    let db = cluster().database();
    db.psql(pg_migrate_tests::facts::FIXTURE);
    let state = "SELECT count(*) FROM pg_class UNION ALL SELECT count(*) FROM pg_attribute UNION ALL SELECT count(*) FROM migrate.event";
    let before = db.rows(state);
    let mut client = db.connect();
    client.batch_execute("BEGIN").expect("a transaction");
    for fact in pg_migrate_tests::facts::facts() {
        client
            .query(
                &format!("SELECT * FROM migrate.lint({})", literal(&fact.sql)),
                &[],
            )
            .expect("an answer");
    }
    let locks: i64 = client
        .query_one(
            "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' \
             AND mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')",
            &[],
        )
        .expect("a row")
        .get(0);
    assert_eq!(locks, 0);
    client.batch_execute("COMMIT").expect("committed");
    assert_eq!(db.rows(state), before);
}
