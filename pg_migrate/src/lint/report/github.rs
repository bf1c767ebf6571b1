//! Annotations of GitHub's workflow commands: one line for each hazard.

use crate::lint::finding::{Finding, Severity};

pub fn github(findings: &[Finding], file: &str) -> String {
    let lines: Vec<String> = findings
        .iter()
        .filter_map(|finding| {
            let command = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Advice => "notice",
                Severity::Safe => return None,
            };
            let message = match &finding.recipe {
                Some(recipe) => format!("{}\n{recipe}", finding.message),
                None => finding.message.clone(),
            };
            Some(format!(
                "::{command} file={},line={},title={}::{}",
                property(file),
                finding.deed.line,
                property(finding.rule),
                data(&message)
            ))
        })
        .collect();
    lines.join("\n")
}

/// As the runner unescapes a message.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// As it unescapes a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_command_is_escaped() {
        assert_eq!(data("50% a\nb"), "50%25 a%0Ab");
        assert_eq!(property("c:\\a,b"), "c%3A\\a%2Cb");
    }
}
