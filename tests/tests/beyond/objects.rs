//! Types, schemas, functions, triggers, privileges, reindex.

use pg_migrate_tests::{Role, Traffic, TrafficSpec};
use std::time::Duration;

use crate::{apply, as_alone, database, fingerprint, json, rehearsed, same, script, turns, ways};

const ENUM: &str = "CREATE TYPE mood AS ENUM ('sad', 'glad');
    CREATE TABLE people (id int PRIMARY KEY, mood mood DEFAULT 'sad');
    INSERT INTO people SELECT g, 'sad' FROM generate_series(1, 1000) g";

fn labels(db: &pg_migrate_tests::Db) -> String {
    db.one("SELECT enum_range(NULL::mood)::text")
}

#[test]
fn an_enum_value_is_used_by_later_steps_and_stays() {
    let db = database(ENUM);
    let document = json(
        r#"{"add_enum_value": {"type": "mood", "value": "fine", "before": "glad"}},
           {"backfill": {"table": "people", "set": {"mood": "'fine'"}, "where": "mood = 'sad'"}},
           {"alter_column": {"table": "people", "column": "mood", "default": "'fine'"}},
           {"add_column": {"table": "people", "column": {"name": "next", "type": "mood", "default": "'fine'"}}}"#,
    );
    apply(&db, &document);
    db.run("CALL migrate.upgrade()");
    assert_eq!(labels(&db), "{sad,fine,glad}");
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM people WHERE mood = 'fine' AND next = 'fine'"),
        1000
    );
    let notices = db.notices("CALL migrate.downgrade('base')").join("\n");
    assert!(
        notices.contains("value \"fine\" of enum type public.mood stays"),
        "{notices}"
    );
    assert_eq!(labels(&db), "{sad,fine,glad}");
    // What stayed is no obstacle to the same migration.
    db.run("CALL migrate.upgrade()");
    assert_eq!(labels(&db), "{sad,fine,glad}");
}

#[test]
fn an_enum_value_is_there_or_not() {
    let db = database(ENUM);
    let error = db.error(
        r#"SELECT migrate.plan('{"revision": "1", "operations": [{"add_enum_value": {"type": "mood", "value": "glad"}}]}')"#,
    );
    assert!(error.message.contains("already has the value"), "{error}");
    let error = db.error(
        r#"SELECT migrate.plan('{"revision": "1", "operations": [{"add_enum_value": {"type": "mood", "value": "x", "after": "gald"}}]}')"#,
    );
    assert!(error.hint.contains("\"glad\""), "{error}");
    as_alone(ENUM, "ALTER TYPE mood ADD VALUE IF NOT EXISTS 'glad'");
    as_alone(ENUM, "ALTER TYPE mood ADD VALUE 'fine' AFTER 'sad'");
    // One made in the same migration leaves with its type.
    turns(
        &database(""),
        &script(
            "CREATE TYPE m AS ENUM ('a'); ALTER TYPE m ADD VALUE 'b'; CREATE TABLE t (m m DEFAULT 'b')",
        ),
        |_| {},
    );
}

#[test]
fn an_enum_value_is_renamed_and_back() {
    let document = script("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'");
    let db = database(ENUM);
    ways(&db, &document, |db| {
        assert_eq!(labels(db), "{blue,glad}");
        assert_eq!(
            db.one::<i64>("SELECT count(*) FROM people WHERE mood = 'blue'"),
            1000
        );
    });
    as_alone(ENUM, "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'");
}

#[test]
fn a_type_is_made_used_and_taken_back() {
    let db = database(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT g FROM generate_series(1, 100) g",
    );
    let document = json(
        r#"{"create_type": {"name": "mood", "enum": ["it's", "glad"], "comment": "how it is"}},
           {"create_type": {"name": "place", "composite": [{"name": "x", "type": "int"}, {"name": "Y", "type": "text"}]}},
           {"create_type": {"name": "small", "domain": {"type": "int", "default": "1", "nullable": false,
               "checks": [{"name": "small_check", "constraint": "VALUE < 10"}]}}},
           {"create_type": {"name": "span", "range": {"subtype": "float8", "parameters": "subtype_diff = float8mi"}}},
           {"add_column": {"table": "t", "column": {"name": "mood", "type": "mood", "nullable": true}}}"#,
    );
    rehearsed(&db, &document);
    let before = fingerprint(&db);
    apply(&db, &document);
    db.run("CALL migrate.upgrade()");
    db.run("UPDATE t SET mood = 'glad'");
    // The column is set aside, and the type with it.
    db.run("CALL migrate.downgrade('base')");
    same("rolled back", &before, &fingerprint(&db));
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM pg_type WHERE typnamespace = 'migrate_aside'::regnamespace AND typtype = 'e'"),
        1
    );
    db.run("CALL migrate.upgrade()");
    db.run("UPDATE t SET mood = 'it''s'");
    db.run("CALL migrate.downgrade('base')");
    same("taken back", &before, &fingerprint(&db));
    db.run("SELECT migrate.purge('0 seconds')");
    assert_eq!(
        db.one::<i64>(
            "SELECT count(*) FROM pg_type WHERE typnamespace = 'migrate_aside'::regnamespace"
        ),
        0
    );
}

const MOVED: &str = "CREATE SCHEMA app;
    CREATE ROLE beyond_reader LOGIN;
    CREATE TABLE orders (id serial PRIMARY KEY, note text DEFAULT 'none', total int CHECK (total >= 0));
    CREATE INDEX orders_note ON orders (note);
    GRANT SELECT, INSERT ON orders TO beyond_reader; GRANT UPDATE (note) ON orders TO beyond_reader WITH GRANT OPTION;
    CREATE VIEW recent AS SELECT id, note FROM orders;
    CREATE TYPE mood AS ENUM ('sad'); CREATE DOMAIN small AS int CHECK (VALUE < 10);
    CREATE SEQUENCE numbers;
    CREATE FUNCTION half(i int) RETURNS int LANGUAGE sql AS 'SELECT i / 2'";

#[test]
fn a_table_moves_and_its_old_place_works_until_contract() {
    let db = database(MOVED);
    let document = json(r#"{"set_schema": {"name": "orders", "schema": "app"}}"#);
    rehearsed(&db, &document);
    apply(&db, &document);
    db.run("CALL migrate.upgrade()");
    db.run_as("beyond_reader", "SELECT 1");
    db.run("INSERT INTO public.orders (total) VALUES (1); INSERT INTO app.orders (total) VALUES (2);
            UPDATE public.orders SET note = 'x' WHERE total = 2; DELETE FROM public.orders WHERE total = 1");
    db.run("GRANT USAGE ON SCHEMA app TO beyond_reader");
    db.run_as("beyond_reader", "UPDATE public.orders SET note = 'y'");
    assert_eq!(
        db.rows("SELECT id, note, total FROM app.orders"),
        [["2", "y", "2"]]
    );
    db.run("REVOKE USAGE ON SCHEMA app FROM beyond_reader");
    db.run("CALL migrate.downgrade('base')");
    let others = MOVED
        .replace("CREATE ROLE beyond_reader LOGIN;", "")
        .replace("beyond_reader", "pg_monitor");
    ways(&database(&others), &document, |_| {});
    as_alone(&others, "ALTER TABLE orders SET SCHEMA app");
}

#[test]
fn a_table_moves_under_writers() {
    let db = database(
        "CREATE SCHEMA app; CREATE TABLE orders (id bigint PRIMARY KEY, note text, seen timestamptz DEFAULT now());
         INSERT INTO orders SELECT g, 'seed-' || g FROM generate_series(1, 5000) g",
    );
    let columns = &[("note", Role::Old)];
    let traffic = Traffic::start(
        &db,
        TrafficSpec::new("public.orders", "id", columns).threads(4),
    );
    traffic.run_for(Duration::from_millis(300));
    apply(
        &db,
        &json(r#"{"set_schema": {"name": "orders", "schema": "app"}}"#),
    );
    traffic.run_for(Duration::from_millis(500));
    db.run("CALL migrate.downgrade('base')");
    traffic.run_for(Duration::from_millis(300));
    db.run("CALL migrate.upgrade()");
    traffic.run_for(Duration::from_millis(500));
    let report = traffic.stop();
    assert!(
        report.errors.is_empty(),
        "{:#?}",
        &report.errors[..report.errors.len().min(5)]
    );
    assert!(report.operations > 200);
    db.run("CALL migrate.contract('1')");
    let wrong = report.check(&db, "app.orders", "id", columns);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn everything_else_moves_too() {
    for (operation, statement) in [
        (
            r#"{"name": "recent", "schema": "app"}"#,
            "ALTER VIEW recent SET SCHEMA app",
        ),
        (
            r#"{"name": "numbers", "schema": "app"}"#,
            "ALTER SEQUENCE numbers SET SCHEMA app",
        ),
        (
            r#"{"kind": "type", "name": "mood", "schema": "app"}"#,
            "ALTER TYPE mood SET SCHEMA app",
        ),
        (
            r#"{"kind": "type", "name": "small", "schema": "app"}"#,
            "ALTER DOMAIN small SET SCHEMA app",
        ),
        (
            r#"{"kind": "function", "name": "half(int)", "schema": "app"}"#,
            "ALTER FUNCTION half(int) SET SCHEMA app",
        ),
    ] {
        let fixture = MOVED
            .replace("CREATE ROLE beyond_reader LOGIN;", "")
            .replace("beyond_reader", "pg_monitor");
        ways(
            &database(&fixture),
            &json(&format!(r#"{{"set_schema": {operation}}}"#)),
            |_| {},
        );
        as_alone(&fixture, statement);
    }
}

#[test]
fn a_function_that_is_replaced_comes_back() {
    const F: &str = "CREATE FUNCTION half(i int, by int DEFAULT 2) RETURNS int LANGUAGE sql STABLE AS 'SELECT i / by';
        COMMENT ON FUNCTION half IS 'a part'; REVOKE ALL ON FUNCTION half FROM PUBLIC";
    let db = database(F);
    let document = script(
        "CREATE OR REPLACE FUNCTION half(i int, by int DEFAULT 3) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN i / by; END $$;
         CREATE OR REPLACE FUNCTION third(i int DEFAULT 1, OUT a int, OUT b text) LANGUAGE sql AS 'SELECT i, ''x''';
         CREATE OR REPLACE PROCEDURE go(i int) LANGUAGE sql AS 'SELECT i';
         COMMENT ON FUNCTION half IS 'changed';",
    );
    ways(&db, &document, |db| {
        assert_eq!(db.one::<i32>("SELECT half(9)"), 3);
    });
    let db = database(F);
    let document = json(
        r#"{"create_function": {"name": "half", "arguments": "i int, by int DEFAULT 2", "returns": "int", "language": "sql",
            "attributes": "IMMUTABLE", "body": "SELECT i / by + 100", "replace": true}},
           {"create_function": {"name": "log", "kind": "procedure", "arguments": "t text", "language": "plpgsql", "body": "BEGIN END"}}"#,
    );
    ways(&db, &document, |db| {
        assert_eq!(db.one::<i32>("SELECT half(9)"), 104);
        db.run("CALL log('x')");
    });
    let error = db.error(
        r#"SELECT migrate.plan('{"revision": "2", "down_revision": "1", "operations": [{"create_function": {"name": "half", "arguments": "i int, by int",
            "returns": "int", "language": "sql", "body": "SELECT 1"}}]}')"#,
    );
    assert!(error.message.contains("already exists"), "{error}");
}

#[test]
fn triggers_come_and_go() {
    const T: &str = "CREATE TABLE t (id int PRIMARY KEY, n int);
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.n := 1; RETURN NEW; END';
        CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.n := 2; RETURN NEW; END';
        CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
        CREATE TRIGGER b BEFORE UPDATE OF n ON t FOR EACH ROW WHEN (NEW.n > 1) EXECUTE FUNCTION f();
        ALTER TABLE t ENABLE ALWAYS TRIGGER a; COMMENT ON TRIGGER a ON t IS 'first'; ALTER TABLE t DISABLE TRIGGER b;
        INSERT INTO t SELECT g FROM generate_series(1, 10) g";
    for sql in [
        "CREATE TRIGGER c AFTER DELETE ON t FOR EACH STATEMENT EXECUTE FUNCTION f()",
        "CREATE OR REPLACE TRIGGER a BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION g()",
        "DROP TRIGGER a ON t; CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION g()",
        "DROP TRIGGER b ON t; DROP TRIGGER IF EXISTS nothing ON t",
    ] {
        ways(&database(T), &script(sql), |_| {});
        as_alone(T, sql);
    }
    ways(
        &database(T),
        &json(
            r#"{"create_trigger": {"name": "C", "table": "t", "events": "BEFORE INSERT", "action": "FOR EACH ROW EXECUTE FUNCTION g()"}},
               {"drop_trigger": {"name": "b", "table": "t"}}"#,
        ),
        |_| {},
    );
}

const GRANTS: &str = "CREATE ROLE beyond_a; CREATE ROLE beyond_b;
    CREATE SCHEMA s; CREATE TABLE t (a int, b int, c int); CREATE TABLE u (a int); CREATE SEQUENCE q;
    CREATE FUNCTION f(i int, t text) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE mood AS ENUM ('x');
    GRANT SELECT ON t TO beyond_a; GRANT INSERT ON t TO beyond_a WITH GRANT OPTION; GRANT SELECT (a), UPDATE (b) ON t TO beyond_b";

#[test]
fn privileges_come_back_as_they_were() {
    let fixture = GRANTS
        .replace("CREATE ROLE beyond_a; CREATE ROLE beyond_b;", "")
        .replace("beyond_a", "pg_monitor")
        .replace("beyond_b", "pg_signal_backend");
    for sql in [
        "GRANT SELECT, UPDATE ON t, u TO pg_monitor, PUBLIC",
        "GRANT SELECT ON t TO pg_monitor WITH GRANT OPTION",
        "GRANT INSERT ON TABLE t TO pg_monitor",
        "GRANT SELECT ON t TO pg_signal_backend",
        "REVOKE ALL ON t FROM pg_monitor, pg_signal_backend",
        "REVOKE GRANT OPTION FOR INSERT ON t FROM pg_monitor",
        "REVOKE SELECT ON t FROM pg_signal_backend",
        "GRANT SELECT (b, c), INSERT (a), UPDATE (b) ON t TO pg_signal_backend WITH GRANT OPTION",
        "REVOKE ALL ON t FROM pg_monitor; GRANT SELECT ON t TO pg_monitor",
        "GRANT ALL PRIVILEGES ON SCHEMA s TO pg_monitor",
        "GRANT USAGE ON SEQUENCE q TO pg_monitor; REVOKE SELECT ON q FROM CURRENT_USER",
        "REVOKE EXECUTE ON FUNCTION f(int, text) FROM PUBLIC; GRANT EXECUTE ON FUNCTION f TO pg_monitor",
        "REVOKE USAGE ON TYPE mood FROM PUBLIC",
        "CREATE TABLE fresh (a int); GRANT SELECT ON fresh TO PUBLIC; REVOKE SELECT ON fresh FROM PUBLIC",
    ] {
        ways(&database(&fixture), &script(sql), |_| {});
        as_alone(&fixture, sql);
    }
    ways(
        &database(&fixture),
        &json(
            r#"{"grant": {"privileges": ["select"], "columns": ["c"], "on": "t", "to": ["pg_monitor"]}},
               {"revoke": {"privileges": ["ALL"], "on": ["t"], "from": "pg_signal_backend"}}"#,
        ),
        |_| {},
    );
}

#[test]
fn comments_on_anything_come_back() {
    let fixture = format!(
        "{}; COMMENT ON TYPE mood IS 'old'; COMMENT ON FUNCTION f IS 'same';
         CREATE VIEW shown AS SELECT 1 AS one, 2 AS two; COMMENT ON VIEW shown IS 'old view'; COMMENT ON COLUMN shown.one IS 'old one';
         CREATE FUNCTION told() RETURNS int LANGUAGE sql AS 'SELECT 1'; COMMENT ON FUNCTION told() IS 'old function'",
        GRANTS
            .replace("CREATE ROLE beyond_a; CREATE ROLE beyond_b;", "")
            .replace("beyond_a", "pg_monitor")
            .replace("beyond_b", "pg_signal_backend")
    );
    let sql = "COMMENT ON TYPE mood IS 'new'; COMMENT ON SCHEMA s IS 'first'; COMMENT ON FUNCTION f IS 'same';
               COMMENT ON SEQUENCE q IS 'it''s'; CREATE TYPE later AS ENUM ('x'); COMMENT ON TYPE later IS 'here';
               COMMENT ON VIEW shown IS 'new view'; COMMENT ON COLUMN shown.one IS NULL; COMMENT ON COLUMN shown.two IS 'first';
               COMMENT ON FUNCTION told() IS 'new function'";
    ways(&database(&fixture), &script(sql), |_| {});
    as_alone(&fixture, sql);
}

#[test]
fn reindex_runs_beside_the_application() {
    const T: &str = "CREATE TABLE t (id int PRIMARY KEY, n int, EXCLUDE (n WITH =));
        CREATE INDEX t_n ON t (n); INSERT INTO t SELECT g, g FROM generate_series(1, 1000) g";
    let db = database(T);
    let node = "SELECT relfilenode::int8 FROM pg_class WHERE oid = 't_n'::regclass";
    let before: i64 = db.one(node);
    ways(&db, &script("REINDEX INDEX t_n"), |_| {});
    assert_ne!(db.one::<i64>(node), before);
    ways(&database(T), &script("REINDEX TABLE t"), |_| {});
    let error = db.error("SELECT migrate.plan('REINDEX INDEX t_n_excl')");
    assert!(
        error.message.contains("cannot be rebuilt online"),
        "{error}"
    );
}

#[test]
fn what_an_interrupted_reindex_left_is_dropped() {
    let db = database(
        "CREATE TABLE t (id int PRIMARY KEY, n int); CREATE INDEX t_n ON t (n);
         INSERT INTO t SELECT g, g FROM generate_series(1, 1000) g",
    );
    let node = "SELECT relfilenode::int8 FROM pg_class WHERE oid = 't_n'::regclass";
    let before: i64 = db.one(node);
    // Somebody else's leftover, from before.
    db.run("CREATE INDEX t_n_ccnew ON t (n); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_n_ccnew'::regclass");
    apply(&db, &script("REINDEX INDEX t_n"));
    let mut writer = db.connect();
    writer
        .batch_execute("BEGIN; INSERT INTO t VALUES (5000, 1)")
        .unwrap();
    std::thread::scope(|scope| {
        let driver = scope.spawn(|| db.connect().batch_execute("CALL migrate.upgrade()"));
        let worker = "SELECT count(*) FROM pg_stat_activity a WHERE query LIKE 'REINDEX INDEX%' AND wait_event_type = 'Lock'
                       AND EXISTS (SELECT 1 FROM pg_class WHERE relname = 't_n_ccnew1')";
        for _ in 0..200 {
            if db.one::<i64>(worker) > 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        db.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'REINDEX INDEX%' AND pid <> pg_backend_pid()");
        assert!(driver.join().unwrap().is_err());
    });
    writer.batch_execute("ROLLBACK").unwrap();
    let left = "SELECT coalesce(string_agg(relname, ' ' ORDER BY relname), '') FROM pg_class WHERE relname LIKE 't_n_cc%'";
    assert_eq!(db.one::<String>(left), "t_n_ccnew t_n_ccnew1");
    db.run("CALL migrate.upgrade()");
    assert_ne!(db.one::<i64>(node), before);
    assert_eq!(
        db.one::<String>(left),
        "t_n_ccnew",
        "ours is dropped, the other one is not ours"
    );
}
