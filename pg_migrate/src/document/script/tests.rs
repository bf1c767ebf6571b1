//! What the SQL script spelling says, and what it refuses.

use super::super::{Defaults, Document, parse as document, parse_with};
use super::*;

fn sections(text: &str) -> (Section, Option<Section>) {
    match document(text).unwrap().body {
        Body::Script { up, down } => (up, down),
        other => panic!("{other:?}"),
    }
}

fn fault(text: &str) -> Fault {
    match document(text) {
        Err(fault) => fault,
        Ok(found) => panic!("{text:?} was read as {found:?}"),
    }
}

#[test]
fn the_whole_header() {
    let text = "-- migrate:revision 0007 after 0006, 0005b\n\
                -- migrate:message rename username to email\n\
                -- migrate:depends-on b1, b2\n\
                -- migrate:branch-label billing\n\
                -- migrate:up\n\
                ALTER TABLE users RENAME COLUMN username TO email;\n\
                -- migrate:down            (optional: generated when it can be)\n\
                SELECT 1;\n";
    let Document {
        revision,
        down_revision,
        depends_on,
        branch_labels,
        message,
        ..
    } = document(text).unwrap();
    assert_eq!(revision, "0007");
    assert_eq!(down_revision, ["0006", "0005b"]);
    assert_eq!(depends_on, ["b1", "b2"]);
    assert_eq!(branch_labels, ["billing"]);
    assert_eq!(message.as_deref(), Some("rename username to email"));
    let (up, down) = sections(text);
    assert_eq!(
        up.text,
        "ALTER TABLE users RENAME COLUMN username TO email;\n"
    );
    assert_eq!(up.first_line, 6);
    let down = down.unwrap();
    assert_eq!((down.text.as_str(), down.first_line), ("SELECT 1;", 8));
}

#[test]
fn without_markers_all_is_up() {
    let text = "-- migrate:revision 1 after base\n-- a remark\nSELECT 1;\nSELECT 2";
    let (up, down) = sections(text);
    assert_eq!((up.text.as_str(), up.first_line, down), (text, 1, None));
    assert!(document(text).unwrap().down_revision.is_empty());
    let (up, down) = sections("-- migrate:revision 1\nSELECT 1\n-- migrate:down\nSELECT 2");
    assert_eq!(up.text, "-- migrate:revision 1\nSELECT 1\n");
    assert_eq!(down.unwrap().text, "SELECT 2");
}

#[test]
fn parents_may_come_from_outside() {
    let defaults = |revision: &str, parent: &str| Defaults {
        revision: Some(revision.to_owned()),
        down_revision: Some(vec![parent.to_owned()]),
    };
    let bare = parse_with("SELECT 1", &defaults("a", "b")).unwrap();
    assert_eq!(
        (bare.revision.as_str(), bare.down_revision.as_slice()),
        ("a", &["b".to_owned()][..])
    );
    assert_eq!(
        bare.checksum,
        parse_with("SELECT 1\r\n", &defaults("x", "y"))
            .unwrap()
            .checksum
    );
    let named = "-- migrate:revision a after b\nSELECT 1";
    assert!(parse_with(named, &defaults("a", "b")).is_ok());
    let fault = parse_with(named, &defaults("c", "b")).unwrap_err();
    assert_eq!(
        fault.message,
        "the document is of revision \"a\", not \"c\""
    );
    let fault = parse_with(named, &defaults("a", "c")).unwrap_err();
    assert_eq!(
        fault.message,
        "the document says that revision \"a\" follows \"b\", not \"c\""
    );
    let base = "-- migrate:revision a after base\nSELECT 1";
    assert!(
        parse_with(base, &defaults("a", "b")).is_err(),
        "base is said, not left out"
    );
}

#[test]
fn directives_of_statements() {
    let text = "-- migrate:revision 1\n-- migrate:up\n\n-- migrate:as-written\n-- migrate:ignore a, b: one row\nSELECT 1;\n\
                  -- migrate:immediately\nDROP TABLE t;";
    let (up, _) = sections(text);
    let seen: Vec<_> = up
        .directives
        .iter()
        .map(|d| (d.line, d.kind.clone()))
        .collect();
    let rules = vec!["a".to_owned(), "b".to_owned()];
    let reason = Some("one row".to_owned());
    assert_eq!(
        seen,
        [
            (4, DirectiveKind::AsWritten),
            (5, DirectiveKind::Ignore { rules, reason }),
            (7, DirectiveKind::Immediately)
        ]
    );
    for directive in &up.directives {
        assert!(
            up.text[directive.offset..].starts_with("-- migrate:"),
            "{directive:?}"
        );
    }
}

#[test]
fn other_tools_files() {
    let goose = "-- +goose NO TRANSACTION\n-- +goose Up\n-- +goose StatementBegin\nSELECT 1;\n-- +goose StatementEnd\n-- +goose Down\nSELECT 2;";
    let defaults = Defaults {
        revision: Some("1".to_owned()),
        down_revision: None,
    };
    let read = |text: &str| match parse_with(text, &defaults).unwrap().body {
        Body::Script { up, down } => (up, down),
        other => panic!("{other:?}"),
    };
    let (up, down) = read(goose);
    assert!(up.no_transaction && down.unwrap().no_transaction);
    let (up, down) = read("-- migrate:up transaction:false\nSELECT 1;\n-- migrate:down\n\n");
    assert!(up.no_transaction);
    assert_eq!(down, None, "a template's empty section is no way back");
    let (up, down) = read("-- migrate:up\nSELECT 1;\n-- migrate:down transaction:false\nSELECT 2");
    assert!(!up.no_transaction && down.unwrap().no_transaction);
    assert!(read("-- no-transaction\nSELECT 1").0.no_transaction);
    assert!(
        !read("SELECT 1;\n-- no-transaction\nSELECT 1")
            .0
            .no_transaction
    );
    assert!(
        read("-- migrate:up\n-- migrate:no-transaction\nSELECT 1")
            .0
            .no_transaction
    );
    assert!(
        !read("-- Migrate:Up\nSELECT 1").0.text.contains("Up"),
        "case does not count"
    );
}

#[test]
fn hidden_directives_are_none() {
    let (up, down) = sections(
        "-- migrate:revision 1\nSELECT '\n-- migrate:down\n', $$\n-- migrate:xyz\n$$ /*\n-- migrate:up\n*/;",
    );
    assert!(up.directives.is_empty() && down.is_none());
}

#[test]
fn what_is_refused_names_its_line() {
    let head = "-- migrate:revision 1\n";
    for (text, message, line) in [
        (
            "-- migrate:xyz\nSELECT 1",
            "unknown directive \"migrate:xyz\"",
            2,
        ),
        (
            "-- +goose Upp\nSELECT 1",
            "unknown goose annotation \"Upp\"",
            2,
        ),
        (
            "-- migrate:revision 2\nSELECT 1",
            "the revision is given twice",
            2,
        ),
        (
            "-- migrate:message a\n-- migrate:message b\nSELECT 1",
            "the message is given twice",
            3,
        ),
        (
            "-- migrate:up\nSELECT 1;\n-- migrate:up\nSELECT 2",
            "the script has two up sections",
            4,
        ),
        (
            "-- migrate:down\nSELECT 1;\n-- migrate:up\nSELECT 2",
            "the down section stands before the up section",
            2,
        ),
        (
            "-- migrate:up\n-- migrate:message late\nSELECT 1",
            "the directive is about the whole migration and stands in the wrong place",
            3,
        ),
        (
            "SELECT 1;\n-- migrate:depends-on x",
            "the directive is about the whole migration and stands in the wrong place",
            3,
        ),
        (
            "-- migrate:as-written\n-- migrate:up\nSELECT 1",
            "the directive stands before no statement",
            2,
        ),
        (
            "SELECT 1;\n-- migrate:as-written",
            "the directive stands before no statement",
            3,
        ),
        (
            "SELECT 1;\n-- migrate:as-written\n-- migrate:down\nSELECT 1",
            "the directive stands before no statement",
            3,
        ),
        (
            "SELECT\n-- migrate:as-written\n1",
            "the directive stands inside a statement",
            3,
        ),
        (
            "SELECT 1; -- migrate:as-written\nSELECT 2",
            "a directive stands on a line of its own",
            2,
        ),
        (
            "SELECT 1;\n-- migrate:no-transaction\nSELECT 2",
            "the directive is about the whole section and stands in the wrong place",
            3,
        ),
        (
            "-- migrate:up transaction:no\nSELECT 1",
            "unknown option \"transaction:no\"",
            2,
        ),
        (
            "-- migrate:as-written please\nSELECT 1",
            "the directive as-written takes no argument, \"please\" is one too many",
            2,
        ),
        (
            "-- migrate:ignore\nSELECT 1",
            "the directive ignore needs the lint rules",
            2,
        ),
        (
            "-- migrate:message\nSELECT 1",
            "the directive message needs a text",
            2,
        ),
    ] {
        let fault = fault(&format!("{head}{text}"));
        assert_eq!(fault.message, message, "{text}");
        assert!(
            fault
                .detail
                .as_deref()
                .unwrap_or_default()
                .starts_with(&format!("Line {line}: -- ")),
            "{fault:?}"
        );
    }
    let hint = fault("-- migrate:revison 1\nSELECT 1").hint.unwrap();
    assert!(hint.starts_with("Did you mean \"revision\"?"), "{hint}");
    assert!(
        fault("-- migrate:revision 1 afer 2\nSELECT 1")
            .message
            .contains("\"after\"")
    );
    assert!(
        fault("-- migrate:revision 1 after\nSELECT 1")
            .message
            .contains("missing")
    );
    let early = fault("-- migrate:revision 1\nSELECT 1;\n-- migrate:up\nSELECT 2");
    assert_eq!(
        early.detail.as_deref(),
        Some("It is on line 2; -- migrate:up is on line 3.")
    );
}

#[test]
fn a_revision_is_needed_and_statements_too() {
    let missing = fault("SELECT 1");
    assert_eq!(missing.message, "the document does not name its revision");
    assert!(missing.hint.unwrap().contains("-- migrate:revision"));
    let empty =
        fault("-- migrate:revision 1\n-- migrate:up\n-- nothing\n;\n-- migrate:down\nSELECT 1");
    assert_eq!(
        empty.detail.as_deref(),
        Some("Its up section, which begins on line 3, is empty.")
    );
    assert!(
        document("-- migrate:revision m after a, b").is_ok(),
        "a merge has no statements"
    );
    assert_eq!(fault(" \n").message, "the document is empty");
    assert!(
        fault("-- migrate:revision head\nSELECT 1")
            .message
            .contains("cannot be a revision")
    );
    assert!(
        fault("-- migrate:revision 1 after head\nSELECT 1")
            .message
            .contains("cannot be a parent")
    );
}
