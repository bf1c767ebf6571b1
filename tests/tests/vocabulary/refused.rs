//! What cannot be is refused before anything runs, with the field and the place.

use super::{document, same, schema, shop};

#[test]
fn bad_input_names_its_place() {
    let db = shop();
    db.run("ALTER TABLE items ADD CONSTRAINT pairing CHECK (qty >= 0 OR label IS NULL)");
    let before = schema(&db);
    for (operation, sqlstate, words) in [
        (
            r#"{"create_constraint": {"table": "items", "name": "k", "type": "check", "columns": ["qty"], "check": "qty > 0", "up": {"qtty": "1"}}}"#,
            "22023",
            &[
                "not among the constraint's columns",
                "create_constraint.up.qtty",
                "Did you mean \"qty\"?",
            ][..],
        ),
        (
            r#"{"create_constraint": {"table": "items", "name": "k", "type": "check", "columns": ["qty"], "check": "qty > 0", "up": {"qty": " "}}}"#,
            "22023",
            &["qty is empty", "create_constraint.up.qty"],
        ),
        (
            r#"{"create_constraint": {"table": "items", "name": "k", "type": "check", "columns": ["qty"], "check": "qty > 0", "up": {"qty": "qtty + 1"}}}"#,
            "42703",
            &["qtty", "operations[0].create_constraint"],
        ),
        (
            r#"{"create_constraint": {"table": "items", "name": "k", "type": "check", "columns": ["qty"], "check": "qty > 0", "up": {"qty": "'x'::text"}}}"#,
            "42804",
            &["text", "integer"],
        ),
        (
            r#"{"create_constraint": {"table": "items", "name": "k", "type": "check", "columns": ["qty"], "check": "qty > 0", "down": {"qty": "labl"}}}"#,
            "42703",
            &["labl"],
        ),
        (
            r#"{"create_constraint": {"table": "items", "name": "k", "type": "exclude", "columns": ["qty"], "exclude": {"elements": "qty WITH ="}}}"#,
            "22023",
            &["has no columns", "create_constraint.columns"],
        ),
        (
            r#"{"create_constraint": {"table": "items", "name": "k", "type": "exclude", "exclude": {"elements": "qty WITH ="}}}"#,
            "0A000",
            &[
                "cannot be added to public.items online",
                "NOT VALID",
                "300 rows",
            ],
        ),
        (
            r#"{"create_constraint": {"table": "items", "name": "k", "type": "unique", "columns": ["qty"], "no_inherit": true}}"#,
            "22023",
            &["has no no_inherit", "create_constraint.no_inherit"],
        ),
        (
            r#"{"create_constraint": {"table": "items", "name": "k", "type": "check", "check": "qty > 0", "index_parameters": {"tablespace": "s"}}}"#,
            "22023",
            &["create_constraint.index_parameters"],
        ),
        (
            r#"{"create_constraint": {"table": "items", "name": "k", "type": "unique", "columns": ["qty"], "index_parameters": {"include": ["id"]}}}"#,
            "22023",
            &[
                "unknown field \"include\"",
                "index_parameters",
                "include_columns",
            ],
        ),
        (
            r#"{"create_constraint": {"table": "items", "name": "k", "type": "foreign_key", "columns": ["owner"], "references": {"table": "owners", "columns": ["id"], "match_type": "PARTIAL"}}}"#,
            "22023",
            &["MATCH PARTIAL", "references.match_type"],
        ),
        (
            r#"{"create_constraint": {"table": "items", "name": "k", "type": "foreign_key", "columns": ["owner"], "references": {"table": "owners", "columns": ["id"], "match_type": "FUL"}}}"#,
            "22023",
            &["Did you mean \"FULL\"?", "references.match_type"],
        ),
        (
            r#"{"create_constraint": {"table": "items", "name": "k", "type": "foreign_key", "columns": ["owner"], "references": {"table": "owners", "columns": ["id"], "on_delete": "CASCADE", "on_delete_set_columns": ["owner"]}}}"#,
            "22023",
            &["SET NULL or SET DEFAULT alone", "on_delete_set_columns"],
        ),
        (
            r#"{"create_constraint": {"table": "items", "name": "k", "type": "foreign_key", "columns": ["owner"], "references": {"table": "owners", "columns": ["id"], "on_delete": "SET NULL", "on_delete_set_columns": ["ownr"]}}}"#,
            "22023",
            &["Did you mean \"owner\"?", "on_delete_set_columns[0]"],
        ),
        (
            r#"{"alter_column": {"table": "items", "column": "owner", "references": {"name": "f", "table": "owners", "column": "id", "initially_deferred": true}}}"#,
            "22023",
            &["must be deferrable", "references.initially_deferred"],
        ),
        (
            r#"{"alter_column": {"table": "items", "column": "owner", "check": {"name": "k", "constraint": "owner > 0", "noinherit": true}}}"#,
            "22023",
            &[
                "unknown field \"noinherit\"",
                "Did you mean \"no_inherit\"?",
            ],
        ),
        (
            r#"{"drop_constraint": {"table": "items", "name": "pairing", "up": "qty + 1", "down": "qty"}}"#,
            "22023",
            &[
                "up does not say which column",
                "drop_multicolumn_constraint",
            ],
        ),
        (
            r#"{"drop_multicolumn_constraint": {"table": "items", "name": "pairing", "down": {"note": "1"}}}"#,
            "22023",
            &["\"note\"", "qty, label"],
        ),
        (
            r#"{"drop_multicolumn_constraint": {"table": "items", "name": "pairin", "down": {"qty": "1"}}}"#,
            "42704",
            &["Did you mean \"pairing\"?"],
        ),
        (
            r#"{"drop_multicolumn_constraint": {"table": "items", "name": "pairing", "down": "qty"}}"#,
            "22023",
            &["an object is expected", "drop_multicolumn_constraint.down"],
        ),
        (
            r#"{"rename_constraint": {"table": "items", "from": "paring", "to": "k"}}"#,
            "42704",
            &[
                "Did you mean \"pairing\"?",
                "operations[0].rename_constraint",
            ],
        ),
        (
            r#"{"rename_constraint": {"table": "items", "from": "pairing", "to": "items_pkey"}}"#,
            "42710",
            &["already exists"],
        ),
        (
            r#"{"rename_constraint": {"table": "items", "from": "pairing", "to": "pairing"}}"#,
            "22023",
            &["already", "rename_constraint.to"],
        ),
        (
            r#"{"set_replica_identity": {"table": "items", "identity": {"type": "indx"}}}"#,
            "22023",
            &["Did you mean \"index\"?", "identity.type"],
        ),
        (
            r#"{"set_replica_identity": {"table": "items", "identity": {"type": "index"}}}"#,
            "22023",
            &["the index is missing", "identity.index"],
        ),
        (
            r#"{"set_replica_identity": {"table": "items", "identity": {"type": "full", "index": "items_pkey"}}}"#,
            "22023",
            &["takes no index"],
        ),
        (
            r#"{"set_replica_identity": {"table": "items", "identity": {"type": "index", "index": "item_pkey"}}}"#,
            "42704",
            &["Did you mean \"items_pkey\"?"],
        ),
        (
            r#"{"create_table": {"name": "t", "columns": [{"name": "a", "type": "integr"}]}}"#,
            "42704",
            &["integr"],
        ),
        (
            r#"{"create_table": {"name": "t", "columns": [{"name": "a", "type": "int", "generated": {"expression": "b + 1"}}]}}"#,
            "42703",
            &["\"b\""],
        ),
        (
            r#"{"create_table": {"name": "t", "columns": [{"name": "a", "type": "int"}], "constraints": [{"name": "k", "type": "check", "check": "aa > 0"}]}}"#,
            "42703",
            &["aa"],
        ),
        (
            r#"{"create_table": {"name": "t", "columns": [{"name": "a", "type": "int"}], "constraints": [{"name": "u", "type": "unique", "columns": ["a"], "index_parameters": {"include_columns": ["b"]}}]}}"#,
            "22023",
            &["no column \"b\"", "index_parameters.include_columns[0]"],
        ),
        (
            r#"{"create_table": {"name": "t", "columns": [{"name": "a", "type": "int", "generated": {"identity": {"user_specified_values": "NEVER"}}}]}}"#,
            "22023",
            &["user_specified_values"],
        ),
        (
            r#"{"create_table": {"name": "t", "columns": [{"name": "a", "type": "int"}]}}, {"add_column": {"table": "t", "up": "b", "column": {"name": "c", "type": "int"}}}"#,
            "42703",
            &["\"b\"", "operations[1].add_column"],
        ),
    ] {
        let failure = db.error(&format!(
            "SELECT migrate.apply($document${}$document$)",
            document(operation)
        ));
        assert_eq!(failure.sqlstate, sqlstate, "{operation}: {failure}");
        let said = format!("{} {} {}", failure.message, failure.detail, failure.hint);
        for word in words {
            assert!(
                said.contains(word),
                "{operation}: \"{word}\" is missing in: {said}"
            );
        }
    }
    same("refused", &before, &schema(&db));
    assert!(db.rows("SELECT 1 FROM migrate.revision").is_empty());
}
