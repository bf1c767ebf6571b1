//! Expressions of the user: types, names, errors, changes under a running session.

use crate::{pair, prices, row, users};
use pg_migrate_tests::cluster;

#[test]
fn a_generated_column_is_read_as_its_expression() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE g (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED, old int);
         ALTER TABLE g ADD COLUMN new int",
    );
    db.run("SELECT migrate.sync_column_trigger('g', 'old', 'new', 'old + twice', 'new - twice')");
    db.run("INSERT INTO g (id, a, old) VALUES (1, 5, 100)");
    assert_eq!(row(&db, "SELECT twice, old, new FROM g"), "10 100 110");
    let failure = db.error("SELECT migrate.sync_column_trigger('g', 'twice', 'new')");
    assert_eq!(failure.sqlstate, "42809", "{failure}");
}

#[test]
fn an_error_of_an_expression_stays_whole() {
    let db = prices();
    db.run(
        "CREATE FUNCTION picky(numeric) RETURNS int LANGUAGE plpgsql AS $$
         BEGIN
             RAISE EXCEPTION 'no' USING ERRCODE = 'MY042', CONSTRAINT = 'taste', DETAIL = 'd', HINT = 'h';
         END $$;
         SELECT migrate.drop_sync_trigger('m', 'price', 'whole');
         SELECT migrate.sync_column_trigger('m', 'price', 'whole', 'picky(price)', 'whole')",
    );
    let mut client = db.connect();
    let error = client
        .batch_execute("UPDATE m SET price = 1 WHERE id = 1")
        .expect_err("picky");
    let error = error.as_db_error().expect("of the server");
    assert_eq!(error.code().code(), "MY042");
    assert_eq!(error.constraint(), Some("taste"));
    assert_eq!(error.hint(), Some("h"));
    assert!(error.where_().is_some_and(|text| text.contains("picky")
        && text.contains("trigger \"~~pg_migrate_sync_price~whole\" on table \"m\"")));
    // The session goes on.
    client
        .batch_execute("UPDATE m SET note = 'x' WHERE id = 1")
        .expect_err("picky again");
    client.batch_execute("SELECT 1").expect("a live session");
}

/// What one evaluation has computed so far is not another's.
#[test]
fn an_expression_may_write_the_table_it_is_on() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE r (id int PRIMARY KEY, old int, new int);
         CREATE FUNCTION again(id int, v int) RETURNS int LANGUAGE plpgsql AS $$
         BEGIN
             IF id < 5 THEN INSERT INTO r (id, old) VALUES (id + 1, v * 10); END IF;
             RETURN v + id;
         END $$;
         SELECT migrate.sync_column_trigger('r', 'old', 'new', 'id * 100000 + again(id, old)', 'new')",
    );
    db.run("INSERT INTO r (id, old) VALUES (1, 1)");
    let rows = db.rows("SELECT id, old, new FROM r ORDER BY id");
    assert_eq!(
        rows.last().map(|r| r.join(" ")),
        Some("5 10000 510005".to_owned())
    );
    assert_eq!(
        rows.first().map(|r| r.join(" ")),
        Some("1 1 100002".to_owned())
    );
}

#[test]
fn an_error_in_an_expression_says_where() {
    let db = users();
    let failure = db.error("SELECT migrate.sync_column_trigger('users', 'username', 'email', 'lower(usrname)', 'email')");
    assert_eq!(failure.sqlstate, "42703", "{failure}");
    assert!(
        failure
            .detail
            .contains("At character 7 of the expression: lower(usrname)"),
        "{failure}"
    );
    let failure = db
        .error("SELECT migrate.sync_column_trigger('users', 'username', 'email', 'n +', 'email')");
    assert_eq!(failure.sqlstate, "42601", "{failure}");
    for (up, sqlstate) in [
        ("count(*)", "42803"),
        ("username; DROP TABLE users", "42601"),
        ("username FROM users", "42601"),
        ("username, n", "42601"),
        ("users::text", "0A000"),
        ("ctid::text", "0A000"),
    ] {
        let up = up.replace('\'', "''");
        let failure = db.error(&format!(
            "SELECT migrate.sync_column_trigger('users', 'username', 'email', '{up}', 'email')"
        ));
        assert_eq!(failure.sqlstate, sqlstate, "{up}: {failure}");
        assert!(failure.detail.contains(&up), "{failure}");
    }
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM pg_trigger WHERE tgname LIKE '~~%'"),
        0
    );
}

#[test]
fn an_expression_means_the_same_under_any_search_path() {
    let db = users();
    db.run(
        "CREATE SCHEMA app;
         CREATE FUNCTION app.shout(text) RETURNS text LANGUAGE sql AS $$ SELECT upper($1) $$;
         CREATE FUNCTION app.plus(text, text) RETURNS text LANGUAGE sql AS $$ SELECT $1 || '+' || $2 $$;
         CREATE OPERATOR app.&&& (FUNCTION = app.plus, LEFTARG = text, RIGHTARG = text)",
    );
    db.run(
        "SET search_path = public, app;
         SELECT migrate.sync_column_trigger('users', 'username', 'email', 'shout(username) &&& ''!''', 'lower(email)')",
    );
    db.run(
        "CREATE SCHEMA evil;
         CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE sql AS $$ SELECT 'stolen' $$",
    );
    db.run(
        "SET search_path = evil, pg_catalog; UPDATE public.users SET username = 'x' WHERE id = 1",
    );
    db.run("SET search_path = evil, pg_catalog; UPDATE public.users SET email = 'Y' WHERE id = 2");
    assert_eq!(pair(&db, 1), "x X+!");
    assert_eq!(pair(&db, 2), "y Y");
}

/// The body of a function is another matter: it means what it means in the session that writes, as
/// everywhere else, also where it was inlined before the path changed.
#[test]
fn the_body_of_a_function_follows_the_search_path() {
    let db = users();
    db.run(
        "CREATE SCHEMA v1; CREATE SCHEMA v2;
         CREATE FUNCTION v1.mark() RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT '1' $$;
         CREATE FUNCTION v2.mark() RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT '2' $$;
         SET search_path = public, v1;
         CREATE FUNCTION marked(text) RETURNS text STABLE LANGUAGE sql AS $$ SELECT $1 || mark() $$",
    );
    let call = "SELECT migrate.sync_column_trigger('users', 'username', 'email', 'marked(username)', 'email')";
    let failure = db.error(call);
    assert_eq!(failure.sqlstate, "42883", "{failure}");
    db.run(&format!("SET search_path = public, v1; {call}"));
    let mut open = db.connect();
    for (path, name, email) in [("v1", "a", "a1"), ("v2", "b", "b2"), ("v1", "c", "c1")] {
        open.batch_execute(&format!(
            "SET search_path = {path}; UPDATE public.users SET username = '{name}' WHERE id = 1"
        ))
        .expect("an update");
        assert_eq!(pair(&db, 1), format!("{name} {email}"));
    }
}

#[test]
fn subqueries_see_the_row() {
    let db = users();
    db.run("CREATE TABLE known (name text, address text); INSERT INTO known VALUES ('ann', 'ann@example.org')");
    db.run(
        "SELECT migrate.sync_column_trigger('users', 'username', 'email',
             '(SELECT address FROM public.known WHERE name = username)',
             '(SELECT CASE WHEN email IS NULL THEN ''none'' ELSE split_part(email, ''@'', 1) END)')",
    );
    db.run("UPDATE users SET n = 1");
    assert_eq!(pair(&db, 1), "ann ann@example.org");
    assert_eq!(pair(&db, 2), "bob NULL");
    db.run("UPDATE users SET email = 'kim@example.org' WHERE id = 3");
    assert_eq!(pair(&db, 3), "kim kim@example.org");
    db.run("INSERT INTO known VALUES ('ann', 'twice')");
    let failure = db.error("UPDATE users SET username = 'bob'; UPDATE users SET username = 'ann'");
    assert_eq!(failure.sqlstate, "21000", "{failure}");
}

#[test]
fn types_that_need_a_cast_get_it_or_an_error() {
    let db = cluster().database();
    db.run("CREATE TABLE t (id serial, a int, b bigint, c varchar(3), d text, e point, f json, g jsonb)");
    db.run("SELECT migrate.sync_column_trigger('t', 'a', 'b')");
    db.run("SELECT migrate.sync_column_trigger('t', 'c', 'd')");
    db.run("INSERT INTO t (a, d) VALUES (1, 'abc')");
    assert_eq!(row(&db, "SELECT a, b, c, d FROM t"), "1 1 abc abc");
    assert_eq!(db.error("UPDATE t SET b = 3000000000").sqlstate, "22003");
    assert_eq!(db.error("UPDATE t SET d = 'too long'").sqlstate, "22001");
    let failure = db.error("SELECT migrate.sync_column_trigger('t', 'a', 'e')");
    assert_eq!(failure.sqlstate, "42804", "{failure}");
    assert!(failure.hint.contains("up and down"), "{failure}");
    // json has no equality; changes are told by the bytes.
    db.run("SELECT migrate.sync_column_trigger('t', 'f', 'g', 'f::jsonb', 'g::json')");
    db.run("UPDATE t SET f = '{\"a\": 1}'");
    assert_eq!(db.one::<String>("SELECT g::text FROM t"), "{\"a\": 1}");
}

#[test]
fn what_changes_under_an_open_session_is_noticed() {
    let db = users();
    db.run("CREATE FUNCTION f(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT $1 || '1' $$");
    db.run(
        "SELECT migrate.sync_column_trigger('users', 'username', 'email', 'f(username)', 'email')",
    );
    let mut open = db.connect();
    open.batch_execute("UPDATE users SET username = 'a' WHERE id = 1")
        .expect("an update");
    assert_eq!(pair(&db, 1), "a a1");
    db.run("CREATE OR REPLACE FUNCTION f(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT $1 || '2' $$");
    open.batch_execute("UPDATE users SET username = 'b' WHERE id = 1")
        .expect("an update");
    assert_eq!(pair(&db, 1), "b b2");
    db.run("ALTER TABLE users ALTER COLUMN email TYPE varchar(2)");
    let error = open.batch_execute("UPDATE users SET username = 'long' WHERE id = 1");
    assert!(error.is_err());
    db.run("ALTER TABLE users DROP COLUMN n; ALTER TABLE users ADD COLUMN first int");
    open.batch_execute("UPDATE users SET username = 'c' WHERE id = 1")
        .expect("an update");
    assert_eq!(pair(&db, 1), "c c2");
}
