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

/// PostgreSQL evaluates immutable functions while it plans. They run with the rights of the caller,
/// and can change nothing.
#[test]
fn functions_that_planning_evaluates_change_nothing() {
    let db = cluster().database();
    db.psql(pg_migrate_tests::facts::FIXTURE);
    db.run(
        "CREATE SEQUENCE counted;
         CREATE TABLE seen (who text);
         CREATE FUNCTION writes() RETURNS int LANGUAGE plpgsql VOLATILE AS
             $$BEGIN PERFORM nextval('counted'); INSERT INTO seen VALUES (current_user); RETURN 1; END$$;
         CREATE FUNCTION sly(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
             $$BEGIN RAISE NOTICE 'evaluated by %', current_user; PERFORM writes(); RETURN 1; END$$;
         CREATE FUNCTION plain(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
             $$BEGIN RAISE NOTICE 'evaluated by %', current_user; RETURN 1; END$$;
         ALTER TABLE orders ADD CONSTRAINT sly CHECK (qty + sly(1) > 0) NOT VALID;
         UPDATE pg_constraint SET convalidated = true WHERE conname = 'sly';
         CREATE ROLE lint_reader LOGIN; GRANT SELECT, UPDATE ON orders TO lint_reader;
         GRANT USAGE ON SCHEMA migrate TO lint_reader; GRANT ALL ON seen, counted TO lint_reader;",
    );
    let script = "SELECT * FROM orders WHERE qty = sly(1); UPDATE orders SET qty = 2 WHERE qty = sly(2);
                  ALTER TABLE orders ALTER COLUMN qty SET NOT NULL; ALTER TABLE orders ADD COLUMN z int DEFAULT sly(3);
                  ALTER TABLE orders ALTER COLUMN qty TYPE int USING qty + sly(4);
                  CREATE TABLE px PARTITION OF p FOR VALUES FROM (writes() * 1000) TO (2000);
                  ALTER TABLE p ATTACH PARTITION cand FOR VALUES FROM (writes() * 100) TO (200);
                  SELECT writes();";
    let ask = format!(
        "SELECT statement, rule FROM migrate.lint({})",
        literal(script)
    );
    let state = "SELECT (SELECT count(*) FROM seen), (SELECT is_called FROM counted)";
    let before = db.rows(state);
    assert!(!db.rows(&ask).is_empty());
    assert_eq!(
        db.rows(state),
        before,
        "nothing is written, not even to a sequence"
    );
    assert!(!db.rows_as("lint_reader", &ask).is_empty());
    assert_eq!(db.rows(state), before);
    // With whose rights: those of the caller, whoever made the function.
    let heard = db.notices(
        "SET ROLE lint_reader; SELECT * FROM migrate.lint('SELECT * FROM orders WHERE qty = plain(1)')",
    );
    assert!(
        heard
            .iter()
            .any(|notice| notice.contains("evaluated by lint_reader"))
            && !heard
                .iter()
                .any(|notice| notice.contains("evaluated by postgres")),
        "{heard:?}"
    );
}

/// A role that row level security keeps from seeing rows is not told that there are none.
#[test]
fn what_policies_hide_counts_as_there() {
    let db = cluster().database();
    db.run(
        "CREATE ROLE lint_blind LOGIN; CREATE TABLE secret (a int); INSERT INTO secret VALUES (1);
         ALTER TABLE secret ENABLE ROW LEVEL SECURITY; GRANT SELECT ON secret TO lint_blind;
         GRANT USAGE ON SCHEMA migrate TO lint_blind;",
    );
    let found = db
        .rows_as(
            "lint_blind",
            "SELECT rule FROM migrate.lint('ALTER TABLE secret ALTER COLUMN a TYPE bigint')",
        )
        .concat();
    assert!(
        found.contains(&"type-change-rewrites".to_owned()),
        "{found:?}"
    );
}
