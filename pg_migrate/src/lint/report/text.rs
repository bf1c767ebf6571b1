//! For people: one paragraph for each hazard.

use crate::lint::finding::{Finding, Severity, blocks};
use std::fmt::Write;

pub fn text(findings: &[Finding], file: &str) -> String {
    let mut out = String::new();
    let mut counts = [0; 4];
    for finding in findings {
        counts[finding.severity as usize] += 1;
        if finding.severity == Severity::Safe {
            continue;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{file}:{}: {}[{}]: {}",
            finding.deed.line,
            finding.severity.word(),
            finding.rule,
            finding.message
        );
        let _ = writeln!(out, "    {}", first_line(&finding.deed.sql));
        let mut facts = Vec::new();
        if let (Some(relation), Some(lock)) = (&finding.relation, finding.lock) {
            facts.push(format!(
                "{} on {relation}, blocks {}",
                lock.mode(),
                blocks(lock)
            ));
        }
        let (size, duration) = finding.size_and_duration();
        facts.extend(size);
        facts.extend(duration);
        if !facts.is_empty() {
            let _ = writeln!(out, "    {}", facts.join("; "));
        }
        if let Some(recipe) = &finding.recipe {
            for line in recipe.lines() {
                let _ = writeln!(out, "    | {line}");
            }
        }
        out.push('\n');
    }
    let statements = findings
        .iter()
        .map(|finding| finding.deed.statement)
        .max()
        .unwrap_or(0);
    let _ = write!(
        out,
        "{}: {}, {}, {} advice",
        counted(statements, "statement"),
        counted(counts[Severity::Error as usize], "error"),
        counted(counts[Severity::Warning as usize], "warning"),
        counts[Severity::Advice as usize]
    );
    out
}

fn counted(number: i32, word: &str) -> String {
    match number {
        1 => format!("1 {word}"),
        _ => format!("{number} {word}s"),
    }
}

/// What is shown of a statement.
pub fn first_line(sql: &str) -> String {
    const SHOWN: usize = 100;
    let line = sql.lines().next().unwrap_or_default().trim_end();
    let cut = line.chars().count() > SHOWN || sql.trim_end().contains('\n');
    let shown: String = line.chars().take(SHOWN).collect();
    if cut { format!("{shown} …") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::first_line;

    #[test]
    fn a_long_statement_is_shown_by_its_first_line() {
        assert_eq!(first_line("SELECT 1"), "SELECT 1");
        assert_eq!(first_line("SELECT\n1"), "SELECT …");
        assert_eq!(first_line(&"é".repeat(200)).chars().count(), 102);
    }
}
