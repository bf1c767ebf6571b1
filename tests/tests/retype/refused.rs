//! What cannot be carried is named before anything runs, with the way out.

use super::{database, migrate, refused, same, schema};

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, c int NOT NULL DEFAULT 1, d int);
    INSERT INTO t SELECT g, g FROM generate_series(1, 50) g;";

#[test]
fn obstacles_are_named() {
    let change = "ALTER TABLE t ALTER COLUMN c TYPE bigint";
    for (setup, change, named) in [
        (
            "CREATE MATERIALIZED VIEW m AS SELECT c FROM t",
            change,
            "materialized view public.m",
        ),
        (
            "CREATE VIEW v AS SELECT c FROM t; CREATE MATERIALIZED VIEW m AS SELECT * FROM v",
            change,
            "materialized view public.m",
        ),
        (
            "ALTER TABLE t ADD g int GENERATED ALWAYS AS (c * 2) STORED",
            change,
            "generated column",
        ),
        (
            "CREATE VIEW v AS SELECT c FROM t; CREATE FUNCTION f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM v; END",
            change,
            "function public.f()",
        ),
        (
            "CREATE VIEW v AS SELECT c FROM t; CREATE TABLE rows_of (r v)",
            change,
            "table public.rows_of",
        ),
        (
            "CREATE EXTENSION btree_gist; ALTER TABLE t ADD CONSTRAINT x EXCLUDE USING gist (c WITH =, d WITH =)",
            change,
            "exclusion constraint x",
        ),
        (
            "CREATE VIEW v AS SELECT c FROM t; CREATE FUNCTION of_row(v) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            change,
            "function public.of_row(public.v)",
        ),
        (
            "CREATE TABLE r (a int DEFAULT 1 REFERENCES t ON DELETE SET DEFAULT); INSERT INTO r VALUES (2)",
            "ALTER TABLE r ALTER a TYPE bigint",
            "r_a_fkey",
        ),
        (
            "CREATE TABLE r (a int REFERENCES t)",
            "ALTER TABLE t ALTER id TYPE text",
            "r_a_fkey",
        ),
        (
            "CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2'; CREATE VIEW v AS SELECT id, twice(c) AS d FROM t; CREATE VIEW w AS SELECT * FROM v",
            change,
            "view public.v (function public.twice(bigint) does not exist)",
        ),
        (
            "CREATE FUNCTION twice(int) RETURNS bool LANGUAGE sql AS 'SELECT $1 > 2'; CREATE POLICY big ON t USING (twice(c))",
            change,
            "policy big on table public.t (function public.twice(bigint) does not exist)",
        ),
        (
            "CREATE FUNCTION c_of() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT c FROM t; END",
            "ALTER TABLE t ALTER c TYPE text",
            "function public.c_of()",
        ),
        (
            "CREATE TABLE s (id int GENERATED ALWAYS AS IDENTITY, n int); INSERT INTO s (n) VALUES (1)",
            "ALTER TABLE s ALTER id TYPE numeric",
            "identity",
        ),
        (
            "CREATE TABLE s (id int GENERATED ALWAYS AS IDENTITY, n int); INSERT INTO s (n) VALUES (1); CREATE TABLE u (n int DEFAULT nextval('s_id_seq'))",
            "ALTER TABLE s ALTER id TYPE bigint",
            "sequence public.s_id_seq",
        ),
        (
            "ALTER TABLE t ADD CHECK (c & 1 < 2)",
            "ALTER TABLE t ALTER c TYPE text",
            "constraint t_c_check",
        ),
        (
            "CREATE TABLE p (k int, v int) PARTITION BY RANGE (k); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9); INSERT INTO p VALUES (1, 1)",
            "ALTER TABLE p ALTER k TYPE bigint",
            "partition key",
        ),
        (
            "CREATE TYPE row_type AS (a int, b int); CREATE TABLE typed OF row_type; INSERT INTO typed VALUES (1, 1)",
            "ALTER TABLE typed ALTER a TYPE bigint",
            "type public.row_type",
        ),
        (
            "CREATE TABLE parent (a int); CREATE TABLE child () INHERITS (parent); INSERT INTO child VALUES (1)",
            "ALTER TABLE child ALTER a TYPE bigint",
            "parent",
        ),
    ] {
        let db = database(&format!("{TABLE}{setup}"));
        let before = schema(&db);
        let failure = refused(&db, change);
        assert_eq!(failure.sqlstate, "0A000", "{setup}: {failure}");
        assert!(
            failure.detail.contains(named),
            "{setup}: {named} is not in {failure}"
        );
        assert!(!failure.hint.is_empty(), "{failure}");
        same(&before, &schema(&db));
    }
}

#[test]
fn an_inheritance_parent_is_refused() {
    let db = database(
        "CREATE TABLE parent (a int); CREATE TABLE child () INHERITS (parent); INSERT INTO parent VALUES (1)",
    );
    let failure = refused(&db, "ALTER TABLE parent ALTER a TYPE bigint");
    assert_eq!(failure.sqlstate, "0A000", "{failure}");
    assert!(failure.message.contains("inherit"), "{failure}");
}

#[test]
fn views_of_others_and_tables_of_others_are_named() {
    let db = database(&format!(
        "{TABLE} CREATE ROLE refused_owner LOGIN; CREATE ROLE refused_other;
         GRANT CREATE, USAGE ON SCHEMA public TO refused_owner, refused_other; SELECT migrate.grant_to('refused_owner');
         ALTER TABLE t OWNER TO refused_owner; GRANT SELECT, REFERENCES ON t TO refused_other;
         CREATE VIEW v AS SELECT c FROM t; ALTER VIEW v OWNER TO refused_other;
         CREATE TABLE r (a int REFERENCES t (id)); ALTER TABLE r OWNER TO refused_other"
    ));
    for (change, named) in [
        ("ALTER TABLE t ALTER c TYPE bigint", "view public.v"),
        ("ALTER TABLE t ALTER id TYPE bigint", "r_a_fkey"),
    ] {
        let failure = db.error_as(
            "refused_owner",
            &format!("SELECT * FROM migrate.plan('{change}')"),
        );
        assert!(failure.detail.contains(named), "{failure}");
        assert!(failure.detail.contains("refused_other"), "{failure}");
    }
}

#[test]
fn what_two_migrations_would_both_carry_is_refused() {
    let db = database(&format!(
        "{TABLE} CREATE INDEX both_of ON t (c, d); ALTER TABLE t ADD CONSTRAINT sum CHECK (c + d > 0)"
    ));
    super::apply(&db, "1", "ALTER TABLE t ALTER c TYPE bigint");
    db.run("CALL migrate.upgrade()");
    let failure = db.error(&super::document(
        "2",
        "1",
        "ALTER TABLE t ALTER d TYPE bigint",
    ));
    assert_eq!(failure.sqlstate, "0A000", "{failure}");
    assert!(failure.detail.contains("both_of"), "{failure}");
    assert!(failure.hint.contains("in one migration"), "{failure}");
}

#[test]
fn values_that_do_not_fit_on_the_way_back_are_kept_and_named() {
    let db = database(TABLE);
    migrate(&db, "1", "ALTER TABLE t ALTER COLUMN c TYPE bigint");
    db.run("UPDATE t SET c = 3000000000 WHERE id = 7");
    let before: i64 = db.one("SELECT sum(c)::bigint FROM t");
    let failure = db.error("CALL migrate.downgrade('base')");
    assert!(
        failure.message.contains("row") || failure.detail.contains("row"),
        "{failure}"
    );
    assert_eq!(db.one::<i64>("SELECT sum(c)::bigint FROM t"), before);
    assert_eq!(db.one::<i64>("SELECT count(*) FROM migrate.quarantine"), 1);
    // Made to fit, it goes on.
    db.run("UPDATE t SET c = 7 WHERE id = 7");
    db.run("CALL migrate.downgrade('base')");
    assert_eq!(
        db.one::<String>("SELECT pg_typeof(c)::text FROM t LIMIT 1"),
        "integer"
    );
}

#[test]
fn an_identity_that_has_gone_too_far_cannot_go_back() {
    let db = database(
        "CREATE TABLE s (id int GENERATED BY DEFAULT AS IDENTITY, n int); INSERT INTO s (n) SELECT 1 FROM generate_series(1, 10)",
    );
    migrate(&db, "1", "ALTER TABLE s ALTER COLUMN id TYPE bigint");
    db.run("SELECT setval('s_id_seq', 3000000000)");
    let failure = db.error("CALL migrate.downgrade('base')");
    assert!(failure.detail.contains("s_id_seq"), "{failure}");
    assert_eq!(db.one::<i64>("SELECT count(*) FROM s"), 10);
}
