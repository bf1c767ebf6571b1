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
    let mut silent = Vec::new();
    for sql in all {
        let found = lint(db, "rule, message", sql);
        let told = found
            .iter()
            .any(|row| row[0] != "unknown-statement" && row[1].len() > 10);
        if !told {
            silent.push(format!("{sql}: {found:?}"));
        }
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

#[test]
fn all_of_them_in_one_script_have_an_answer_each() {
    let db = schema();
    let all = statements();
    let script = all.join(";\n");
    let found = lint(db, "DISTINCT statement", &script);
    assert_eq!(found.len(), all.len());
}
