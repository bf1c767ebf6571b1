//! What changes under an open session: by another one, by itself, and taken back.

use crate::{row, users};
use pg_migrate_tests::cluster;

/// A change of the world and the pair of row 1 after `username` became `x`, before and after it.
const CHANGES: &[(&str, &str)] = &[
    ("CREATE OR REPLACE FUNCTION f(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT $1 || '2' $$", "x2"),
    ("CREATE OR REPLACE FUNCTION f(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN $1 || '3'; END $$", "x3"),
    ("CREATE OR REPLACE FUNCTION f(text) RETURNS text IMMUTABLE STRICT LANGUAGE sql AS $$ SELECT NULL::text $$", "NULL"),
    ("ALTER TABLE users ADD COLUMN extra text DEFAULT 'e'", "x1"),
    ("ALTER TABLE users DROP COLUMN n", "x1"),
    ("ALTER TABLE users DROP COLUMN n; ALTER TABLE users ADD COLUMN n bigint DEFAULT 1", "x1"),
    ("ALTER TABLE users ALTER COLUMN email TYPE char(4)", "x1  "),
    ("ALTER TABLE users ALTER COLUMN username TYPE varchar(20)", "x1"),
    ("ALTER TABLE users RENAME TO people; ALTER TABLE people RENAME TO users", "x1"),
    ("ALTER TABLE users RENAME COLUMN n TO m; ALTER TABLE users RENAME COLUMN m TO n", "x1"),
    (
        "SELECT migrate.drop_sync_trigger('users', 'username', 'email');
         SELECT migrate.sync_column_trigger('users', 'username', 'email', 'username || ''9''', 'email')",
        "x9",
    ),
    ("ALTER FUNCTION f(text) RENAME TO g; CREATE FUNCTION f(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'other' $$", "other"),
];

const F: &str =
    "CREATE FUNCTION f(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT $1 || '1' $$";
const WRITE: &str = "UPDATE users SET username = NULL, email = NULL WHERE id = 1; UPDATE users SET username = 'x' WHERE id = 1";

#[test]
fn changes_are_noticed_wherever_they_come_from() {
    for (change, after) in CHANGES {
        let db = users();
        db.run(F);
        db.run("SELECT migrate.sync_column_trigger('users', 'username', 'email', 'f(username)', 'email')");
        let (mut one, mut two) = (db.connect(), db.connect());
        let write = |client: &mut postgres::Client| {
            client.batch_execute(WRITE).expect("a write");
            row(&db, "SELECT email FROM users WHERE id = 1")
        };
        let seen = |client: &mut postgres::Client| -> String {
            client.batch_execute(WRITE).expect("a write");
            client
                .query_one(
                    "SELECT coalesce(email::text, 'NULL') FROM users WHERE id = 1",
                    &[],
                )
                .expect("a row")
                .get(0)
        };
        assert_eq!(
            (write(&mut one), write(&mut two)),
            ("x1".into(), "x1".into()),
            "{change}"
        );
        // Within one transaction: done, taken back to a savepoint, done again, rolled back.
        one.batch_execute("BEGIN").expect("a transaction");
        assert_eq!(seen(&mut one), "x1", "{change}");
        one.batch_execute(&format!("SAVEPOINT s; {change}"))
            .expect("the change");
        assert_eq!(
            seen(&mut one).trim_end(),
            after.trim_end(),
            "in its own transaction: {change}"
        );
        one.batch_execute("ROLLBACK TO s").expect("back");
        assert_eq!(seen(&mut one), "x1", "after the savepoint: {change}");
        one.batch_execute(&format!("SAVEPOINT s; {change}"))
            .expect("the change");
        one.batch_execute("ROLLBACK").expect("back");
        assert_eq!(write(&mut one), "x1", "after the rollback: {change}");
        assert_eq!(
            write(&mut two),
            "x1",
            "another session after the rollback: {change}"
        );
        // Committed, by one and for the other.
        one.batch_execute(change).expect("the change");
        assert_eq!(
            write(&mut two).trim_end(),
            after.trim_end(),
            "in another session: {change}"
        );
        assert_eq!(
            write(&mut one).trim_end(),
            after.trim_end(),
            "in its own session: {change}"
        );
    }
}

/// A function that is gone is an error that says where it was needed, until it is back.
#[test]
fn a_function_that_is_gone_is_named() {
    let db = users();
    db.run(F);
    db.run(
        "SELECT migrate.sync_column_trigger('users', 'username', 'email', 'f(username)', 'email')",
    );
    let mut open = db.connect();
    open.batch_execute(WRITE).expect("a write");
    db.run("DROP FUNCTION f(text)");
    let error = open.batch_execute(WRITE).expect_err("no function");
    let failure = pg_migrate_tests::Failure::from(&error);
    assert_eq!(failure.sqlstate, "42883", "{failure}");
    assert!(
        failure
            .detail
            .contains("In the expression public.f(username) of the trigger")
            || failure
                .detail
                .contains("In the expression f(username) of the trigger"),
        "{failure}"
    );
    assert!(
        failure.context.contains("~~pg_migrate_sync_username~email"),
        "{failure}"
    );
    db.run(F);
    open.batch_execute(WRITE).expect("it is back");
    assert_eq!(crate::pair(&db, 1), "x x1");
}

/// The same statement goes on with rows after its own function changed the world.
#[test]
fn a_statement_that_changes_a_function_under_way_ends_well() {
    let db = users();
    db.run(F);
    db.run(
        "CREATE FUNCTION swap(int) RETURNS int LANGUAGE plpgsql AS $$
         BEGIN
             IF $1 = 2 THEN
                 EXECUTE 'CREATE OR REPLACE FUNCTION f(text) RETURNS text IMMUTABLE LANGUAGE sql AS ''SELECT $1 || ''''2'''' ''';
             END IF;
             RETURN $1;
         END $$",
    );
    db.run(
        "SELECT migrate.sync_column_trigger('users', 'username', 'email', 'f(username)', 'email')",
    );
    db.run("UPDATE users SET n = swap(id), username = coalesce(username, 'x') || '.'");
    let rows = db.rows("SELECT username, email FROM users ORDER BY id");
    assert_eq!(rows[0], ["ann.", "ann.1"]);
    assert_eq!(rows[2], ["x.", "x.2"]);
}

#[test]
fn prepared_statements_and_cursors_go_through_it() {
    let db = users();
    db.run("SELECT migrate.sync_column_trigger('users', 'username', 'email', 'upper(username)', 'lower(email)')");
    let mut client = db.connect();
    client
        .batch_execute(
            "PREPARE p (text) AS UPDATE users SET username = $1 WHERE id = 1; EXECUTE p('a')",
        )
        .expect("prepared");
    db.run("ALTER TABLE users ADD COLUMN more int");
    client.batch_execute("EXECUTE p('b')").expect("again");
    assert_eq!(crate::pair(&db, 1), "b B");
    client
        .batch_execute(
            "BEGIN; DECLARE c CURSOR FOR SELECT * FROM users WHERE id = 2 FOR UPDATE; FETCH c;
             UPDATE users SET email = 'KIM' WHERE CURRENT OF c; COMMIT",
        )
        .expect("a cursor");
    assert_eq!(crate::pair(&db, 2), "kim KIM");
    let name = db.name();
    for sql in [
        format!(
            "BEGIN; UPDATE users SET username = 'two' WHERE id = 3; PREPARE TRANSACTION '{name}'"
        ),
        format!("COMMIT PREPARED '{name}'"),
    ] {
        client.batch_execute(&sql).expect("two phases");
    }
    assert_eq!(crate::pair(&db, 3), "two TWO");
    client
        .batch_execute(
            "BEGIN; SAVEPOINT a; UPDATE users SET username = 'lost' WHERE id = 1; ROLLBACK TO a;
             SAVEPOINT b; UPDATE users SET email = 'KEPT' WHERE id = 1; RELEASE b; COMMIT",
        )
        .expect("savepoints");
    assert_eq!(crate::pair(&db, 1), "kept KEPT");
}

#[test]
fn roles_change_within_a_transaction() {
    let db = cluster().database();
    let role = format!("role_{}", db.name());
    db.run(&format!(
        "CREATE ROLE {role}; CREATE TABLE who (id int PRIMARY KEY, a text, b text);
         GRANT ALL ON who TO {role};
         SELECT migrate.sync_column_trigger('who', 'a', 'b', 'a || '':'' || current_user', 'b')"
    ));
    db.run(&format!(
        "INSERT INTO who (id, a) VALUES (1, 'x'); SET LOCAL ROLE {role}; INSERT INTO who (id, a) VALUES (2, 'x');
         RESET ROLE; INSERT INTO who (id, a) VALUES (3, 'x')"
    ));
    let rows = db.rows("SELECT b FROM who ORDER BY id");
    assert_eq!(
        rows,
        [
            ["x:postgres".to_owned()],
            [format!("x:{role}")],
            ["x:postgres".to_owned()]
        ]
    );
}

/// Rights are asked for when an expression is made ready: for each role anew.
#[test]
fn a_role_that_comes_second_has_its_own_rights() {
    let db = users();
    let role = format!("role_{}", db.name());
    db.run(&format!(
        "CREATE ROLE {role}; GRANT ALL ON users TO {role};
         CREATE FUNCTION locked(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN $1; END $$;
         REVOKE EXECUTE ON FUNCTION locked(text) FROM PUBLIC;
         SELECT migrate.sync_column_trigger('users', 'username', 'email', 'locked(username)', 'email')"
    ));
    let failure = db.error(&format!(
        "UPDATE users SET username = 'a' WHERE id = 1; SET LOCAL ROLE {role};
         UPDATE users SET username = 'b' WHERE id = 1"
    ));
    assert_eq!(failure.sqlstate, "42501", "{failure}");
    assert!(
        failure
            .message
            .contains("permission denied for function locked"),
        "{failure}"
    );
}

/// A function that the writer may not call stays out of the writer's reach.
#[test]
fn an_expression_has_the_writers_rights_and_no_more() {
    let db = users();
    let role = format!("role_{}", db.name());
    db.run(&format!(
        "CREATE ROLE {role} LOGIN; GRANT SELECT, INSERT, UPDATE (username, n) ON users TO {role};
         CREATE TABLE secret (t text); INSERT INTO secret VALUES ('hidden');
         CREATE FUNCTION guarded(text) RETURNS text LANGUAGE sql AS $$ SELECT t FROM secret $$;
         CREATE FUNCTION locked(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN $1; END $$;
         REVOKE EXECUTE ON FUNCTION locked(text) FROM PUBLIC"
    ));
    for (up, part) in [
        ("guarded(username)", "permission denied for table secret"),
        ("locked(username)", "permission denied for function locked"),
        (
            "(SELECT t FROM secret WHERE username IS NOT NULL)",
            "permission denied for table secret",
        ),
    ] {
        db.run(&format!(
            "SELECT migrate.sync_column_trigger('users', 'username', 'email', '{up}', 'email')"
        ));
        let failure = db.error_as(&role, "UPDATE users SET username = 'w' WHERE id = 1");
        assert_eq!(failure.sqlstate, "42501", "{failure}");
        assert!(failure.message.contains(part), "{failure}");
        assert!(
            failure
                .context
                .contains("for column \"email\" (text) from \"username\" (text)"),
            "{failure}"
        );
        db.run("SELECT migrate.drop_sync_trigger('users', 'username', 'email')");
    }
    // What it may not write by itself, the trigger writes for it, as any BEFORE trigger does.
    db.run("SELECT migrate.sync_column_trigger('users', 'username', 'email')");
    db.run_as(&role, "UPDATE users SET username = 'w' WHERE id = 1");
    assert_eq!(crate::pair(&db, 1), "w w");
}
