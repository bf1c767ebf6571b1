//! Operations of one document that build on each other.

use super::{document, finish, object, plan, same, schema, shop, turns, up};

const ROOMS: &str = r#"{"create_table": {"name": "rooms", "columns": [{"name": "id", "type": "bigint", "pk": true},
    {"name": "name", "type": "text", "unique": true}, {"name": "owner", "type": "int", "nullable": true},
    {"name": "size", "type": "int", "default": "1", "check": {"name": "sized", "constraint": "size > 0"}}]}}"#;

#[test]
fn what_follows_a_new_table() {
    for then in [
        r#"{"create_index": {"name": "rooms_owner", "table": "rooms", "columns": ["owner"]}}, {"drop_index": {"name": "rooms_owner"}}"#,
        r#"{"create_index": {"name": "rooms_owner", "table": "rooms", "columns": ["owner"], "unique": true}}"#,
        r#"{"create_constraint": {"name": "f", "table": "rooms", "type": "foreign_key", "columns": ["owner"], "references": {"table": "owners", "columns": ["id"]}}}"#,
        r#"{"create_constraint": {"name": "x", "table": "rooms", "type": "exclude", "exclude": {"elements": "owner WITH ="}}}"#,
        r#"{"create_constraint": {"name": "k", "table": "rooms", "type": "check", "check": "owner > 0"}}, {"drop_constraint": {"table": "rooms", "name": "k"}}"#,
        r#"{"drop_constraint": {"table": "rooms", "name": "sized"}}, {"drop_constraint": {"table": "rooms", "name": "rooms_pkey"}}"#,
        r#"{"rename_constraint": {"table": "rooms", "from": "sized", "to": "big"}}, {"rename_constraint": {"table": "rooms", "from": "rooms_name_key", "to": "named"}}"#,
        r#"{"add_column": {"table": "rooms", "up": "upper(name)", "column": {"name": "shout", "type": "text"}}}"#,
        r#"{"add_column": {"table": "rooms", "column": {"name": "extra", "type": "bigint", "generated": {"identity": {}}}}},
           {"create_index": {"name": "e", "table": "rooms", "columns": ["extra"]}}, {"drop_column": {"table": "rooms", "column": "extra"}}"#,
        r#"{"alter_column": {"table": "rooms", "column": "size", "type": "bigint", "up": "size", "down": "size::int"}}"#,
        r#"{"alter_column": {"table": "rooms", "column": "name", "type": "int", "nullable": true, "default": "7", "comment": "n",
            "check": {"name": "k", "constraint": "name > 1"}, "up": "SELECT length(name)", "down": "'x'"}}"#,
        r#"{"alter_column": {"table": "rooms", "column": "owner", "nullable": false, "up": "coalesce(owner, 1)"}}, {"set_not_null": {"table": "rooms", "column": "owner"}}"#,
        r#"{"rename_column": {"table": "rooms", "from": "name", "to": "title"}}, {"create_index": {"name": "t", "table": "rooms", "columns": ["title"]}}"#,
        r#"{"sql": {"up": "INSERT INTO rooms VALUES (1, 'a', 1, 1)", "down": "SELECT 1"}}, {"backfill": {"table": "rooms", "set": {"owner": "2"}}}"#,
        r#"{"set_replica_identity": {"table": "rooms", "identity": {"type": "index", "index": "rooms_name_key"}}}"#,
        r#"{"rename_table": {"from": "rooms", "to": "places"}}, {"create_index": {"name": "p", "table": "places", "columns": ["owner"]}}"#,
        r#"{"create_table": {"name": "beds", "columns": [{"name": "room", "type": "bigint", "references": {"name": "in_room", "table": "rooms", "column": "id"}}]}}"#,
        r#"{"drop_column": {"table": "rooms", "column": "owner"}}"#,
        r#"{"drop_table": {"name": "rooms"}}"#,
    ] {
        let db = shop();
        turns(&db, &format!("{ROOMS}, {then}"));
    }
}

#[test]
fn what_follows_a_new_column() {
    for then in [
        r#"{"create_index": {"name": "i", "table": "items", "columns": ["size"]}}"#,
        r#"{"create_constraint": {"name": "k", "table": "items", "type": "check", "check": "size > 0"}}"#,
        r#"{"create_constraint": {"name": "u", "table": "items", "type": "unique", "columns": ["id", "size"]}}, {"rename_constraint": {"table": "items", "from": "u", "to": "v"}}"#,
        r#"{"alter_column": {"table": "items", "column": "size", "default": "5", "comment": "c"}}"#,
        r#"{"backfill": {"table": "items", "set": {"qty": "size"}, "where": "qty <> size", "down": {"qty": "1"}}}"#,
        r#"{"add_column": {"table": "items", "up": "size + 1", "column": {"name": "bigger", "type": "int"}}}"#,
    ] {
        let db = shop();
        let add = r#"{"add_column": {"table": "items", "column": {"name": "size", "type": "int", "default": "1"}}}"#;
        turns(&db, &format!("{add}, {then}"));
    }
}

const CHANGE: &str = r#"{"alter_column": {"table": "items", "column": "note", "type": "varchar(90)", "up": "note", "down": "note"}}"#;

#[test]
fn what_was_said_of_a_column_before_its_type_changes_is_carried() {
    let db = shop();
    let first = r#"{"alter_column": {"table": "items", "column": "note", "default": "'d'", "comment": "c"}}"#;
    turns(&db, &format!("{first}, {CHANGE}"));
    let note = object(&db, "column public.items.note");
    assert!(
        note.contains("default 'd'") && note.contains("character varying(90)"),
        "{note}"
    );
}

/// It is built once, on the column that lasts, in whatever order the document has them.
#[test]
fn what_is_built_on_a_column_whose_type_changes_follows_it() {
    const INDEX: &str = r#"{"create_index": {"name": "i", "table": "items", "columns": ["note"], "predicate": "note <> 'x'"}}"#;
    const CHECK: &str = r#"{"create_constraint": {"name": "k", "table": "items", "type": "check", "check": "note <> 'x' OR qty > 0"}}"#;
    const UNIQUE: &str = r#"{"create_constraint": {"name": "u", "table": "items", "type": "unique", "columns": ["note", "id"]}}"#;
    const COLUMN: &str = r#"{"alter_column": {"table": "items", "column": "note", "check": {"name": "c", "constraint": "note <> 'y'"}}}"#;
    const OTHER: &str = r#"{"create_index": {"name": "j", "table": "owners", "columns": ["zip"]}}"#;
    for operations in [
        [INDEX, CHECK, OTHER, UNIQUE, COLUMN, CHANGE],
        [INDEX, CHECK, CHANGE, UNIQUE, COLUMN, OTHER],
        [CHANGE, INDEX, CHECK, UNIQUE, OTHER, COLUMN],
    ] {
        let db = shop();
        let operations = operations.join(", ");
        turns(&db, &operations);
        assert!(object(&db, "column public.items.note").contains("character varying(90)"));
        for (name, part) in [
            ("index public.i", "(note) WHERE ((note)::text <> 'x'::text)"),
            (
                "constraint k on public.items",
                "(note)::text <> 'x'::text) OR (qty > 0)",
            ),
            ("constraint u on public.items", "UNIQUE (note, id)"),
            ("constraint c on public.items", "(note)::text <> 'y'::text"),
        ] {
            let found = object(&db, name);
            assert!(found.contains(part), "{operations}: {found}");
        }
        let built = db.one::<i64>("SELECT count(*) FROM migrate.step WHERE direction = 'up' AND kind = 'concurrent' AND sql LIKE '% i ON %'");
        assert_eq!(built, 1, "{operations}");
    }
    // What stands between them keeps its place, and then they are two migrations.
    let db = shop();
    let between = r#"{"sql": {"up": "SELECT 1", "down": "SELECT 1"}}"#;
    let document = document(&format!("{INDEX}, {between}, {CHANGE}"));
    let failure = db.error(&format!(
        "SELECT migrate.plan($document${document}$document$)"
    ));
    assert!(
        failure.message.contains("used by an earlier operation"),
        "{failure}"
    );
}

/// Two columns of one table are filled in one pass, but not where one reads the other: it would read
/// what is not there yet, and what it makes of that would stay.
#[test]
fn a_column_that_reads_another_is_filled_after_it() {
    const LOUD: &str = r#"{"add_column": {"table": "items", "up": "upper(label)", "column": {"name": "loud", "type": "text", "nullable": true}}}"#;
    let told = |up: &str| {
        let db = shop();
        let told = format!(
            r#"{{"add_column": {{"table": "items", "up": "{up}", "column": {{"name": "told", "type": "text", "nullable": true}}}}}}"#
        );
        self::up(&db, &format!("{LOUD}, {told}"));
        let wrong = db.one::<i64>(
            "SELECT count(*) FROM items WHERE loud IS DISTINCT FROM upper(label) OR told IS DISTINCT FROM upper(label)",
        );
        assert_eq!(wrong, 0, "{up}");
        db.one::<bool>("SELECT (assignments ? 'told') FROM migrate.backfill ORDER BY job LIMIT 1")
    };
    assert!(!told("coalesce(loud, 'nothing')"));
    assert!(told("upper(label)"), "two passes where one would do");
}

#[test]
fn an_expression_that_cannot_be_read_yet_is_said_to_be() {
    let db = shop();
    let operations = r#"{"sql": {"up": "CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2'",
            "down": "DROP FUNCTION twice"}},
        {"add_column": {"table": "items", "up": "twice(qty)", "column": {"name": "double", "type": "int"}}}"#;
    let typed = r#"{"sql": {"up": "SELECT 1; CREATE TYPE mood AS ENUM ('good')", "down": "DROP TYPE mood"}},
        {"add_column": {"table": "items", "column": {"name": "mood", "type": "mood", "nullable": true}}}"#;
    let steps = plan(&db, typed);
    let warning = &steps.last().unwrap()[2];
    assert!(
        warning.contains("can only be checked when it runs: type mood"),
        "{warning}"
    );
    let steps = plan(&db, operations);
    let said: Vec<_> = steps
        .iter()
        .filter(|step| step[2].contains("can only be checked when it runs"))
        .collect();
    assert_eq!(said.len(), 1, "{steps:#?}");
    assert!(said[0][2].contains("twice(qty)"), "{said:#?}");
    let before = schema(&db);
    up(&db, operations);
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM items WHERE double = qty * 2"),
        300
    );
    db.run("CALL migrate.downgrade('base')");
    same("taken back", &before, &schema(&db));
    db.run("CALL migrate.upgrade()");
    finish(&db);
}

#[test]
fn a_version_schema_is_noticed() {
    let db = shop();
    let notices = db.notices(
        r#"SELECT migrate.apply('{"name": "1", "version_schema": "v1", "operations": [{"alter_column": {"table": "items", "column": "label", "comment": "x"}}]}')"#,
    );
    assert!(
        notices.iter().any(|text| text.contains("no schema \"v1\"")),
        "{notices:?}"
    );
    let warning: String = db.one(
        r#"SELECT warning FROM migrate.plan('{"name": "2", "version_schema": "v1", "operations": [{"alter_column": {"table": "items", "column": "label", "comment": "y"}}]}') ORDER BY step LIMIT 1"#,
    );
    assert!(warning.contains("v1"), "{warning}");
}
