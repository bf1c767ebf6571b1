//! Where in the migration an error is.

use crate::document::model::Operation;
use crate::fault::Fault;

/// Of a document: the operation's number and kind.
pub fn in_operation(fault: Fault, number: usize, operation: &Operation) -> Fault {
    let place = format!("operations[{number}].{}", operation.kind());
    Fault {
        detail: Some(match fault.detail {
            Some(detail) => format!("{detail} (in {place})"),
            None => format!("In {place}."),
        }),
        ..fault
    }
}

/// Of a script: the statement's beginning, on one line.
pub fn in_statement(fault: Fault, sql: &str) -> Fault {
    const LETTERS: usize = 160;
    let mut text = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = text.char_indices().nth(LETTERS) {
        text.truncate(end);
        text.push('…');
    }
    Fault {
        detail: Some(match fault.detail {
            Some(detail) => format!("{detail}\nStatement: {text}"),
            None => format!("Statement: {text}"),
        }),
        ..fault
    }
}

#[cfg(test)]
mod tests {
    use super::in_statement;
    use crate::fault::Fault;

    #[test]
    fn a_long_statement_is_cut() {
        let detail = |sql: &str| in_statement(Fault::invalid("x"), sql).detail;
        assert_eq!(
            detail("DROP TABLE\n    größe").as_deref(),
            Some("Statement: DROP TABLE größe")
        );
        let long = detail(&"ä".repeat(500)).unwrap_or_default();
        assert_eq!(long.chars().count(), "Statement: ".len() + 161);
        assert!(long.ends_with('…'), "{long}");
    }
}
