//! The three answers: safe as written, replaced, or not possible online.

use crate::{FIXTURE, load, plan, refused};
use pg_migrate_tests::{Db, cluster};

const OWN: &str = include_str!("fixture.sql");

fn bench() -> Db {
    let db = cluster().database();
    load(&db, FIXTURE);
    // Roles are shared by the databases of the cluster.
    load(
        &db,
        &OWN.replace(
            "create role app_reader;",
            "do $$begin create role app_reader; exception when others then null; end$$;",
        ),
    );
    db
}

#[test]
fn what_is_not_possible_online_is_refused_with_reason_time_and_way_out() {
    let db = bench();
    for (sql, message, detail) in [
        (
            "ALTER TABLE app.lone SET UNLOGGED",
            "ALTER TABLE … SET UNLOGGED of app.lone is not possible online",
            "rows:",
        ),
        (
            "VACUUM FULL app.lone",
            "VACUUM FULL of app.lone is not possible online",
            "writes the table and its indexes anew",
        ),
        (
            "CLUSTER app.orders USING orders_pkey",
            "CLUSTER of app.orders is not possible online",
            "rows: ",
        ),
        (
            "TRUNCATE app.lone",
            "TRUNCATE TABLE of app.lone is not possible online",
            "destroys the table's data",
        ),
        (
            "ALTER DOMAIN app.email ADD CHECK (length(value) > 3)",
            "is not possible online",
            "every table with a column of the domain",
        ),
        (
            "ALTER DOMAIN app.email VALIDATE CONSTRAINT email_check",
            "is not possible online",
            "their writes wait",
        ),
        (
            "ALTER TABLE users ADD CONSTRAINT ex EXCLUDE USING gist (id WITH =)",
            "online",
            "",
        ),
        (
            "CREATE DATABASE other",
            "CREATE DATABASE is no part of a migration",
            "whole server",
        ),
        (
            "ALTER SYSTEM SET work_mem = '8MB'",
            "ALTER SYSTEM is no part of a migration",
            "whole server",
        ),
        (
            "LOCK TABLE users",
            "LOCK TABLE is no part of a migration",
            "each step takes the locks",
        ),
        (
            "DROP OWNED BY app_reader",
            "DROP OWNED is no part of a migration",
            "does not name",
        ),
        (
            "PREPARE q AS SELECT 1",
            "PREPARE is no part of a migration",
            "session",
        ),
        (
            "CREATE TABLE before (id int); SET search_path = app",
            "search_path cannot be set by a migration",
            "sessions of their own",
        ),
        (
            "SET ROLE app_reader",
            "role cannot be set by a migration",
            "",
        ),
    ] {
        let failure = refused(&db, sql);
        assert_eq!(failure.sqlstate, "0A000", "{sql}: {failure}");
        assert!(failure.message.contains(message), "{sql}: {failure}");
        assert!(
            failure
                .detail
                .to_lowercase()
                .contains(&detail.to_lowercase()),
            "{sql}: {failure}"
        );
        assert!(!failure.hint.is_empty(), "{sql}: {failure}");
    }
    // Not for ever: an index is wanting.
    let failure = refused(&db, "REFRESH MATERIALIZED VIEW app.plain_totals");
    assert_eq!(failure.sqlstate, "55000", "{failure}");
    assert!(
        failure
            .message
            .contains("cannot be refreshed while others read it")
            && failure.detail.contains("a unique index")
            && failure.detail.contains("rows: ")
            && failure.hint.contains("-- migrate:as-written"),
        "{failure}"
    );
}

/// What a recipe cannot do is said with the time that the statement itself would take.
#[test]
fn what_no_recipe_can_do_is_refused_with_the_time_as_written() {
    let db = bench();
    db.run("ANALYZE");
    for (sql, why, work) in [
        (
            "ALTER TABLE app.parent ALTER COLUMN id TYPE bigint",
            "inherit from",
            "rewrites app.parent under a lock, 20 rows: ",
        ),
        (
            "ALTER TABLE users ADD EXCLUDE USING btree (n WITH =)",
            "",
            "nobody could read or write the 500 rows (",
        ),
    ] {
        let failure = refused(&db, sql);
        assert_eq!(failure.sqlstate, "0A000", "{failure}");
        assert!(failure.to_string().contains(why), "{failure}");
        assert!(failure.detail.contains(work), "{failure}");
        assert!(
            failure.detail.ends_with(&format!("Statement: {sql}")),
            "{failure}"
        );
        assert!(failure.hint.contains("-- migrate:as-written"), "{failure}");
    }
    // An order of statements that does not go is nothing that as-written would mend.
    let failure = refused(
        &db,
        "DROP TABLE app.lone; CREATE TABLE app.lone (id bigint)",
    );
    assert!(!failure.hint.contains("as-written"), "{failure}");
}

#[test]
fn as_written_it_runs_and_the_plan_says_what_it_does() {
    let db = bench();
    for (sql, wanted) in [
        (
            "ALTER TABLE app.lone SET UNLOGGED",
            "ACCESS EXCLUSIVE true true",
        ),
        ("VACUUM FULL app.lone", "ACCESS EXCLUSIVE true true"),
        (
            "ALTER TABLE users ADD COLUMN z uuid DEFAULT gen_random_uuid()",
            "ACCESS EXCLUSIVE true true",
        ),
        ("TRUNCATE app.lone", "ACCESS EXCLUSIVE false false"),
    ] {
        let script = format!("-- migrate:as-written\n{sql}");
        let rows = plan(
            &db,
            "lock || ' ' || rewrites || ' ' || scans, coalesce(estimate, ''), coalesce(warning, '')",
            &script,
        );
        assert_eq!(rows[0][0], wanted, "{sql}");
        assert!(
            !rows[0][2].is_empty() || !rows[0][1].is_empty(),
            "{sql}: {rows:?}"
        );
    }
}

#[test]
fn the_plan_shows_what_a_step_stands_for() {
    let db = bench();
    let rows = plan(
        &db,
        "sql, coalesce(replaces, '')",
        "REINDEX INDEX app.orders_state;\nREFRESH MATERIALIZED VIEW app.totals;\nCREATE INDEX ON app.totals (n);\nCOMMENT ON TABLE app.lone IS 'x';\nALTER TABLE app.lone ADD CHECK (id > 0), ALTER COLUMN x SET DEFAULT 'd'",
    );
    let find = |text: &str| {
        rows.iter()
            .find(|row| row[0].contains(text))
            .unwrap_or_else(|| panic!("{text} in {rows:#?}"))[1]
            .clone()
    };
    let alter = "ALTER TABLE app.lone ADD CHECK (id > 0), ALTER COLUMN x SET DEFAULT 'd'";
    assert_eq!(
        find("REINDEX INDEX CONCURRENTLY app.orders_state"),
        "REINDEX INDEX app.orders_state"
    );
    assert_eq!(
        find("REFRESH MATERIALIZED VIEW CONCURRENTLY app.totals"),
        "REFRESH MATERIALIZED VIEW app.totals"
    );
    assert_eq!(
        find("CREATE INDEX CONCURRENTLY totals_n_idx ON app.totals"),
        "CREATE INDEX ON app.totals (n)"
    );
    assert_eq!(find("COMMENT ON TABLE"), "");
    assert_eq!(find("NOT VALID"), alter);
    assert_eq!(find("VALIDATE CONSTRAINT"), alter);
    assert_eq!(find("SET DEFAULT 'd'"), alter);
}

#[test]
fn what_takes_long_under_a_weak_lock_is_a_step_of_its_own() {
    let db = bench();
    let rows = plan(
        &db,
        "phase, kind, lock, sql",
        "ALTER TABLE app.lone ADD COLUMN q int;\nANALYZE app.lone;\nALTER TABLE users VALIDATE CONSTRAINT nv;\nALTER TABLE app.lone ADD COLUMN r int;\nVACUUM app.lone",
    );
    let shown: Vec<_> = rows.iter().map(|row| row[..3].join(" ")).collect();
    assert_eq!(
        shown,
        [
            "expand ddl ACCESS EXCLUSIVE",
            "migrate validate SHARE UPDATE EXCLUSIVE",
            "migrate validate SHARE UPDATE EXCLUSIVE",
            "expand ddl ACCESS EXCLUSIVE",
            "migrate concurrent SHARE UPDATE EXCLUSIVE",
        ]
        .map(str::to_owned)
        .to_vec()
        .into_iter()
        .enumerate()
        .map(|(at, text)| (if text.starts_with("expand") { 0 } else { 1 }, at, text))
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .map(|(_, _, text)| text)
        .collect::<Vec<_>>(),
        "{rows:#?}"
    );
}

#[test]
fn a_value_added_to_an_enum_can_be_used_by_what_follows() {
    let db = bench();
    db.run(
        "SELECT migrate.apply($d$-- migrate:revision 1
        ALTER TYPE app.state ADD VALUE 'lost';
        ALTER TABLE app.orders ALTER COLUMN state SET DEFAULT 'lost';
        CREATE INDEX ON app.orders (id) WHERE state = 'lost'$d$)",
    );
    db.run("CALL migrate.upgrade()");
    assert_eq!(db.rows("SELECT state FROM migrate.status"), [["applied"]]);
}

#[test]
fn one_statement_over_very_many_rows_is_refused_with_their_number() {
    let db = cluster().database();
    db.run("CREATE TABLE big (id int, n int); INSERT INTO big SELECT g, 0 FROM generate_series(1, 150000) g; CREATE TABLE small (id int); INSERT INTO small VALUES (1)");
    db.run("ANALYZE big");
    for sql in ["UPDATE big SET n = n + 1", "DELETE FROM big"] {
        let failure = refused(&db, sql);
        assert!(failure.detail.contains("About 150000 rows"), "{failure}");
        assert!(
            failure
                .message
                .contains("public.big is not possible online"),
            "{failure}"
        );
    }
    for sql in [
        "UPDATE big SET n = n + 1 WHERE id = 7",
        "DELETE FROM small",
        "INSERT INTO big SELECT * FROM big",
    ] {
        assert_eq!(plan(&db, "kind", sql).len(), 1, "{sql}");
    }
}

/// The names of a script are meant in the path it sets first, for planning, running and taking back,
/// whatever the session's is.
#[test]
fn a_script_may_begin_with_its_search_path() {
    let db = cluster().database();
    db.run(
        r#"CREATE SCHEMA "Sales, Ops"; CREATE SCHEMA other;
        CREATE TABLE "Sales, Ops".lines (id int PRIMARY KEY, n int); INSERT INTO "Sales, Ops".lines SELECT g, g FROM generate_series(1, 50) g;
        CREATE TABLE other.lines (id int PRIMARY KEY, n int); CREATE TABLE lines (id int PRIMARY KEY, n int)"#,
    );
    let before = db.rows("SELECT object, definition FROM migrate.fingerprint() ORDER BY 1, 2");
    let script = r#"-- migrate:revision 1
        BEGIN;
        SET lock_timeout = '3s';
        SET search_path TO "Sales, Ops", public;
        CREATE TABLE notes (id int PRIMARY KEY, line int REFERENCES lines);
        ALTER TABLE lines ADD COLUMN m int;
        CREATE INDEX ON lines (m, n);
        CREATE FUNCTION latest() RETURNS int LANGUAGE sql AS 'SELECT max(id) FROM lines';
        SET search_path TO "Sales, Ops", public;
        COMMENT ON TABLE lines IS 'of sales';
        COMMIT;"#;
    let rows = db.rows(&format!(
        "SELECT sql FROM migrate.plan($d${script}$d$) ORDER BY step"
    ));
    let index = |row: &Vec<String>| row[0].ends_with(r#"ON "Sales, Ops".lines (m, n)"#);
    assert!(rows.iter().any(index), "{rows:?}");
    let by_hand = db.rows(&format!("SELECT * FROM migrate.plan_sql($d${script}$d$)"));
    assert!(
        by_hand.contains(&vec![
            r#"SET search_path TO "Sales, Ops", public"#.to_owned()
        ]),
        "{by_hand:?}"
    );
    db.run(&format!(
        "SET search_path = other; SELECT migrate.apply($d${script}$d$)"
    ));
    db.run("SET search_path = other; CALL migrate.upgrade()");
    assert_eq!(
        db.rows("SELECT state, search_path FROM migrate.revision"),
        [["applied", r#""Sales, Ops", public"#]]
    );
    assert_eq!(
        db.rows(
            "SELECT attrelid::regclass FROM pg_attribute WHERE attname = 'm' AND attnum > 0
             UNION ALL SELECT indrelid::regclass FROM pg_index WHERE indnatts = 2
             UNION ALL SELECT confrelid::regclass FROM pg_constraint WHERE contype = 'f'
             UNION ALL SELECT objoid::regclass FROM pg_description WHERE description = 'of sales'"
        )
        .iter()
        .filter(|row| row[0].contains("Sales, Ops"))
        .count(),
        5,
    );
    db.run("SET search_path = other; CALL migrate.downgrade('base')");
    let after = db.rows("SELECT object, definition FROM migrate.fingerprint() ORDER BY 1, 2");
    assert_eq!(after, before);
    let failure = db.error(
        "SELECT migrate.apply('-- migrate:revision 2\n-- migrate:up\nSET search_path = other; DROP TABLE lines;\n-- migrate:down\nSET search_path = public; CREATE TABLE lines (id int)')",
    );
    assert!(
        failure.message.contains("another search_path")
            && failure.detail.contains("Up: other. Down: public."),
        "{failure}"
    );
}

#[test]
fn settings_of_a_script_go_with_its_statements_or_are_said() {
    let db = cluster().database();
    let notices = db.notices("SELECT count(*) FROM migrate.plan('-- migrate:revision 1\nSET lock_timeout = ''2s''; SET statement_timeout = 0; CREATE TABLE t (id int)')");
    let said = notices.join("\n");
    assert!(
        said.contains("settings of the script are passed over")
            && said.contains("lock_timeout, statement_timeout"),
        "{said}"
    );
    db.run(
        "SELECT migrate.apply($d$-- migrate:revision 1
        SET check_function_bodies = off;
        CREATE FUNCTION later() RETURNS int LANGUAGE sql AS 'SELECT n FROM not_yet';
        RESET check_function_bodies;
        CREATE TABLE not_yet (n int)$d$)",
    );
    assert_eq!(db.rows("SELECT state FROM migrate.status"), [["applied"]]);
    assert_eq!(
        db.one::<String>("SELECT current_setting('check_function_bodies')"),
        "on"
    );
    let failure = db.error(
        "SELECT migrate.apply($d$-- migrate:revision 2 after 1
        CREATE FUNCTION never() RETURNS int LANGUAGE sql AS 'SELECT n FROM nowhere'$d$)",
    );
    assert_eq!(failure.sqlstate, "42P01", "{failure}");
}
