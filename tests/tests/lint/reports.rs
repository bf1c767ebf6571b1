//! Findings as text for people and machines.

use crate::{literal, schema};
use serde_json::Value;

const SCRIPT: &str =
    "SELECT 1;\nDROP TABLE orders;\nALTER TABLE users\n    ADD COLUMN z float DEFAULT random();";

fn report(format: &str, file: &str) -> String {
    schema().one(&format!(
        "SELECT migrate.lint_report({}, '{format}', '{file}')",
        literal(SCRIPT)
    ))
}

#[test]
fn json_has_the_columns_of_lint() {
    let found: Value = serde_json::from_str(&report("json", "x.sql")).expect("JSON");
    let list = found.as_array().expect("a list");
    let rows = schema().rows(&format!(
        "SELECT statement, rule FROM migrate.lint({})",
        literal(SCRIPT)
    ));
    assert_eq!(list.len(), rows.len());
    for (object, row) in list.iter().zip(rows) {
        assert_eq!(object["statement"].to_string(), row[0]);
        assert_eq!(object["rule"], row[1]);
        for column in [
            "line",
            "severity",
            "relation",
            "lock",
            "rewrites",
            "scans",
            "blocks",
            "size",
            "duration",
            "message",
            "recipe",
            "operation",
            "locks",
            "sql",
        ] {
            assert!(object.get(column).is_some(), "{column}");
        }
    }
}

#[test]
fn github_has_a_line_for_each_hazard() {
    let text = report("github", "db/0007, new.sql");
    let line = text
        .lines()
        .find(|line| line.contains("volatile-default"))
        .expect("an annotation");
    assert!(
        line.starts_with("::error file=db/0007%2C new.sql,line=3,title=volatile-default::"),
        "{line}"
    );
    assert!(line.contains("%0A"), "{line}");
    assert!(!text.contains("title=safe"), "{text}");
}

#[test]
fn text_shows_place_rule_lock_and_recipe() {
    let text = report("text", "0007.sql");
    for part in [
        "0007.sql:2: error[drop-table]: ",
        "0007.sql:3: error[volatile-default]: ",
        "    ACCESS EXCLUSIVE on public.users, blocks reads and writes",
        "    | SELECT migrate.apply($sql$",
        "3 statements: 2 errors, ",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

/// What the schema of SARIF 2.1.0 asks of the parts that are used.
#[test]
fn sarif_is_valid() {
    let log: Value = serde_json::from_str(&report("sarif", "db/a b.sql")).expect("JSON");
    assert_eq!(log["version"], "2.1.0");
    let runs = log["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 1);
    let driver = &runs[0]["tool"]["driver"];
    assert!(driver["name"].is_string());
    let rules = driver["rules"].as_array().expect("rules");
    let levels = ["none", "note", "warning", "error"];
    for rule in rules {
        assert!(rule["id"].is_string() && rule["shortDescription"]["text"].is_string());
        let level = rule["defaultConfiguration"]["level"]
            .as_str()
            .expect("a level");
        assert!(levels.contains(&level));
    }
    let results = runs[0]["results"].as_array().expect("results");
    assert!(results.len() > 3);
    for result in results {
        let at = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
        assert_eq!(rules[at]["id"], result["ruleId"]);
        assert!(levels.contains(&result["level"].as_str().expect("a level")));
        assert!(
            !result["message"]["text"]
                .as_str()
                .expect("a text")
                .is_empty()
        );
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "db/a%20b.sql");
        let (first, last) = (
            place["region"]["startLine"].as_i64().expect("a line"),
            place["region"]["endLine"].as_i64().expect("a line"),
        );
        assert!(first >= 1 && last >= first);
    }
}

#[test]
fn an_unknown_format_is_named() {
    let failure = schema().error("SELECT migrate.lint_report('SELECT 1', 'sarf')");
    assert_eq!(failure.message, "unknown format \"sarf\"");
    assert_eq!(failure.hint, "Did you mean \"sarif\"?");
}
