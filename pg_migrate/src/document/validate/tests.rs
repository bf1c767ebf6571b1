//! Operations that cannot be, each with the place and the words of its error.

use super::super::parse;
use crate::fault::Fault;

fn fault(operation: &str) -> Fault {
    let text = format!(r#"{{"revision": "1", "operations": [{operation}]}}"#);
    match parse(&text) {
        Err(fault) => fault,
        Ok(found) => panic!("{operation} was read as {found:?}"),
    }
}

fn assert_refused(cases: &[(&str, &str, &str)]) {
    for (operation, message, place) in cases {
        let found = fault(operation);
        assert_eq!(found.message, *message, "{operation}");
        let detail = found.detail.unwrap_or_default();
        assert!(
            detail.starts_with(&format!("At operations[0].{place}")),
            "{operation}: {detail}"
        );
    }
}

#[test]
fn what_goes_together_passes() {
    for operation in [
        r#"{"create_table": {"name": "app.\"T\"", "columns": [{"name": "id", "type": "int", "pk": true}], "constraints": [{"name": "u", "type": "unique", "columns": ["id"], "nulls_not_distinct": true}]}}"#,
        r#"{"add_column": {"table": "t", "column": {"name": "n", "type": "bigint", "generated": {"identity": {"user_specified_values": "by default"}}}}}"#,
        r#"{"alter_column": {"table": "t", "column": "c", "default": null}}"#,
        r#"{"create_index": {"name": "i", "table": "t", "columns": [{"column": "c", "sort": "desc", "nulls": "LAST"}]}}"#,
        r#"{"create_index": {"name": "i", "table": "t", "definition": "(lower(c))", "unique": true}}"#,
        r#"{"create_constraint": {"name": "k", "table": "t", "type": "foreign_key", "columns": ["a"], "references": {"table": "o", "columns": [], "on_delete": "set null"}}}"#,
        r#"{"create_constraint": {"name": "k", "table": "t", "type": "exclude", "definition": "EXCLUDE (c WITH =)"}}"#,
        r#"{"add_foreign_key": {"name": "k", "table": "t", "columns": "a", "references": {"table": "o", "columns": ["id"]}}}"#,
        r#"{"backfill": {"table": "t", "set": {"c": "a + 1"}, "where": "c IS NULL", "down": {"a": "c - 1"}}}"#,
        r#"{"restore": {"table": "t", "operations": [{"drop_index": {"name": "i"}}]}}"#,
        r#"{"set_not_null": {"table": "t", "column": "c"}}"#,
        r#"{"sql": {"up": "SELECT 1", "onComplete": true}}"#,
    ] {
        let text = format!(r#"{{"revision": "1", "operations": [{operation}]}}"#);
        parse(&text).unwrap_or_else(|fault| panic!("{operation}: {fault:?}"));
    }
}

#[test]
fn tables_and_columns() {
    let long = "x".repeat(64);
    assert_refused(&[
        (
            r#"{"drop_table": {"name": ""}}"#,
            "\"\" is not a name",
            "drop_table.name. It is empty.",
        ),
        (
            r#"{"drop_table": {"name": "order lines"}}"#,
            "\"order lines\" is not a name",
            "drop_table.name.",
        ),
        (
            r#"{"rename_table": {"from": "t", "to": "t"}}"#,
            "the table is called \"t\" already",
            "rename_table.to.",
        ),
        (
            r#"{"rename_column": {"table": "t", "from": "a", "to": "a"}}"#,
            "the column is called \"a\" already",
            "rename_column.to.",
        ),
        (
            r#"{"rename_column": {"table": "t", "from": "", "to": "a"}}"#,
            "a name is empty",
            "rename_column.from.",
        ),
        (
            &format!(r#"{{"rename_column": {{"table": "t", "from": "a", "to": "{long}"}}}}"#),
            &format!("the name \"{long}\" is too long"),
            "rename_column.to. It has 64 bytes; PostgreSQL would cut it",
        ),
        (
            r#"{"create_table": {"name": "t", "columns": [{"name": "a", "type": "int"}, {"name": "a", "type": "int"}]}}"#,
            "column \"a\" is there twice",
            "create_table.columns[1].",
        ),
        (
            r#"{"create_table": {"name": "t", "columns": [{"name": "a", "type": " "}]}}"#,
            "type is empty",
            "create_table.columns[0].type.",
        ),
        (
            r#"{"create_table": {"name": "t", "columns": [{"name": "a", "type": "int", "pk": true, "nullable": true}]}}"#,
            "a column of the primary key cannot be nullable",
            "create_table.columns[0].nullable.",
        ),
        (
            r#"{"create_table": {"name": "t", "columns": [{"name": "a", "type": "int", "pk": true}], "constraints": [{"name": "p", "type": "primary_key", "columns": ["a"]}]}}"#,
            "the table has a primary key already",
            "create_table.constraints[0].",
        ),
        (
            r#"{"create_table": {"name": "t", "columns": [{"name": "abc", "type": "int"}], "constraints": [{"name": "p", "type": "unique", "columns": ["acb"]}]}}"#,
            "the table has no column \"acb\"",
            "create_table.constraints[0].columns[0].",
        ),
        (
            r#"{"create_table": {"name": "t", "columns": [], "constraints": [{"name": "p", "type": "exclude"}]}}"#,
            "a constraint of type \"exclude\" needs exclude",
            "create_table.constraints[0].",
        ),
        (
            r#"{"add_column": {"table": "t", "column": {"name": "a", "type": "int", "default": "1", "generated": {"expression": "b"}}}}"#,
            "a generated column has no default",
            "add_column.column.default.",
        ),
        (
            r#"{"add_column": {"table": "t", "column": {"name": "a", "type": "int", "generated": {}}}}"#,
            "generated needs expression or identity",
            "add_column.column.generated.",
        ),
        (
            r#"{"add_column": {"table": "t", "column": {"name": "a", "type": "int", "generated": {"expression": "b", "identity": {}}}}}"#,
            "expression and identity exclude each other",
            "add_column.column.generated.",
        ),
        (
            r#"{"add_column": {"table": "t", "column": {"name": "a", "type": "int", "nullable": true, "generated": {"identity": {}}}}}"#,
            "an identity column cannot be nullable",
            "add_column.column.nullable.",
        ),
        (
            r#"{"add_column": {"table": "t", "up": "1", "column": {"name": "a", "type": "int", "generated": {"expression": "b"}}}}"#,
            "a generated column takes no value, so up cannot be given",
            "add_column.up.",
        ),
        (
            r#"{"add_column": {"table": "t", "column": {"name": "a", "type": "int", "generated": {"identity": {"user_specified_values": "ALWAYZ"}}}}}"#,
            "user_specified_values cannot be \"ALWAYZ\"",
            "add_column.column.generated.identity.user_specified_values.",
        ),
        (
            r#"{"add_column": {"table": "t", "column": {"name": "a", "type": "int", "references": {"name": "f", "table": "o", "column": "id", "on_delete": "CASCAD"}}}}"#,
            "on_delete cannot be \"CASCAD\"",
            "add_column.column.references.on_delete.",
        ),
        (
            r#"{"alter_column": {"table": "t", "column": "a"}}"#,
            "the operation changes nothing",
            "alter_column.",
        ),
        (
            r#"{"alter_column": {"table": "t", "column": "a", "up": "b", "down": "c"}}"#,
            "the operation changes nothing",
            "alter_column.",
        ),
        (
            r#"{"alter_column": {"table": "t", "column": "a", "default": ""}}"#,
            "default is empty",
            "alter_column.default.",
        ),
        (
            r#"{"alter_column": {"table": "t", "column": "a", "check": {"name": "c", "constraint": ""}}}"#,
            "constraint is empty",
            "alter_column.check.constraint.",
        ),
    ]);
}

#[test]
fn indexes_and_constraints() {
    assert_refused(&[
        (
            r#"{"create_index": {"name": "i", "table": "t"}}"#,
            "an index needs columns or a definition",
            "create_index.",
        ),
        (
            r#"{"create_index": {"name": "i", "table": "t", "definition": "(a)", "predicate": "a"}}"#,
            "definition says it all, so predicate cannot be given too",
            "create_index.predicate.",
        ),
        (
            r#"{"create_index": {"name": "i", "table": "t", "columns": [{"column": "a", "sort": "DSC"}]}}"#,
            "sort cannot be \"DSC\"",
            "create_index.columns[0].sort.",
        ),
        (
            r#"{"create_index": {"name": "i", "table": "t", "columns": [{"column": "a", "nulls": "BEFORE"}]}}"#,
            "nulls cannot be \"BEFORE\"",
            "create_index.columns[0].nulls.",
        ),
        (
            r#"{"create_constraint": {"name": "c", "table": "t", "type": "uniq"}}"#,
            "there is no constraint of type \"uniq\"",
            "create_constraint.type.",
        ),
        (
            r#"{"create_constraint": {"name": "c", "table": "t", "type": "unique"}}"#,
            "a constraint of type \"unique\" needs columns",
            "create_constraint.",
        ),
        (
            r#"{"create_constraint": {"name": "c", "table": "t", "type": "check"}}"#,
            "a constraint of type \"check\" needs check",
            "create_constraint.",
        ),
        (
            r#"{"create_constraint": {"name": "c", "table": "t", "type": "foreign_key", "columns": ["a"]}}"#,
            "a constraint of type \"foreign_key\" needs references",
            "create_constraint.",
        ),
        (
            r#"{"create_constraint": {"name": "c", "table": "t", "type": "exclude"}}"#,
            "a constraint of type \"exclude\" needs exclude",
            "create_constraint.",
        ),
        (
            r#"{"create_constraint": {"name": "c", "table": "t", "type": "unique", "columns": ["a"], "check": "a"}}"#,
            "a constraint of type \"unique\" has no check",
            "create_constraint.check.",
        ),
        (
            r#"{"create_constraint": {"name": "c", "table": "t", "type": "check", "check": "a", "deferrable": true}}"#,
            "a constraint of type \"check\" has no deferrable",
            "create_constraint.deferrable.",
        ),
        (
            r#"{"create_constraint": {"name": "c", "table": "t", "type": "primary_key", "columns": ["a"], "nulls_not_distinct": true}}"#,
            "a constraint of type \"primary_key\" has no nulls_not_distinct",
            "create_constraint.nulls_not_distinct.",
        ),
        (
            r#"{"create_constraint": {"name": "c", "table": "t", "type": "unique", "columns": ["a", "a"]}}"#,
            "column \"a\" is named twice",
            "create_constraint.columns[1].",
        ),
        (
            r#"{"add_foreign_key": {"name": "c", "table": "t", "columns": ["a"], "initially_deferred": true, "references": {"table": "o", "columns": []}}}"#,
            "a constraint that is initially deferred must be deferrable",
            "add_foreign_key.initially_deferred.",
        ),
        (
            r#"{"add_foreign_key": {"name": "c", "table": "t", "columns": [], "references": {"table": "o", "columns": []}}}"#,
            "a foreign key needs columns",
            "add_foreign_key.columns.",
        ),
        (
            r#"{"add_foreign_key": {"name": "c", "table": "t", "columns": ["a"], "references": {"table": "o", "columns": ["a", "b"]}}}"#,
            "a foreign key has as many columns as it references",
            "add_foreign_key.references.columns: 1 and 2.",
        ),
        (
            r#"{"add_foreign_key": {"name": "c", "table": "t", "columns": ["a"], "references": {"table": "o; DROP", "columns": []}}}"#,
            "\"o; DROP\" is not a name",
            "add_foreign_key.references.table.",
        ),
    ]);
    let hint =
        fault(r#"{"create_constraint": {"name": "c", "table": "t", "type": "primary-key"}}"#).hint;
    assert!(hint.unwrap().starts_with("Did you mean \"primary_key\"?"));
}

#[test]
fn data() {
    assert_refused(&[
        (r#"{"sql": {"up": " \n"}}"#, "up is empty", "sql.up."),
        (
            r#"{"backfill": {"table": "t", "set": {}}}"#,
            "a backfill needs at least one column to set",
            "backfill.set.",
        ),
        (
            r#"{"backfill": {"table": "t", "set": {"a": 1}}}"#,
            "the value of \"a\" is not an SQL expression",
            "backfill.set.a.",
        ),
        (
            r#"{"backfill": {"table": "t", "set": {"a": ""}}}"#,
            "a is empty",
            "backfill.set.a.",
        ),
        (
            r#"{"backfill": {"table": "t", "set": {"a": "1"}, "where": ""}}"#,
            "where is empty",
            "backfill.where.",
        ),
        (
            r#"{"restore": {"table": "t", "operations": [{"drop_index": {"name": ""}}]}}"#,
            "\"\" is not a name",
            "restore.operations[0].drop_index.name.",
        ),
    ]);
    let text =
        r#"{"revision": "1", "operations": [], "down_operations": [{"drop_index": {"name": ""}}]}"#;
    assert_eq!(
        parse(text).unwrap_err().detail.as_deref(),
        Some("At down_operations[0].drop_index.name. It is empty.")
    );
}
