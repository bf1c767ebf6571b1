//! SQL scripts: what they are split into, that the schema ends as PostgreSQL itself would have
//! left it, and what is said of scripts that cannot be read.

use pg_migrate_tests::{Db, Failure, cluster};

const FIXTURE: &str = r#"
    CREATE SCHEMA app;
    CREATE TABLE teams (id bigint PRIMARY KEY, "Code, x" text UNIQUE);
    CREATE TABLE users (id bigint PRIMARY KEY, username text, "Age, y" int DEFAULT 1, note text, team bigint);
    CREATE TABLE app."Order" (id int PRIMARY KEY, n int);
    CREATE INDEX users_note_idx ON users (note);
    ALTER TABLE users ADD CONSTRAINT aged CHECK ("Age, y" > 0);
    INSERT INTO teams VALUES (1, 'a'), (2, 'b');
    INSERT INTO users SELECT g, 'user-' || g, g, '17', 1 + g % 2 FROM generate_series(1, 500) g;
    INSERT INTO app."Order" SELECT g, g FROM generate_series(1, 500) g;
"#;

fn bench() -> Db {
    let db = cluster().database();
    db.run(FIXTURE);
    db
}

fn document(revision: &str, script: &str) -> String {
    format!("-- migrate:revision {revision}\n-- migrate:up\n{script}")
}

fn literal(text: &str) -> String {
    format!("$document${text}$document$")
}

#[track_caller]
fn apply(db: &Db, revision: &str, after: &str, script: &str) {
    let text = literal(&document(&format!("{revision}{after}"), script));
    db.run(&format!("SELECT migrate.apply({text})"));
    db.run("CALL migrate.upgrade()");
    let expanded = db.rows(&format!(
        "SELECT 1 FROM migrate.revision WHERE revision = '{revision}' AND state = 'expanded'"
    ));
    if !expanded.is_empty() {
        db.run(&format!("CALL migrate.contract('{revision}')"));
    }
}

/// Everything but the order of columns, which a column that is made anew cannot keep.
fn schema(db: &Db) -> Vec<Vec<String>> {
    db.rows(
        r"SELECT object, pg_catalog.regexp_replace(definition, 'position \d+, ', '')
              FROM migrate.fingerprint() ORDER BY 1, 2",
    )
}

/// The kinds and the SQL of the plan's steps.
fn plan(db: &Db, script: &str) -> Vec<String> {
    let text = literal(&document("1", script));
    db.rows(&format!(
        "SELECT sql FROM migrate.plan({text}) ORDER BY step"
    ))
    .into_iter()
    .map(|mut row| row.remove(0))
    .collect()
}

fn refused(db: &Db, script: &str) -> Failure {
    let text = literal(&document("1", script));
    db.error(&format!("SELECT * FROM migrate.plan({text})"))
}

/// Both databases start the same; one runs the script itself, the other migrates by it.
#[track_caller]
fn ends_the_same(scripts: &[&str]) {
    let (plain, migrated) = (bench(), bench());
    for (number, script) in scripts.iter().enumerate() {
        plain.run(script);
        let after = number
            .checked_sub(1)
            .map(|last| format!(" after r{last}"))
            .unwrap_or_default();
        apply(&migrated, &format!("r{number}"), &after, script);
        let (wanted, found) = (schema(&plain), schema(&migrated));
        let differ: Vec<_> = wanted
            .iter()
            .filter(|row| !found.contains(row))
            .map(|row| format!("- {row:?}"))
            .chain(
                found
                    .iter()
                    .filter(|row| !wanted.contains(row))
                    .map(|row| format!("+ {row:?}")),
            )
            .collect();
        assert!(differ.is_empty(), "{script}\n{}", differ.join("\n"));
    }
}

#[test]
fn constraints_and_indexes_end_as_postgresql_would_name_them() {
    ends_the_same(&[
        r#"ALTER TABLE users ADD CHECK (id > 0), ADD CHECK (id > team - 10), ADD UNIQUE (username, "Age, y"),
               ADD FOREIGN KEY (team) REFERENCES teams, ADD CONSTRAINT "N, o" CHECK (note <> 'a, b')"#,
        r#"CREATE INDEX ON users (lower(username), "Age, y" DESC NULLS LAST) INCLUDE (note) WHERE id > 1"#,
        r#"CREATE UNIQUE INDEX "Two" ON app."Order" USING btree (n, (id + 1)) WITH (fillfactor = 70)"#,
        r#"ALTER TABLE app."Order" ADD FOREIGN KEY (n) REFERENCES users (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED"#,
        "CREATE INDEX ON users (id, id, (id + 1), coalesce(note, 'x'), (note::varchar), (CASE WHEN id > 1 THEN note ELSE username END),
             nullif(id, 1), greatest(id, 2), (note COLLATE \"C\"), (ARRAY[id]))",
        r#"CREATE TABLE a_table_with_a_name_that_goes_on_for_quite_a_while (a_column_with_a_name_that_goes_on_as_well bigint,
               "größe und noch viel länger als es sein müsste äöüäöü" bigint, n int CHECK (n > 0), CHECK (n < 9))"#,
        r#"ALTER TABLE a_table_with_a_name_that_goes_on_for_quite_a_while
               ADD UNIQUE (a_column_with_a_name_that_goes_on_as_well, n), ADD CHECK (a_column_with_a_name_that_goes_on_as_well > 0),
               ADD FOREIGN KEY ("größe und noch viel länger als es sein müsste äöüäöü") REFERENCES users,
               ADD FOREIGN KEY ("größe und noch viel länger als es sein müsste äöüäöü") REFERENCES teams"#,
        "CREATE INDEX ON a_table_with_a_name_that_goes_on_for_quite_a_while (a_column_with_a_name_that_goes_on_as_well, n)",
        "DROP INDEX users_note_idx; ALTER TABLE users DROP CONSTRAINT aged",
    ]);
}

#[test]
fn columns_end_as_written() {
    ends_the_same(&[
        "ALTER TABLE users ADD COLUMN a numeric(10,2) DEFAULT 1.5 NOT NULL CHECK (a > 0), ADD b text DEFAULT ('x, ' || 'y')",
        "ALTER TABLE users ADD COLUMN lead bigint REFERENCES users (id) ON DELETE SET NULL, ADD code int UNIQUE",
        "ALTER TABLE users ADD c timestamp(3) with time zone[] NULL, ADD IF NOT EXISTS a int",
        r#"ALTER TABLE users ALTER "Age, y" SET DEFAULT 2 + 3, ALTER username SET NOT NULL, ALTER COLUMN team SET STATISTICS 50"#,
        r#"ALTER TABLE users ALTER "Age, y" DROP DEFAULT, ALTER username DROP NOT NULL"#,
        r#"ALTER TABLE app."Order" ALTER n TYPE bigint"#,
        "ALTER TABLE users ALTER note TYPE int USING (note::int + 1)",
        "ALTER TABLE users ALTER username TYPE varchar(40) COLLATE \"C\" USING lower(username), ALTER username SET DEFAULT 'x', ALTER username SET NOT NULL",
        r#"ALTER TABLE users ADD d varchar(20) COLLATE "C" DEFAULT 'y', ADD e text COLLATE "POSIX""#,
        r#"ALTER TABLE users RENAME COLUMN "Age, y" TO "Full, age""#,
    ]);
}

/// Names that PostgreSQL derives from a column are those of the name it was added with.
#[test]
fn columns_that_are_renamed_at_once_end_as_written() {
    ends_the_same(&[
        "ALTER TABLE users ADD a bigserial; ALTER TABLE users RENAME a TO b",
        "ALTER TABLE users ADD COLUMN c int UNIQUE; ALTER TABLE users RENAME c TO cc",
        "ALTER TABLE users ADD COLUMN d int NOT NULL DEFAULT 3 CHECK (d > 0), ADD CHECK (d < team + 100), ADD FOREIGN KEY (team) REFERENCES teams;
         CREATE INDEX ON users (d, (d + 1)) INCLUDE (note) WHERE d > 1;
         ALTER TABLE users ALTER d SET DEFAULT 7;
         ALTER TABLE users RENAME d TO e;
         COMMENT ON COLUMN users.e IS 'renamed';
         ALTER TABLE users RENAME e TO \"F, g\";
         CREATE INDEX ON users (\"F, g\")",
        "ALTER TABLE users ADD COLUMN h uuid DEFAULT gen_random_uuid() NOT NULL; ALTER TABLE users RENAME h TO i",
        "ALTER TABLE users ADD COLUMN j int GENERATED BY DEFAULT AS IDENTITY (START WITH 5); ALTER TABLE users RENAME j TO k",
        "ALTER TABLE users ADD COLUMN l text; UPDATE users SET l = username WHERE l IS NULL; ALTER TABLE users ALTER l SET NOT NULL; ALTER TABLE users RENAME l TO m",
        "CREATE TABLE empty (id int); ALTER TABLE empty ADD n int UNIQUE; ALTER TABLE empty RENAME n TO o",
        "ALTER TABLE empty ADD p int DEFAULT 1 CHECK (p > 0); ALTER TABLE empty RENAME p TO q",
    ]);
}

/// Up, down and up again, with the schema compared at each turn; contracted on the way.
#[track_caller]
fn goes_every_way(script: &str) {
    let (plain, migrated) = (bench(), bench());
    plain.run(script);
    let (before, wanted) = (schema(&migrated), schema(&plain));
    let text = literal(&document("1", script));
    let rehearsed = migrated.rows(&format!("SELECT * FROM migrate.test({text})"));
    assert!(rehearsed.is_empty(), "{rehearsed:#?}");
    apply(&migrated, "1", "", script);
    assert_eq!(schema(&migrated), wanted, "up");
    migrated.run("CALL migrate.downgrade('base')");
    assert_eq!(schema(&migrated), before, "down");
    migrated.run("CALL migrate.upgrade()");
    assert_eq!(schema(&migrated), wanted, "up again");
}

const SHOP: &str = "CREATE SCHEMA shop;
    CREATE SCHEMA \"The Rest\";
    SET search_path = shop, \"The Rest\", public;
    CREATE TYPE mood AS ENUM ('sad', 'glad');
    CREATE TABLE goods (id int PRIMARY KEY, name text, team bigint REFERENCES teams (id), m mood DEFAULT 'sad');
    CREATE TABLE users (id int PRIMARY KEY, good int REFERENCES goods);
    CREATE INDEX ON goods (lower(name));
    CREATE SEQUENCE numbers;
    CREATE VIEW names AS SELECT name FROM goods;
    CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
    ALTER TABLE goods ADD COLUMN price int NOT NULL DEFAULT 1;
    ALTER TABLE goods RENAME COLUMN price TO cents;
    INSERT INTO goods (id, name) VALUES (1, 'one');
    COMMENT ON TABLE goods IS 'for sale'";

/// A script may make the schema that its search_path names.
#[test]
fn a_schema_and_what_is_in_it() {
    goes_every_way(SHOP);
    // In psql, as the plan prints it.
    let db = bench();
    let script = db
        .rows(&format!(
            "SELECT migrate.plan_sql({})",
            literal(&document("1", SHOP))
        ))
        .concat();
    db.psql(&script.join(";\n"));
    assert_eq!(db.one::<i64>("SELECT count(*) FROM shop.goods"), 1);
    let failure = refused(
        &db,
        "CREATE SCHEMA a; SET search_path = a; CREATE TABLE t (id int); SET search_path = public; CREATE TABLE u (id int)",
    );
    assert_eq!(failure.message, "search_path cannot be set by a migration");
    let failure = refused(
        &db,
        "SET search_path = app; CREATE TABLE t (id int); RESET search_path; CREATE TABLE u (id int)",
    );
    assert!(
        failure.message.contains("another search_path") && !failure.hint.is_empty(),
        "{failure}"
    );
    plan(
        &db,
        "SET search_path = app; CREATE TABLE t (id int); RESET search_path",
    );
}

#[test]
fn tables_and_other_objects_end_as_written() {
    ends_the_same(&[
        r#"CREATE TABLE items (
               FOREIGN KEY (team) REFERENCES teams, -- first, with a comma
               id bigint PRIMARY KEY,
               team bigint /* ), */ CONSTRAINT t REFERENCES teams (id) ON DELETE CASCADE,
               parent bigint REFERENCES items (id),
               code text REFERENCES teams ("Code, x") MATCH FULL NOT NULL,
               CHECK (id > 0)
           );
           CREATE INDEX ON items (team);
           CREATE FUNCTION app.f(a int DEFAULT 1, b text = 'x, y') RETURNS int LANGUAGE sql AS $$ SELECT 1; $$;
           CREATE VIEW v AS SELECT id FROM users;
           CREATE TYPE mood AS ENUM ('a;b', 'c');
           COMMENT ON TABLE items IS 'x; y'"#,
        "CREATE TABLE IF NOT EXISTS items (id int)",
        "ALTER TABLE teams RENAME TO \"Groups\"",
    ]);
}

#[test]
fn an_update_becomes_a_backfill_unless_it_must_run_once() {
    let db = bench();
    apply(
        &db,
        "1",
        "",
        r#"UPDATE users SET note = username || ', x', team = (SELECT min(t.id) FROM teams t) WHERE users.id > 10"#,
    );
    let kinds = db.rows("SELECT kind FROM migrate.step WHERE revision = '1'");
    assert_eq!(kinds, [["backfill"]]);
    let wrong: i64 = db.one(
        "SELECT count(*) FROM users WHERE (note = username || ', x' AND team = 1) <> (id > 10) AND team <> 1",
    );
    assert_eq!(wrong, 0);
    apply(&db, "2", " after 1", r#"UPDATE app."Order" SET n = n + 1"#);
    let wrong: i64 = db.one(r#"SELECT count(*) FROM app."Order" WHERE n <> id + 1"#);
    assert_eq!(wrong, 0, "counted twice");
    for (script, kind) in [
        ("UPDATE users SET note = now()::text", "ddl"),
        (
            "UPDATE users SET note = CURRENT_DATE::text WHERE id < 5",
            "ddl",
        ),
        (
            "UPDATE users SET note = gen_random_uuid()::text WHERE note IS NULL",
            "backfill",
        ),
        ("UPDATE users SET note = CURRENT_USER", "backfill"),
        ("UPDATE users SET note = upper(note)", "ddl"),
        (
            "UPDATE users SET note = t.note FROM users t WHERE t.id = users.id",
            "ddl",
        ),
        ("UPDATE users u SET note = 'a'", "ddl"),
        ("UPDATE users SET (note, team) = ('a', 1)", "ddl"),
    ] {
        let text = literal(&document("3 after 2", script));
        let kinds = db.rows(&format!("SELECT kind FROM migrate.plan({text})"));
        assert_eq!(kinds, [[kind]], "{script}");
    }
}

#[test]
fn as_written_and_immediately_do_what_they_say() {
    let db = bench();
    let steps = plan(
        &db,
        "-- migrate:as-written\nCREATE INDEX i ON users (note);\nCREATE INDEX j ON users (note);",
    );
    assert_eq!(steps[0], "CREATE INDEX i ON users (note)");
    assert!(
        steps[1].starts_with("CREATE INDEX CONCURRENTLY j"),
        "{steps:?}"
    );
    let steps = plan(&db, "-- migrate:immediately\nDROP TABLE app.\"Order\"");
    assert_eq!(steps, ["DROP TABLE app.\"Order\""]);
    let failure = refused(&db, "-- migrate:immediately\nSELECT 1");
    assert_eq!(
        failure.message,
        "-- migrate:immediately means nothing for this statement"
    );
}

#[test]
fn a_syntax_error_has_its_place() {
    let failure = refused(
        &bench(),
        "SELECT 'größe';\nALTER TABLE users ADD COLUM é int x;\n",
    );
    assert_eq!(failure.sqlstate, "42601");
    assert_eq!(failure.message, "syntax error at or near \"int\"");
    assert_eq!(
        failure.detail,
        "Line 4, column 31:\nALTER TABLE users ADD COLUM é int x;\n                              ^"
    );
}

#[test]
fn what_cannot_be_part_of_a_script_is_named() {
    let db = bench();
    for (script, message) in [
        (
            "BEGIN;\nSELECT 1;\nCOMMIT;\nSELECT 2;",
            "BEGIN cannot be part of a migration",
        ),
        (
            "START TRANSACTION;",
            "START TRANSACTION cannot be part of a migration",
        ),
        ("SAVEPOINT a;", "SAVEPOINT cannot be part of a migration"),
        (
            "\\set x 1\nSELECT 1;",
            "a psql command cannot be part of a migration",
        ),
        (
            "SELECT 1 \\gset\n",
            "a psql command cannot be part of a migration",
        ),
        (
            "COPY users (id) FROM stdin;\n1\n2\n\\.\n",
            "COPY FROM STDIN cannot be part of a migration",
        ),
        (
            "COPY users FROM STDIN;",
            "COPY FROM STDIN cannot be part of a migration",
        ),
        (
            "DROP TABLE users CASCADE;",
            "DROP TABLE with CASCADE is not done: it would drop what the script does not name",
        ),
        (
            "ALTER TABLE users DROP COLUMN note CASCADE;",
            "DROP COLUMN with CASCADE is not done: it would drop what the script does not name",
        ),
    ] {
        let failure = refused(&db, script);
        assert_eq!(failure.message, message, "{script}");
        assert!(!failure.hint.is_empty(), "{script}");
        let detail = failure.detail;
        assert!(
            detail.to_lowercase().contains("line 3"),
            "{script}: {detail}"
        );
    }
}

#[test]
fn a_comment_has_the_one_before_as_its_way_back() {
    let db = cluster().database();
    db.run(
        r#"CREATE TABLE docs (id bigint PRIMARY KEY, "The body" text, n int CONSTRAINT positive CHECK (n > 0));
           INSERT INTO docs VALUES (1, 'x', 1);
           CREATE INDEX docs_n ON docs (n);
           CREATE VIEW v AS SELECT id FROM docs;
           COMMENT ON TABLE docs IS 'old''s';
           COMMENT ON COLUMN docs."The body" IS 'old body';
           COMMENT ON INDEX docs_n IS 'old index';
           COMMENT ON CONSTRAINT positive ON docs IS 'old constraint'"#,
    );
    let schema = || db.rows("SELECT object, definition FROM migrate.fingerprint() ORDER BY 1");
    let before = schema();
    let script = r#"-- migrate:revision 1
        COMMENT ON TABLE docs IS 'new';
        COMMENT ON COLUMN public.docs."The body" IS NULL;
        COMMENT ON COLUMN docs.n IS 'new n';
        COMMENT ON INDEX docs_n IS 'new index';
        COMMENT ON CONSTRAINT positive ON docs IS 'new constraint';
        CREATE TABLE more (id int);
        COMMENT ON TABLE more IS 'mine';
        COMMENT ON COLUMN more.id IS 'mine too';
        CREATE INDEX docs_body ON docs ("The body");
        COMMENT ON INDEX docs_body IS 'made here'"#;
    db.run(&format!("SELECT migrate.apply($d${script}$d$)"));
    db.run("CALL migrate.upgrade()");
    assert_eq!(db.rows("SELECT state FROM migrate.status"), [["applied"]]);
    let comments = db.rows(
        "SELECT obj_description('docs'::regclass), col_description('docs'::regclass, 2), col_description('docs'::regclass, 3),
                obj_description('docs_n'::regclass), obj_description('docs_body'::regclass), obj_description('more'::regclass),
                col_description('more'::regclass, 1)",
    );
    assert_eq!(
        comments,
        [[
            "new",
            "NULL",
            "new n",
            "new index",
            "made here",
            "mine",
            "mine too"
        ]]
    );
    db.run("CALL migrate.downgrade('base')");
    assert_eq!(schema(), before);
}
