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
        let told = found.iter().any(|row| row[1].len() > 10);
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

/// Tags that no statement of the grammar has before it runs.
const NO_STATEMENT: [&str; 16] = [
    "???",
    "ALTER ACCESS METHOD",
    "ALTER CAST",
    "ALTER CONSTRAINT",
    "ALTER TRANSFORM",
    "CLOSE",
    "COPY FROM",
    "CREATE CONSTRAINT",
    "CREATE ROUTINE",
    "DISCARD",
    "DROP CONSTRAINT",
    "LOGIN",
    "SELECT FOR KEY SHARE",
    "SELECT FOR NO KEY UPDATE",
    "SELECT FOR SHARE",
    "SELECT FOR UPDATE",
];

/// The tags as the server was built with them.
fn tags() -> Vec<String> {
    let run = |program: &std::path::Path, arguments: &[&str]| {
        let done = std::process::Command::new(program)
            .args(arguments)
            .output()
            .expect("it starts");
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    };
    let tool = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/pg_config");
    let includes = run(run(&tool, &[]).as_ref(), &["--includedir-server"]);
    let header = std::path::Path::new(&includes).join("tcop/cmdtaglist.h");
    std::fs::read_to_string(header)
        .expect("the server's headers")
        .lines()
        .filter_map(|line| line.strip_prefix("PG_CMDTAG("))
        .filter_map(|line| line.split('"').nth(1).map(str::to_owned))
        .collect()
}

#[test]
fn every_command_tag_of_the_server_has_a_statement_here() {
    // Behind a statement that fails none is run; they are told apart all the same.
    let script = format!("SELECT 1 / 0;\n{}", statements().join(";\n"));
    let found: std::collections::BTreeSet<String> = schema()
        .rows(&format!(
            "SELECT DISTINCT kind FROM migrate.trace({})",
            crate::literal(&script)
        ))
        .concat()
        .into_iter()
        .collect();
    let missing: Vec<String> = tags()
        .into_iter()
        .filter(|tag| !found.contains(tag) && !NO_STATEMENT.contains(&tag.as_str()))
        .collect();
    assert!(tags().len() > 190 && missing.is_empty(), "{missing:?}");
}
