//! What the JSON spelling says, and what it refuses.

use super::super::model::{AlterColumn, Operation};
use super::super::{Body, Defaults, parse as document, parse_with};
use super::*;

fn fault(text: &str) -> Fault {
    match document(text) {
        Err(fault) => fault,
        Ok(found) => panic!("{text} was read as {found:?}"),
    }
}

fn with(operation: &str) -> String {
    format!(r#"{{"revision": "1", "operations": [{{"sql": {{"up": "SELECT 1"}}}}, {operation}]}}"#)
}

#[test]
fn the_whole_envelope() {
    let read = document(
        r#"  {"revision": "0007", "down_revision": ["0006", "0005b"], "depends_on": "b1",
             "branch_labels": null, "message": "m", "operations": [], "down_operations": []}"#,
    )
    .unwrap();
    assert_eq!(read.revision, "0007");
    assert_eq!(read.down_revision, ["0006", "0005b"]);
    assert_eq!(read.depends_on, ["b1"]);
    assert!(read.branch_labels.is_empty());
    assert_eq!(read.message.as_deref(), Some("m"));
    assert_eq!(
        read.body,
        Body::Operations {
            up: vec![],
            down: Some(vec![])
        }
    );
    let short = document("\u{feff}{\"name\": \"x\", \"operations\": []}").unwrap();
    assert_eq!(
        (short.revision.as_str(), short.down_revision.len()),
        ("x", 0)
    );
    assert_eq!(
        short.body,
        Body::Operations {
            up: vec![],
            down: None
        }
    );
}

#[test]
fn null_and_absent_differ() {
    let read = |fields: &str| {
        let text = with(&format!(
            r#"{{"alter_column": {{"table": "t", "column": "c", {fields}}}}}"#
        ));
        match document(&text).unwrap().body {
            Body::Operations { mut up, .. } => match up.pop() {
                Some(Operation::AlterColumn(found)) => found,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    let AlterColumn {
        default, comment, ..
    } = read(r#""default": null, "nullable": true"#);
    assert_eq!((default, comment), (Some(None), None));
    assert_eq!(
        read(r#""default": "1""#).default,
        Some(Some("1".to_owned()))
    );
}

#[test]
fn the_checksum_is_that_of_the_value() {
    let text = "{\n  \"revision\": \"1\",\r\n  \"operations\": [{\"sql\": {\"up\": \"SELECT 1\", \"down\": \"\"}}]\n}\n";
    let jsonb = r#"{"revision": "1", "operations": [{"sql": {"down": "", "up": "SELECT 1"}}]}"#;
    let (a, b) = (document(text).unwrap(), document(jsonb).unwrap());
    assert_eq!(a.checksum, b.checksum);
    assert_eq!(a.body, b.body);
    let other = document(&text.replace("SELECT 1", "SELECT 2")).unwrap();
    assert_ne!(a.checksum, other.checksum);
    let anonymous = r#"{"operations": []}"#;
    let named = |revision: &str| {
        let defaults = Defaults {
            revision: Some(revision.to_owned()),
            down_revision: Some(vec![]),
        };
        parse_with(anonymous, &defaults).unwrap()
    };
    assert_eq!(named("a").checksum, named("b").checksum);
}

#[test]
fn defaults_must_not_contradict() {
    let defaults = Defaults {
        revision: None,
        down_revision: Some(vec!["a".into(), "b".into()]),
    };
    let read = |parents: &str| {
        parse_with(
            &format!(r#"{{"revision": "1", {parents} "operations": []}}"#),
            &defaults,
        )
    };
    assert_eq!(read("").unwrap().down_revision, ["a", "b"]);
    assert_eq!(
        read(r#""down_revision": ["b", "a"],"#)
            .unwrap()
            .down_revision,
        ["b", "a"]
    );
    assert!(read(r#""down_revision": null,"#).is_err());
    assert!(read(r#""down_revision": "a","#).is_err());
}

#[test]
fn a_misspelt_field_is_named_with_its_place() {
    let text = with(r#"{"rename_column": {"table": "users", "form": "a", "to": "b"}}"#);
    let found = fault(&text);
    assert_eq!(found.message, "unknown field \"form\"");
    assert_eq!(
        found.detail.as_deref(),
        Some("At operations[1].rename_column.form.")
    );
    assert_eq!(
        found.hint.as_deref(),
        Some("Did you mean \"from\"? Possible here: table, from, to.")
    );
    let found = fault(r#"{"revison": "1", "operations": []}"#);
    assert_eq!(found.message, "unknown field \"revison\"");
    assert!(
        found
            .hint
            .unwrap()
            .starts_with("Did you mean \"revision\"?")
    );
    let found = fault(&with(r#"{"create_idx": {}}"#));
    assert_eq!(found.message, "unknown operation \"create_idx\"");
    assert_eq!(found.detail.as_deref(), Some("At operations[1]."));
    assert!(found.hint.unwrap().contains("create_index"));
}

#[test]
fn what_does_not_fit_says_what_would() {
    for (operation, message, detail) in [
        (
            r#"{"drop_index": {"name": 1}}"#,
            "a string is expected here, not the number 1",
            "At operations[1].drop_index.name.",
        ),
        (
            r#"{"drop_index": {"name": null}}"#,
            "a string is expected here, not null",
            "At operations[1].drop_index.name.",
        ),
        (
            r#"{"drop_index": "x"}"#,
            "an object is expected here, not the string \"x\"",
            "At operations[1].drop_index.",
        ),
        (
            r#"{"drop_index": ["x"]}"#,
            "an object is expected here, not a list",
            "At operations[1].drop_index.",
        ),
        (
            r#"{"drop_index": {}}"#,
            "field \"name\" is missing",
            "In operations[1].drop_index.",
        ),
        (
            r#"{"drop_index": {"name": "a", "if_exists": "yes"}}"#,
            "true or false is expected here, not the string \"yes\"",
            "At operations[1].drop_index.if_exists.",
        ),
        (
            r#"{"create_table": {"name": "t", "columns": {}}}"#,
            "a list is expected here, not an object",
            "At operations[1].create_table.columns.",
        ),
        (
            r#"{"create_table": {"name": "t", "columns": [{"name": "c"}]}}"#,
            "field \"type\" is missing",
            "In operations[1].create_table.columns[0].",
        ),
        (
            r#"{"drop_index": {"name": "a"}, "sql": {}}"#,
            "an operation has exactly one key, its kind",
            "At operations[1]. It has drop_index, sql.",
        ),
        (
            r#"{}"#,
            "an operation has exactly one key, its kind",
            "At operations[1]. It has none.",
        ),
        (
            r#""drop_index""#,
            "an object is expected here, not the string \"drop_index\"",
            "At operations[1].",
        ),
    ] {
        let found = fault(&with(operation));
        assert_eq!(
            (found.message.as_str(), found.detail.as_deref()),
            (message, Some(detail)),
            "{operation}"
        );
    }
    let found = fault(r#"{"revision": "1", "operations": {}}"#);
    assert_eq!(found.message, "a list is expected here, not an object");
    let found = fault(r#"{"revision": "1", "down_revision": 6, "operations": []}"#);
    assert_eq!(
        found.message,
        "null, a string or a list of strings is expected here, not the number 6"
    );
    let found = fault(r#"{"revision": "1", "depends_on": ["a", 6], "operations": []}"#);
    assert_eq!(found.detail.as_deref(), Some("At depends_on[1]."));
    let found = fault(r#"{"revision": "1"}"#);
    assert_eq!(found.message, "field \"operations\" is missing");
    let found = fault(r#"{"revision": "1", "name": "1", "operations": []}"#);
    assert_eq!(found.message, "field \"revision\" is given twice");
}

#[test]
fn a_revision_is_needed() {
    let found = fault(r#"{"operations": []}"#);
    assert_eq!(found.message, "the document does not name its revision");
    assert!(found.hint.unwrap().contains(r#"{"revision": "0007""#));
}

#[test]
fn malformed_json_gives_line_and_column() {
    let found = fault("{\n  \"revision\": \"1\",\n  \"operations\": [}\n");
    assert_eq!(found.sqlstate, state::SYNTAX);
    assert_eq!(
        found.message,
        "the document is not valid JSON: expected value"
    );
    assert_eq!(
        found.detail.as_deref(),
        Some("Line 3, column 18:   \"operations\": [}")
    );
    assert!(fault("{} x").message.contains("trailing"));
    assert!(fault("{").message.contains("EOF"));
    assert!(
        fault(&"{\"a\":".repeat(200))
            .message
            .contains("recursion limit")
    );
}

#[test]
fn a_key_that_comes_twice_is_refused() {
    let found = fault(
        "{\"revision\": \"1\",\n \"operations\": [{\"sql\": {\"up\": \"a\", \"up\": \"b\"}}]}",
    );
    assert_eq!(found.message, "key \"up\" is given twice");
    assert!(found.detail.unwrap().starts_with("Line 2, column "));
    assert!(
        fault(r#"{"revision": "1\u0000"}"#)
            .message
            .contains("null character")
    );
}
