//! SARIF 2.1.0 (OASIS), as code scanning tools read it.

use crate::lint::finding::{Finding, Severity};
use crate::lint::rule;
use serde_json::{Value, json};

pub fn sarif(findings: &[Finding], file: &str) -> String {
    let rules: Vec<(&str, &rule::Rule)> = rule::all().collect();
    let listed: Vec<Value> = rules
        .iter()
        .map(|(family, rule)| {
            json!({
                "id": rule.name,
                "shortDescription": { "text": rule.summary },
                "defaultConfiguration": { "level": level(rule.severity) },
                "properties": { "family": family }
            })
        })
        .collect();
    let results: Vec<Value> = findings
        .iter()
        .filter(|finding| finding.severity > Severity::Safe)
        .map(|finding| {
            let text = match &finding.recipe {
                Some(recipe) => format!("{}\n\n{recipe}", finding.message),
                None => finding.message.clone(),
            };
            let lines = i32::try_from(finding.deed.sql.lines().count()).unwrap_or(1);
            let mut result = json!({
                "ruleId": finding.rule,
                "level": level(finding.severity),
                "message": { "text": text },
                "locations": [{
                    "physicalLocation": {
                        "artifactLocation": { "uri": uri(file) },
                        "region": {
                            "startLine": finding.deed.line,
                            "endLine": finding.deed.line + lines.max(1) - 1
                        }
                    }
                }]
            });
            let place = rules.iter().position(|(_, rule)| rule.name == finding.rule);
            if let (Some(place), Some(map)) = (place, result.as_object_mut()) {
                map.insert("ruleIndex".into(), place.into());
            }
            result
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "pg_migrate",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": listed
            } },
            "columnKind": "unicodeCodePoints",
            "results": results
        }]
    })
    .to_string()
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "note",
        Severity::Safe => "none",
    }
}

/// A relative reference (RFC 3986): what cannot stand in one is percent-encoded.
fn uri(file: &str) -> String {
    let mut out = String::new();
    for byte in file.replace('\\', "/").bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn a_file_is_a_uri() {
        assert_eq!(uri("db\\0007 é.sql"), "db/0007%20%C3%A9.sql");
    }
}
