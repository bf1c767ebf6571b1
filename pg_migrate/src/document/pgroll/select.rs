//! A bare `SELECT …` where an expression is expected.

use serde_json::Value;

/// Words that make more of a SELECT than its one expression.
const CLAUSES: [&str; 18] = [
    "all",
    "as",
    "distinct",
    "except",
    "fetch",
    "for",
    "from",
    "group",
    "having",
    "intersect",
    "into",
    "limit",
    "offset",
    "order",
    "select",
    "union",
    "where",
    "window",
];

/// `SELECT expression` becomes the expression, which is read faster and in more places; any other
/// SELECT is put in parentheses.
pub(super) fn unwrap(value: &mut Value) {
    let Value::String(text) = value else { return };
    let trimmed = text.trim();
    let Some((word, rest)) = trimmed.split_at_checked("select".len()) else {
        return;
    };
    let ends = |rest: &str| rest.starts_with(|c: char| c.is_whitespace() || c == '(');
    if !word.eq_ignore_ascii_case("select") || !ends(rest) {
        return;
    }
    *text = match plain(rest) {
        true => rest.trim().to_owned(),
        false => format!("({trimmed})"),
    };
}

/// Whether there is nothing but one expression, as far as can be told without a parser: in doubt
/// it is not.
fn plain(text: &str) -> bool {
    if text.contains(['\\', '$', ';']) || text.contains("--") || text.contains("/*") {
        return false;
    }
    let (mut depth, mut quote) = (0_usize, None);
    let mut word = String::new();
    for letter in text.chars().chain(std::iter::once(' ')) {
        if quote.is_some() {
            if quote == Some(letter) {
                quote = None;
            }
            continue;
        }
        if letter.is_alphanumeric() || letter == '_' {
            word.extend(letter.to_lowercase());
            continue;
        }
        if depth == 0 && CLAUSES.contains(&word.as_str()) {
            return false;
        }
        word.clear();
        match letter {
            '\'' | '"' => quote = Some(letter),
            '(' | '[' => depth += 1,
            ')' | ']' => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return false,
            },
            ',' if depth == 0 => return false,
            _ => {}
        }
    }
    depth == 0 && quote.is_none() && !text.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    #[test]
    fn an_expression_is_taken_out_and_a_query_stays_one() {
        for (written, read) in [
            ("SELECT a", "a"),
            (
                " select\tCASE WHEN a IS NULL THEN 'x, from' ELSE b END ",
                "CASE WHEN a IS NULL THEN 'x, from' ELSE b END",
            ),
            ("SELECT(a)", "(a)"),
            ("SELECT (SELECT max(b) FROM t)", "(SELECT max(b) FROM t)"),
            ("SELECT extract(year FROM a)", "extract(year FROM a)"),
            ("SELECT CAST(a AS text)", "CAST(a AS text)"),
            (
                "SELECT a FROM t WHERE t.id = x",
                "(SELECT a FROM t WHERE t.id = x)",
            ),
            (
                "SELECT a IS DISTINCT FROM b",
                "(SELECT a IS DISTINCT FROM b)",
            ),
            ("SELECT a AS b", "(SELECT a AS b)"),
            ("SELECT a, b", "(SELECT a, b)"),
            ("SELECT E'it\\'s'", "(SELECT E'it\\'s')"),
            ("SELECT 1 -- one", "(SELECT 1 -- one)"),
            ("SELECT", "SELECT"),
            ("selected", "selected"),
            ("lower(a)", "lower(a)"),
        ] {
            let mut value = Value::from(written);
            super::unwrap(&mut value);
            assert_eq!(value, read, "{written}");
        }
    }
}
