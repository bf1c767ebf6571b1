//! pgroll's spellings, and what of its format is refused.

use super::super::model::Operation;
use super::super::{Body, parse};
use crate::fault::Fault;
use serde_json::{Value, json};

fn read(operation: &str) -> Vec<Operation> {
    let text = format!(r#"{{"name": "1", "operations": [{operation}]}}"#);
    match parse(&text)
        .unwrap_or_else(|fault| panic!("{operation}: {fault:?}"))
        .body
    {
        Body::Operations { up, .. } => up,
        other => panic!("{other:?}"),
    }
}

/// Both are read to the same operations.
fn assert_same(pgroll: &str, ours: &str) {
    assert_eq!(read(pgroll), read(ours));
}

fn fault(operation: &str) -> Fault {
    parse(&format!(r#"{{"name": "1", "operations": [{operation}]}}"#)).unwrap_err()
}

#[test]
fn keys_of_an_index() {
    let ours = |keys: Value| {
        json!({"create_index": {"name": "i", "table": "t", "columns": keys}}).to_string()
    };
    assert_same(
        &ours(json!(["a", "b"])),
        &ours(json!([{"column": "a"}, {"column": "b"}])),
    );
    assert_same(
        &ours(json!({"a": {"sort": "DESC"}, "b": {}})),
        &ours(json!([{"column": "a", "sort": "DESC"}, {"column": "b"}])),
    );
    assert_same(
        &ours(
            json!([{"column": "a", "collate": "", "sort": "", "opclass": {"name": "tsvector_ops", "params": ["siglen=1", "x=2"]}}]),
        ),
        &ours(json!([{"column": "a", "opclass": "tsvector_ops (siglen=1, x=2)"}])),
    );
    assert_same(
        &ours(json!([{"column": "a", "opclass": {"name": ""}}])),
        &ours(json!(["a"])),
    );
    assert!(
        fault(&ours(json!([{"column": "a", "opclass": {"nam": "x"}}])))
            .message
            .contains("a string is expected")
    );
}

#[test]
fn defaults_that_are_spelt_out() {
    assert_same(
        r#"{"add_column": {"table": "t", "up": "", "column": {"name": "c", "type": "int", "check": {"name": "k", "constraint": "c > 0", "no_inherit": false},
            "references": {"name": "f", "table": "o", "column": "id", "match_type": "SIMPLE", "deferrable": false, "initially_deferred": false}}}}"#,
        r#"{"add_column": {"table": "t", "column": {"name": "c", "type": "int", "check": {"name": "k", "constraint": "c > 0"},
            "references": {"name": "f", "table": "o", "column": "id"}}}}"#,
    );
    assert_same(
        r#"{"sql": {"up": "SELECT 1", "down": ""}}"#,
        r#"{"sql": {"up": "SELECT 1"}}"#,
    );
    assert_same(
        r#"{"create_constraint": {"name": "k", "table": "t", "type": "unique", "columns": ["a", "B"], "check": "", "no_inherit": false,
            "index_parameters": {"tablespace": "", "include_columns": []}, "up": {"a": "a", "B": "\"B\""}, "down": {"a": " a "}}}"#,
        r#"{"create_constraint": {"name": "k", "table": "t", "type": "unique", "columns": ["a", "B"]}}"#,
    );
    let kept = read(
        r#"{"create_constraint": {"name": "k", "table": "t", "type": "unique", "columns": ["a"], "deferrable": true}}"#,
    );
    assert!(matches!(&kept[0], Operation::CreateConstraint(found) if found.deferrable));
}

#[test]
fn other_operations() {
    assert_same(
        r#"{"rename_constraint": {"table": "app.t", "from": "a", "to": "B\"c"}}"#,
        r#"{"sql": {"up": "ALTER TABLE app.t RENAME CONSTRAINT \"a\" TO \"B\"\"c\"", "down": "ALTER TABLE app.t RENAME CONSTRAINT \"B\"\"c\" TO \"a\""}}"#,
    );
    assert_same(
        r#"{"set_replica_identity": {"table": "t", "identity": {"type": "index", "index": "i"}}}"#,
        r#"{"sql": {"up": "ALTER TABLE t REPLICA IDENTITY USING INDEX \"i\""}}"#,
    );
    assert_same(
        r#"{"set_replica_identity": {"table": "t", "identity": {"type": "full", "index": ""}}}"#,
        r#"{"sql": {"up": "ALTER TABLE t REPLICA IDENTITY FULL"}}"#,
    );
    let dropped = r#"{"drop_constraint": {"table": "t", "name": "k"}}"#;
    assert_same(
        r#"{"drop_constraint": {"table": "t", "name": "k", "up": "a", "down": ""}}"#,
        dropped,
    );
    assert_same(
        r#"{"drop_multicolumn_constraint": {"table": "t", "name": "k", "up": {"a": "a"}, "down": {"a": "a"}}}"#,
        dropped,
    );
}

#[test]
fn what_a_table_cannot_say_follows_it() {
    let made = read(
        r#"{"create_table": {"name": "t", "columns": [{"name": "a", "type": "int"}], "constraints": [
            {"name": "x", "type": "exclude", "check": "", "no_inherit": false, "exclude": {"index_method": "gist", "elements": "a WITH =", "predicate": "a > 0"}},
            {"name": "u", "type": "unique", "columns": ["a"], "index_parameters": {}},
            {"name": "p", "type": "primary_key", "columns": ["a"], "deferrable": true, "initially_deferred": true,
             "index_parameters": {"include_columns": ["B"], "storage_parameters": "fillfactor=70", "tablespace": "fast"}}]}},
           {"drop_index": {"name": "i"}}"#,
    );
    assert_eq!(
        made.iter().map(Operation::kind).collect::<Vec<_>>(),
        [
            "create_table",
            "drop_index",
            "create_constraint",
            "create_constraint"
        ]
    );
    let (Operation::CreateConstraint(x), Operation::CreateConstraint(p)) = (&made[2], &made[3])
    else {
        panic!("{made:?}")
    };
    assert_eq!(
        x.definition.as_deref(),
        Some("EXCLUDE USING gist (a WITH =) WHERE (a > 0)")
    );
    assert_eq!((x.table.as_str(), x.name.as_str()), ("t", "x"));
    assert_eq!(
        p.definition.as_deref(),
        Some(
            "PRIMARY KEY (\"a\") INCLUDE (\"B\") WITH (fillfactor=70) USING INDEX TABLESPACE \"fast\" DEFERRABLE INITIALLY DEFERRED"
        )
    );
}

#[test]
fn what_we_cannot_do_is_said() {
    for (operation, place) in [
        (
            r#"{"create_constraint": {"name": "k", "table": "t", "type": "check", "check": "a > 0", "up": {"a": "abs(a)"}}}"#,
            "create_constraint.up.a",
        ),
        (
            r#"{"drop_constraint": {"table": "t", "name": "k", "up": "a", "down": "SELECT 1"}}"#,
            "drop_constraint.down",
        ),
        (
            r#"{"drop_multicolumn_constraint": {"table": "t", "name": "k", "down": {"a": "abs(a)"}}}"#,
            "drop_multicolumn_constraint.down.a",
        ),
        (
            r#"{"create_constraint": {"name": "k", "table": "t", "type": "check", "check": "a > 0", "no_inherit": true}}"#,
            "create_constraint.no_inherit",
        ),
        (
            r#"{"create_constraint": {"name": "k", "table": "t", "type": "unique", "columns": ["a"], "index_parameters": {"include_columns": ["b"]}}}"#,
            "create_constraint.index_parameters",
        ),
        (
            r#"{"create_constraint": {"name": "k", "table": "t", "type": "foreign_key", "columns": ["a"], "references": {"table": "o", "columns": ["a"], "match_type": "FULL"}}}"#,
            "create_constraint.references.match_type",
        ),
        (
            r#"{"create_table": {"name": "t", "columns": [{"name": "a", "type": "int", "references": {"name": "f", "table": "o", "column": "id", "deferrable": true}}]}}"#,
            "create_table.columns[0].references.deferrable",
        ),
    ] {
        let found = fault(operation);
        assert_eq!(found.sqlstate, "0A000", "{found:?}");
        assert_eq!(found.detail, Some(format!("At operations[0].{place}.")));
        assert!(found.hint.is_some());
    }
    let found = parse(r#"{"name": "1", "version_schema": "v", "operations": []}"#).unwrap_err();
    assert_eq!(found.detail.as_deref(), Some("At version_schema."));
    assert_eq!(
        fault(r#"{"set_replica_identity": {"table": "t", "identity": {"type": "x"}}}"#).message,
        "there is no replica identity \"x\""
    );
    let found = fault(r#"{"rename_constraint": {"table": "t", "form": "a", "to": "b"}}"#);
    assert_eq!(
        found.detail.as_deref(),
        Some("At operations[0].rename_constraint.form.")
    );
}

#[test]
fn the_checksum_is_of_the_document_as_written() {
    let one = parse(r#"{"name": "1", "operations": [{"sql": {"up": "a", "down": ""}}]}"#).unwrap();
    let other = parse(r#"{"name": "1", "operations": [{"sql": {"up": "a"}}]}"#).unwrap();
    assert_eq!(one.body, other.body);
    assert_ne!(one.checksum, other.checksum);
}
