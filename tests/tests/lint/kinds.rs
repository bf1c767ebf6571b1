//! Every kind of statement has an answer.

use crate::{lint, schema};

/// One statement of every command tag of PostgreSQL 15 that the grammar can make.
const STATEMENTS: &str = include_str!("kinds.sql");

fn statements() -> Vec<&'static str> {
    STATEMENTS
        .split(";\n")
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .collect()
}

#[test]
fn every_kind_of_statement_has_an_answer() {
    let db = schema();
    let all = statements();
    assert!(all.len() > 170, "{}", all.len());
    for sql in all {
        let found = lint(db, "rule, message", sql);
        assert!(!found.is_empty(), "nothing is said of: {sql}");
        for row in &found {
            assert_ne!(row[0], "unknown-statement", "{sql}");
            assert!(row[1].len() > 10, "{sql}: {row:?}");
        }
    }
}

#[test]
fn all_of_them_in_one_script_have_an_answer_each() {
    let db = schema();
    let all = statements();
    let script = all.join(";\n");
    let found = lint(db, "DISTINCT statement", &script);
    assert_eq!(found.len(), all.len());
}
