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
fn a_new_name_as_an_alteration() {
    assert_same(
        r#"{"alter_column": {"table": "t", "column": "a", "name": "b"}}"#,
        r#"{"rename_column": {"table": "t", "from": "a", "to": "b"}}"#,
    );
    let both =
        fault(r#"{"alter_column": {"table": "t", "column": "a", "name": "b", "type": "text"}}"#);
    assert!(both.message.contains("unknown field \"name\""), "{both:?}");
}

#[test]
fn defaults_that_are_spelt_out() {
    assert_same(
        r#"{"add_column": {"table": "t", "up": "", "column": {"name": "c", "type": "int", "check": {"name": "k", "constraint": "c > 0", "no_inherit": false},
            "references": {"name": "f", "table": "o", "column": "id", "match_type": "", "deferrable": false, "initially_deferred": false}}}}"#,
        r#"{"add_column": {"table": "t", "column": {"name": "c", "type": "int", "check": {"name": "k", "constraint": "c > 0"},
            "references": {"name": "f", "table": "o", "column": "id"}}}}"#,
    );
    assert_same(
        r#"{"sql": {"up": "SELECT 1", "down": ""}}"#,
        r#"{"sql": {"up": "SELECT 1"}}"#,
    );
    assert_same(
        r#"{"create_constraint": {"name": "k", "table": "t", "type": "unique", "columns": ["a", "B"], "check": "", "no_inherit": false,
            "references": {}, "index_parameters": {"tablespace": "", "include_columns": []}, "up": {}, "down": {}}}"#,
        r#"{"create_constraint": {"name": "k", "table": "t", "type": "unique", "columns": ["a", "B"]}}"#,
    );
    assert_same(
        r#"{"set_replica_identity": {"table": "t", "identity": {"type": "full", "index": ""}}}"#,
        r#"{"set_replica_identity": {"table": "t", "identity": {"type": "full", "index": ""}}}"#,
    );
    let kept = read(
        r#"{"create_constraint": {"name": "k", "table": "t", "type": "unique", "columns": ["a"], "deferrable": true}}"#,
    );
    assert!(matches!(&kept[0], Operation::CreateConstraint(found) if found.deferrable));
}

#[test]
fn a_bare_select_is_an_expression() {
    assert_same(
        r#"{"alter_column": {"table": "t", "column": "a", "nullable": false, "up": "SELECT coalesce(a, 1)", "down": "SELECT b FROM o WHERE o.id = a"}}"#,
        r#"{"alter_column": {"table": "t", "column": "a", "nullable": false, "up": "coalesce(a, 1)", "down": "(SELECT b FROM o WHERE o.id = a)"}}"#,
    );
    assert_same(
        r#"{"create_constraint": {"name": "k", "table": "t", "type": "check", "check": "a > 0", "columns": ["a"], "up": {"a": "SELECT abs(a)"}, "down": {"a": "a"}}}"#,
        r#"{"create_constraint": {"name": "k", "table": "t", "type": "check", "check": "a > 0", "columns": ["a"], "up": {"a": "abs(a)"}, "down": {"a": "a"}}}"#,
    );
    assert_same(
        r#"{"backfill": {"table": "t", "set": {"a": "SELECT 1"}}}"#,
        r#"{"backfill": {"table": "t", "set": {"a": "1"}}}"#,
    );
    // A statement is none.
    assert_same(
        r#"{"sql": {"up": "SELECT 1"}}"#,
        r#"{"sql": {"up": "SELECT 1"}}"#,
    );
    assert!(
        matches!(&read(r#"{"sql": {"up": "SELECT 1"}}"#)[0], Operation::Sql(sql) if sql.up == "SELECT 1")
    );
}

#[test]
fn the_checksum_is_of_the_document_as_written() {
    let one = parse(r#"{"name": "1", "operations": [{"sql": {"up": "a", "down": ""}}]}"#).unwrap();
    let other = parse(r#"{"name": "1", "operations": [{"sql": {"up": "a"}}]}"#).unwrap();
    assert_eq!(one.body, other.body);
    assert_ne!(one.checksum, other.checksum);
}

/// Every operation of the published format with all of its fields, said with values that are not
/// their defaults.
const FORMAT: [(&str, &str); 16] = [
    (
        "create_table",
        r#"{"name": "t", "comment": "c", "columns": [
        {"name": "a", "type": "int", "nullable": true, "unique": true, "default": "1", "comment": "c",
         "check": {"name": "k", "constraint": "a > 0", "no_inherit": true},
         "references": {"name": "f", "table": "o", "column": "id", "match_type": "FULL", "on_delete": "SET NULL",
                        "on_update": "CASCADE", "deferrable": true, "initially_deferred": true}},
        {"name": "b", "type": "int", "pk": true, "generated": {"identity": {"user_specified_values": "BY DEFAULT", "sequence_options": "START 5"}}},
        {"name": "c", "type": "int", "generated": {"expression": "a + 1"}}],
      "constraints": [
        {"name": "u", "type": "unique", "columns": ["a"], "nulls_not_distinct": true, "deferrable": true, "initially_deferred": true,
         "index_parameters": {"tablespace": "s", "storage_parameters": "fillfactor = 70", "include_columns": ["c"]}},
        {"name": "x", "type": "exclude", "exclude": {"index_method": "gist", "elements": "a WITH =", "predicate": "a > 0"}},
        {"name": "n", "type": "check", "check": "a > 1", "no_inherit": true},
        {"name": "g", "type": "foreign_key", "columns": ["a", "b"], "references": {"table": "o", "columns": ["a", "b"], "match_type": "FULL",
         "on_delete": "SET NULL", "on_update": "RESTRICT", "on_delete_set_columns": ["a"]}}]}"#,
    ),
    ("rename_table", r#"{"from": "t", "to": "u"}"#),
    ("drop_table", r#"{"name": "t"}"#),
    (
        "add_column",
        r#"{"table": "t", "up": "1", "column": {"name": "a", "type": "int"}}"#,
    ),
    (
        "alter_column",
        r#"{"table": "t", "column": "a", "type": "text", "nullable": false, "default": null, "comment": null,
        "unique": {"name": "u"}, "check": {"name": "k", "constraint": "a > ''", "no_inherit": true},
        "references": {"name": "f", "table": "o", "column": "id", "deferrable": true}, "up": "b", "down": "c"}"#,
    ),
    (
        "drop_column",
        r#"{"table": "t", "column": "a", "down": "1"}"#,
    ),
    ("rename_column", r#"{"table": "t", "from": "a", "to": "b"}"#),
    (
        "rename_constraint",
        r#"{"table": "t", "from": "a", "to": "b"}"#,
    ),
    (
        "create_index",
        r#"{"name": "i", "table": "t", "unique": true, "method": "gist", "predicate": "a > 0", "storage_parameters": "fillfactor = 70",
        "columns": [{"column": "a", "collate": "C", "sort": "DESC", "nulls": "LAST", "opclass": {"name": "o", "params": ["siglen=1"]}}]}"#,
    ),
    ("drop_index", r#"{"name": "i"}"#),
    (
        "create_constraint",
        r#"{"table": "t", "name": "k", "type": "check", "columns": ["a"], "check": "a > 0", "no_inherit": true,
        "up": {"a": "1"}, "down": {"a": "2"}}"#,
    ),
    (
        "create_constraint",
        r#"{"table": "t", "name": "k", "type": "foreign_key", "columns": ["a"], "up": {}, "down": {},
        "references": {"table": "o", "columns": ["a"], "match_type": "FULL", "on_delete": "SET NULL", "on_update": "RESTRICT", "on_delete_set_columns": ["a"]}}"#,
    ),
    (
        "drop_constraint",
        r#"{"table": "t", "name": "k", "up": "1", "down": "2"}"#,
    ),
    (
        "drop_multicolumn_constraint",
        r#"{"table": "t", "name": "k", "up": {"a": "1"}, "down": {"a": "2"}}"#,
    ),
    (
        "set_replica_identity",
        r#"{"table": "t", "identity": {"type": "index", "index": "i"}}"#,
    ),
    (
        "sql",
        r#"{"up": "SELECT 1", "down": "SELECT 2", "onComplete": true}"#,
    ),
];

/// Whether every value of `said` is in `read`, under the same field.
fn held(said: &Value, read: &Value, path: &str) {
    match (said, read) {
        (Value::Object(said), Value::Object(read)) => {
            for (field, value) in said.iter().filter(|(_, value)| **value != json!({})) {
                let path = format!("{path}.{field}");
                let found = read.get(field).unwrap_or_else(|| panic!("{path} is lost"));
                // The one field whose shape is another in the model.
                if field == "opclass" {
                    assert_eq!(found, "o (siglen=1)");
                    continue;
                }
                held(value, found, &path);
            }
        }
        (Value::Array(said), Value::Array(read)) => {
            assert_eq!(said.len(), read.len(), "{path}");
            for (said, read) in said.iter().zip(read) {
                held(said, read, path);
            }
        }
        _ => assert_eq!(said, read, "{path}"),
    }
}

#[test]
fn every_field_of_the_format_is_read_and_kept() {
    for (kind, body) in FORMAT {
        let text = format!(r#"{{"{kind}": {body}}}"#);
        let said: Value = serde_json::from_str(&text).unwrap();
        let read = read(&text);
        assert_eq!(read[0].kind(), kind);
        held(&said, &serde_json::to_value(&read[0]).unwrap(), kind);
        // A way back is stored and read again.
        let stored = serde_json::to_value(&read[0]).unwrap();
        assert_eq!(
            serde_json::from_value::<Operation>(stored).unwrap(),
            read[0]
        );
    }
}

#[test]
fn the_envelope_names_its_version() {
    let read = parse(r#"{"name": "1", "version_schema": "v 1", "operations": []}"#).unwrap();
    assert_eq!(read.version_schema.as_deref(), Some("v 1"));
    let found = parse(r#"{"name": "1", "version_schema": "", "operations": []}"#).unwrap_err();
    assert_eq!(found.detail.as_deref(), Some("At version_schema."));
}
