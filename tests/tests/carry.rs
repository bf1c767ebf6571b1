//! What a type change carries from the old column to the new one, and gives back on the way back.

use pg_migrate_tests::{Db, cluster};

fn docs() -> Db {
    let db = cluster().database();
    db.run(
        "CREATE TABLE docs (id bigint PRIMARY KEY, body text NOT NULL);
         INSERT INTO docs SELECT g, g::text FROM generate_series(1, 500) g;
         ANALYZE docs",
    );
    db
}

#[track_caller]
fn apply(db: &Db, up: &str) {
    db.run(&format!(
        "SELECT migrate.apply($document$-- migrate:revision 1\n-- migrate:up\n{up}$document$)"
    ));
    db.run("CALL migrate.upgrade()");
}

fn object(db: &Db, name: &str) -> String {
    db.one(&format!(
        "SELECT coalesce(string_agg(definition, ''), 'no such object') FROM migrate.fingerprint() WHERE object = '{name}'"
    ))
}

fn schema(db: &Db) -> Vec<Vec<String>> {
    db.rows("SELECT object, definition FROM migrate.fingerprint() ORDER BY 1")
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "\"{part}\" is missing in: {text}");
    }
}

const RETYPE: &str = "ALTER TABLE docs ALTER COLUMN body TYPE varchar(40)";

#[test]
fn a_type_change_carries_the_columns_settings() {
    let db = docs();
    db.run(
        "CREATE ROLE carry_body_reader;
         ALTER TABLE docs ALTER COLUMN body SET STATISTICS 500, ALTER COLUMN body SET STORAGE EXTERNAL,
            ALTER COLUMN body SET COMPRESSION pglz, ALTER COLUMN body SET (n_distinct = -0.5, n_distinct_inherited = 7);
         COMMENT ON COLUMN docs.body IS 'the text''s text';
         GRANT SELECT (body), UPDATE (body) ON docs TO carry_body_reader",
    );
    let before = schema(&db);
    let settings = [
        "position 2",
        "not null",
        "storage e",
        "compression p",
        "statistics 500",
        "options n_distinct=-0.5 n_distinct_inherited=7",
        "carry_body_reader=rw",
        "the text's text",
    ];
    has(&object(&db, "column public.docs.body"), &settings);

    apply(&db, RETYPE);
    db.run("CALL migrate.contract('1')");
    let body = object(&db, "column public.docs.body");
    has(&body, &settings);
    has(&body, &["character varying(40)"]);

    db.run("CALL migrate.downgrade('base')");
    assert_eq!(schema(&db), before);
}

#[test]
fn what_the_new_type_cannot_have_comes_back_with_the_old_one() {
    let db = docs();
    db.run(
        "ALTER TABLE docs ALTER COLUMN body SET STORAGE EXTERNAL, ALTER COLUMN body SET STATISTICS 9,
            ALTER COLUMN body SET COMPRESSION pglz",
    );
    let before = schema(&db);
    apply(
        &db,
        "ALTER TABLE docs ALTER COLUMN body TYPE integer USING body::integer",
    );
    db.run("CALL migrate.contract('1')");
    let body = object(&db, "column public.docs.body");
    has(&body, &["integer", "storage p", "statistics 9"]);
    assert!(!body.contains("compression"), "{body}");
    db.run("CALL migrate.downgrade('base')");
    assert_eq!(schema(&db), before);
}

#[test]
fn a_type_change_carries_comments_and_marks_of_indexes_and_constraints() {
    let db = docs();
    db.run(
        "CREATE UNIQUE INDEX docs_body ON docs (body);
         CREATE INDEX docs_lower ON docs (lower(body));
         ALTER TABLE docs ADD CONSTRAINT docs_unique UNIQUE (body, id), ADD CONSTRAINT docs_short CHECK (length(body) < 40);
         COMMENT ON INDEX docs_lower IS 'for search';
         COMMENT ON INDEX docs_unique IS 'one each';
         COMMENT ON CONSTRAINT docs_unique ON docs IS 'as it was agreed';
         COMMENT ON CONSTRAINT docs_short ON docs IS 'it is printed';
         ALTER TABLE docs CLUSTER ON docs_lower;
         ALTER TABLE docs REPLICA IDENTITY USING INDEX docs_body",
    );
    let before = schema(&db);
    apply(&db, RETYPE);
    db.run("CALL migrate.contract('1')");
    has(
        &object(&db, "index public.docs_lower"),
        &["clustered", "comment for search"],
    );
    has(
        &object(&db, "index public.docs_unique"),
        &["comment one each"],
    );
    has(
        &object(&db, "index public.docs_body"),
        &["replica identity"],
    );
    has(&object(&db, "table public.docs"), &["replica identity i"]);
    has(
        &object(&db, "constraint docs_unique on public.docs"),
        &["comment as it was agreed"],
    );
    has(
        &object(&db, "constraint docs_short on public.docs"),
        &["comment it is printed"],
    );
    db.run("CALL migrate.downgrade('base')");
    assert_eq!(schema(&db), before);
}

#[test]
fn a_comment_given_with_the_type_change_is_the_new_ones() {
    let db = docs();
    db.run("COMMENT ON COLUMN docs.body IS 'old'");
    let before = schema(&db);
    db.run(
        r#"SELECT migrate.apply('{"revision": "1", "operations": [{"alter_column":
            {"table": "docs", "column": "body", "type": "varchar(40)", "comment": "new"}}]}')"#,
    );
    db.run("CALL migrate.upgrade()");
    db.run("CALL migrate.contract('1')");
    has(&object(&db, "column public.docs.body"), &["comment new"]);
    db.run("CALL migrate.downgrade('base')");
    assert_eq!(schema(&db), before);
}

#[test]
fn a_default_and_a_comment_around_the_type_change_are_the_new_columns() {
    let db = docs();
    db.run("COMMENT ON COLUMN docs.body IS 'old'");
    let before = schema(&db);
    apply(
        &db,
        "ALTER TABLE docs ALTER COLUMN body SET DEFAULT 'none';
         ALTER TABLE docs ALTER COLUMN body TYPE varchar(40);
         COMMENT ON COLUMN docs.body IS 'new';
         ALTER TABLE docs ALTER COLUMN body DROP NOT NULL",
    );
    db.run("CALL migrate.contract('1')");
    let body = object(&db, "column public.docs.body");
    has(&body, &["'none'", "comment new"]);
    assert!(!body.contains("not null"), "{body}");
    db.run("CALL migrate.downgrade('base')");
    assert_eq!(schema(&db), before);
    let db = docs();
    apply(
        &db,
        "ALTER TABLE docs ALTER COLUMN body TYPE integer USING body::integer;
         ALTER TABLE docs ALTER COLUMN body SET DEFAULT 7 * 6",
    );
    db.run("CALL migrate.contract('1')");
    has(&object(&db, "column public.docs.body"), &["7 * 6"]);
}

#[test]
fn a_second_type_is_a_migration_of_its_own() {
    let db = docs();
    let before = schema(&db);
    let failure = db.error(&format!(
        "SELECT migrate.apply($document$-- migrate:revision 1\n{RETYPE}; ALTER TABLE docs ALTER COLUMN body TYPE varchar(50)$document$)"
    ));
    assert_eq!(failure.sqlstate, "0A000", "{failure}");
    assert!(failure.hint.contains("migration of its own"), "{failure}");
    assert_eq!(schema(&db), before);
}

#[test]
fn what_is_built_on_the_column_after_its_type_changes_is_on_the_new_one() {
    for (then, made) in [
        (
            "ALTER TABLE docs ADD CONSTRAINT one UNIQUE (body)",
            "constraint one on public.docs",
        ),
        ("CREATE INDEX one ON docs (lower(body))", "index public.one"),
        (
            "CREATE INDEX one ON docs (id) WHERE body > 'x'",
            "index public.one",
        ),
        // Another column's.
        ("CREATE INDEX one ON docs (id)", "index public.one"),
    ] {
        let db = docs();
        let before = schema(&db);
        apply(&db, &format!("{RETYPE}; {then}"));
        db.run("CALL migrate.contract('1')");
        assert_ne!(object(&db, made), "no such object", "{then}");
        db.run("CALL migrate.downgrade('base')");
        assert_eq!(schema(&db), before, "{then}");
    }
}
