//! What it says, when, and to whom.

use crate::{UNSAFE, guarded};

#[test]
fn an_unsafe_statement_with_the_way_to_do_it() {
    let db = guarded("error");
    let failure = db.error(UNSAFE);
    assert_eq!(failure.sqlstate, "MG001", "{failure}");
    assert!(failure.detail.contains("ACCESS EXCLUSIVE"), "{failure}");
    assert!(failure.detail.contains("public.t"), "{failure}");
    assert!(
        failure.hint.contains("SET LOCAL migrate.guard = off"),
        "{failure}"
    );
    assert!(failure.hint.lines().count() > 1, "{failure}");
    for sql in [
        "CREATE INDEX ON t (b)",
        "ALTER TABLE t ADD CHECK (a > 0)",
        "ALTER TABLE t ALTER COLUMN b SET NOT NULL",
        "ALTER TABLE t ADD COLUMN z uuid DEFAULT gen_random_uuid()",
        "ALTER TABLE t ADD UNIQUE (b)",
        "VACUUM FULL t",
        "CLUSTER t USING t_a",
        "REINDEX TABLE t",
        "ALTER TABLE t SET UNLOGGED",
        "ALTER TABLE t RENAME COLUMN a TO c",
        "DROP TABLE t",
    ] {
        assert_eq!(db.error(sql).sqlstate, "MG001", "{sql}");
    }
    assert_eq!(
        db.rows("SELECT a::text FROM t WHERE id = 1"),
        [["1"]],
        "nothing has happened"
    );
}

#[test]
fn a_warning_and_the_statement_runs() {
    let db = guarded("warn");
    let said = db.notices(UNSAFE);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("WARNING: "), "{said:?}");
    assert!(said[0].contains("HINT: "), "{said:?}");
    assert_eq!(
        db.rows("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'a'"),
        [["bigint"]]
    );
}

#[test]
fn through_do_blocks_functions_and_procedures() {
    let db = guarded("error");
    db.run(
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'ALTER TABLE t ALTER COLUMN a TYPE bigint'; END $$;
         CREATE FUNCTION g() RETURNS int LANGUAGE sql AS $$ CREATE INDEX ON t (b); SELECT 1; $$;
         CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; ALTER TABLE t ALTER COLUMN b SET NOT NULL; END $$;",
    );
    for sql in [
        "DO $$ BEGIN ALTER TABLE t ALTER COLUMN a TYPE bigint; END $$",
        "SELECT f()",
        "SELECT g()",
        "CALL p()",
    ] {
        let failure = db.error(sql);
        assert_eq!(failure.sqlstate, "MG001", "{sql}: {failure}");
        assert!(!failure.context.is_empty(), "{sql}: {failure}");
    }
    // It can be caught by its own state, like any error.
    db.run("DO $$ BEGIN ALTER TABLE t ALTER COLUMN a TYPE bigint; EXCEPTION WHEN SQLSTATE 'MG001' THEN NULL; END $$");
}

#[test]
fn the_deliberate_way_round() {
    let db = guarded("error");
    db.run(&format!(
        "BEGIN; SET LOCAL migrate.guard = off; {UNSAFE}; ROLLBACK"
    ));
    let mut client = db.connect();
    client
        .batch_execute(&format!(
            "BEGIN; SET LOCAL migrate.guard = off; {UNSAFE}; COMMIT"
        ))
        .expect("let through");
    // Only in that transaction.
    let error = client.batch_execute("CREATE INDEX ON t (b)").unwrap_err();
    assert_eq!(error.code().map(|code| code.code()), Some("MG001"));
}

#[test]
fn each_role_as_it_is_set() {
    let db = guarded("off");
    db.run("DROP ROLE IF EXISTS careful; CREATE ROLE careful LOGIN; ALTER ROLE careful SET migrate.guard = 'error'; GRANT CREATE, USAGE ON SCHEMA public TO careful; ALTER TABLE t OWNER TO careful");
    assert_eq!(db.error_as("careful", UNSAFE).sqlstate, "MG001");
    db.run("CREATE INDEX ON t (b)");
}

#[test]
fn the_analysis_keeps_no_lock_and_fails_nothing() {
    let db = guarded("warn");
    let mut client = db.connect();
    let mut transaction = client.transaction().unwrap();
    transaction.batch_execute("SAVEPOINT s").unwrap();
    transaction
        .batch_execute("SET LOCAL migrate.guard = error")
        .unwrap();
    transaction.batch_execute(UNSAFE).unwrap_err();
    transaction.batch_execute("ROLLBACK TO s").unwrap();
    let held: i64 = transaction
        .query_one(
            "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation >= 16384",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(held, 0);
    transaction.rollback().unwrap();
    // What is wrong is PostgreSQL's to say, in its own words.
    let failure = db.error("ALTER TABLE nosuch ALTER COLUMN a TYPE bigint");
    assert_eq!(failure.sqlstate, "42P01");
    let failure = db.error("ALTER TABLE t ALTER COLUMN nosuch TYPE bigint");
    assert_eq!(failure.sqlstate, "42703");
}

#[test]
fn errors_pass_through_it_whole() {
    let db = guarded("warn");
    db.run("CREATE FUNCTION strange() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'CREATE TABLE x (a int)'; RAISE SQLSTATE 'ZZ123' USING MESSAGE = 'mine', DETAIL = 'd', HINT = 'h', CONSTRAINT = 'k'; END $$");
    let failure = db.error("DO $$ BEGIN PERFORM strange(); END $$");
    assert_eq!(failure.sqlstate, "ZZ123", "{failure}");
    assert_eq!((failure.detail.as_str(), failure.hint.as_str()), ("d", "h"));
    assert!(failure.context.contains("strange"), "{failure}");
    let error = db
        .connect()
        .batch_execute("DO $$ BEGIN INSERT INTO t VALUES (1); END $$")
        .unwrap_err();
    let error = error.as_db_error().expect("of the server");
    assert_eq!(error.constraint(), Some("t_pkey"));
}
