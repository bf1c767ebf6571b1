//! One object for each finding, with the columns of `migrate.lint`.

use crate::lint::finding::{Finding, blocks};
use serde_json::{Value, json};

pub fn json(findings: &[Finding]) -> String {
    let list: Vec<Value> = findings.iter().map(object).collect();
    Value::Array(list).to_string()
}

/// Every relation it locks, with the lock.
pub fn locks(finding: &Finding) -> Value {
    let pairs = finding.deed.locks.iter().chain(&finding.deed.indexes);
    pairs
        .map(|(key, lock)| (key.clone(), Value::from(lock.mode())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn object(finding: &Finding) -> Value {
    let (size, duration) = finding.size_and_duration();
    json!({
        "statement": finding.deed.statement,
        "line": finding.deed.line,
        "rule": finding.rule,
        "severity": finding.severity.word(),
        "relation": finding.relation,
        "lock": finding.lock.or(finding.deed.lock).map(|lock| lock.mode()),
        "rewrites": finding.deed.rewrites,
        "scans": finding.deed.scans,
        "blocks": finding.lock.or(finding.deed.lock).map(blocks),
        "size": size,
        "duration": duration,
        "message": finding.message,
        "recipe": finding.recipe,
        "operation": finding.deed.operation,
        "locks": locks(finding),
        "sql": finding.deed.sql,
    })
}
