//! The cases that stand beside each family of rules.

use crate::{literal, schema};
use std::collections::{BTreeMap, BTreeSet};

const FILES: &[(&str, &str)] = &[
    (
        "rewrites",
        include_str!("../../../pg_migrate/src/lint/rules/rewrites.sql"),
    ),
    (
        "scans",
        include_str!("../../../pg_migrate/src/lint/rules/scans.sql"),
    ),
    (
        "indexes",
        include_str!("../../../pg_migrate/src/lint/rules/indexes.sql"),
    ),
    (
        "partitions",
        include_str!("../../../pg_migrate/src/lint/rules/partitions.sql"),
    ),
    (
        "locks",
        include_str!("../../../pg_migrate/src/lint/rules/locks.sql"),
    ),
    (
        "transactions",
        include_str!("../../../pg_migrate/src/lint/rules/transactions.sql"),
    ),
    (
        "timeouts",
        include_str!("../../../pg_migrate/src/lint/rules/timeouts.sql"),
    ),
    (
        "compatibility",
        include_str!("../../../pg_migrate/src/lint/rules/compatibility.sql"),
    ),
    (
        "types",
        include_str!("../../../pg_migrate/src/lint/rules/types.sql"),
    ),
    (
        "data",
        include_str!("../../../pg_migrate/src/lint/rules/data.sql"),
    ),
    (
        "kinds",
        include_str!("../../../pg_migrate/src/lint/rules/kinds.sql"),
    ),
    (
        "remarks",
        include_str!("../../../pg_migrate/src/lint/rules/remarks.sql"),
    ),
];

/// Rules whose cases are no SQL: other sessions, a standby, a later PostgreSQL.
const ELSEWHERE: [&str; 4] = [
    "lock-held-now",
    "old-transaction",
    "standbys-will-lag",
    "table-locked-now",
];

struct Case {
    family: &'static str,
    rule: String,
    bad: bool,
    sql: String,
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for (family, text) in FILES {
        let mut rule = String::new();
        let mut open: Option<(bool, bool, String)> = None;
        let mut close = |open: &mut Option<(bool, bool, String)>, rule: &str| {
            if let Some((bad, counts, sql)) = open.take()
                && counts
            {
                all.push(Case {
                    family,
                    rule: rule.to_owned(),
                    bad,
                    sql,
                });
            }
        };
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["--", "rule", name] => {
                    close(&mut open, &rule);
                    rule = (*name).to_owned();
                }
                ["--", kind @ ("bad" | "good"), only @ ..] => {
                    close(&mut open, &rule);
                    let version: i32 = crate::schema()
                        .one::<String>("SHOW server_version_num")
                        .parse()
                        .expect("a number");
                    let counts = match only {
                        ["before18"] => version < 180_000,
                        ["pg17"] => version >= 170_000,
                        _ => true,
                    };
                    open = Some((*kind == "bad", counts, String::new()));
                }
                _ => {
                    if let Some((.., sql)) = &mut open {
                        sql.push_str(line);
                        sql.push('\n');
                    }
                }
            }
        }
        close(&mut open, &rule);
    }
    all
}

#[test]
fn every_rule_finds_its_bad_cases_and_lets_its_good_ones_pass() {
    let mut client = schema().connect();
    client
        .batch_execute("SET timezone = 'UTC'")
        .expect("a zone");
    let mut wrong = Vec::new();
    for case in cases() {
        let found = client
            .query(
                &format!(
                    "SELECT DISTINCT rule FROM migrate.lint({})",
                    literal(&case.sql)
                ),
                &[],
            )
            .map(|rows| {
                rows.iter()
                    .map(|row| row.get::<_, String>(0))
                    .collect::<Vec<_>>()
            });
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                wrong.push(format!("{}: {}\n{error:?}", case.rule, case.sql));
                continue;
            }
        };
        if found.contains(&case.rule) != case.bad {
            let kind = if case.bad { "bad" } else { "good" };
            wrong.push(format!(
                "{} ({kind}): {}    found: {found:?}",
                case.rule, case.sql
            ));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_rule_has_bad_and_good_cases_in_the_file_of_its_family() {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut families: BTreeMap<String, &str> = BTreeMap::new();
    for case in cases() {
        let (bad, good) = counts.entry(case.rule.clone()).or_default();
        *(if case.bad { bad } else { good }) += 1;
        families.insert(case.rule, case.family);
    }
    let rules = schema().rows("SELECT rule, family FROM migrate.lint_rules()");
    let plain = |letter: char| letter.is_ascii_lowercase() || letter == '-';
    let names: BTreeSet<&str> = rules.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(names.len(), rules.len(), "every rule has a name of its own");
    assert!(
        names.iter().all(|name| name.chars().all(plain)),
        "{names:?}"
    );
    for row in &rules {
        let (rule, family) = (row[0].as_str(), row[1].as_str());
        if ELSEWHERE.contains(&rule) {
            continue;
        }
        let later = rule == "set-expression";
        let (bad, good) = counts.get(rule).copied().unwrap_or_default();
        assert!(
            (bad > 0 || later) && good > 0,
            "{rule}: {bad} bad, {good} good"
        );
        assert_eq!(families.get(rule), Some(&family), "{rule}");
    }
    for rule in counts.keys() {
        assert!(rules.iter().any(|row| row[0] == *rule), "no rule {rule}");
    }
    assert!(rules.len() > 80, "{} rules", rules.len());
}
