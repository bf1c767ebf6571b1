//! Which type changes are metadata only, and the renaming of an identifier inside an expression.

use crate::recipe::quote::ident;

/// A canonical type name split into its base and its modifiers.
fn parts(data_type: &str) -> (String, Vec<i64>) {
    match (data_type.find('('), data_type.find(')')) {
        (Some(open), Some(close)) if open < close => {
            let modifiers = data_type[open + 1..close]
                .split(',')
                .filter_map(|part| part.trim().parse().ok())
                .collect();
            (
                format!("{}{}", &data_type[..open], &data_type[close + 1..]),
                modifiers,
            )
        }
        _ => (data_type.to_owned(), Vec::new()),
    }
}

/// Whether PostgreSQL changes the type without rewriting the table or rebuilding an index.
/// Both names as `format_type` prints them. Measured on PostgreSQL 15; `timestamp` ↔ `timestamptz`
/// depends on the session's time zone and so never counts.
pub fn metadata_only(old: &str, new: &str) -> bool {
    let ((from, was), (to, is)) = (parts(old), parts(new));
    let longer = |unlimited_is_max: bool| match (was.first(), is.first()) {
        (_, None) => unlimited_is_max,
        (Some(was), Some(is)) => is >= was,
        (None, Some(_)) => false,
    };
    match (from.as_str(), to.as_str()) {
        ("character varying", "character varying") => longer(true),
        ("character varying", "text") => true,
        ("text", "character varying") => is.is_empty(),
        ("bit varying", "bit varying") => longer(true),
        ("bit", "bit varying") => is.is_empty() || longer(true),
        ("cidr", "inet") | ("xml", "text") => true,
        ("numeric", "numeric") => {
            is.is_empty() || (was.len() == 2 && is.len() == 2 && is[1] == was[1] && is[0] >= was[0])
        }
        (a, b)
            if a == b
                && (a.starts_with("timestamp") || a.starts_with("time") || a == "interval") =>
        {
            longer(true)
        }
        _ => false,
    }
}

/// Renames the identifier `from` to `to` in an SQL expression: not inside strings, not as the name
/// of a function or of a type in a cast.
pub fn rename_identifier(expression: &str, from: &str, to: &str) -> String {
    let chars: Vec<char> = expression.chars().collect();
    let mut out = String::with_capacity(expression.len());
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        if c == '\'' {
            let end = closing(&chars, at, '\'');
            out.extend(&chars[at..end]);
            at = end;
        } else if c == '"' {
            let end = closing(&chars, at, '"');
            let text: String = chars[at..end].iter().collect();
            let name = text.trim_matches('"').replace("\"\"", "\"");
            out.push_str(&if name == from { ident(to) } else { text });
            at = end;
        } else if c.is_alphabetic() || c == '_' {
            let mut end = at;
            while end < chars.len()
                && (chars[end].is_alphanumeric() || matches!(chars[end], '_' | '$'))
            {
                end += 1;
            }
            let word: String = chars[at..end].iter().collect();
            let call = chars[end..].iter().find(|c| !c.is_whitespace()) == Some(&'(');
            let cast = out.trim_end().ends_with("::");
            let hit = word.to_lowercase() == from && !call && !cast;
            out.push_str(&if hit { ident(to) } else { word });
            at = end;
        } else {
            out.push(c);
            at += 1;
        }
    }
    out
}

fn closing(chars: &[char], open: usize, quote: char) -> usize {
    let mut at = open + 1;
    while at < chars.len() {
        if chars[at] == quote {
            if chars.get(at + 1) == Some(&quote) {
                at += 2;
                continue;
            }
            return at + 1;
        }
        at += 1;
    }
    chars.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_whole_list() {
        for (old, new) in [
            ("character varying(50)", "character varying(100)"),
            ("character varying(50)", "character varying"),
            ("character varying(50)", "text"),
            ("text", "character varying"),
            ("numeric(10,2)", "numeric(12,2)"),
            ("numeric(10,2)", "numeric"),
            (
                "timestamp(3) without time zone",
                "timestamp(6) without time zone",
            ),
            ("time(3) without time zone", "time(6) without time zone"),
            ("interval(3)", "interval"),
            ("cidr", "inet"),
            ("bit varying(8)", "bit varying(16)"),
            ("xml", "text"),
        ] {
            assert!(metadata_only(old, new), "{old} to {new}");
        }
        for (old, new) in [
            ("character varying(50)", "character varying(20)"),
            ("text", "character varying(100)"),
            ("numeric(10,2)", "numeric(12,3)"),
            ("numeric", "numeric(12,3)"),
            ("integer", "bigint"),
            ("character(10)", "text"),
            ("timestamp without time zone", "timestamp with time zone"),
            (
                "timestamp without time zone",
                "timestamp(3) without time zone",
            ),
            ("json", "jsonb"),
            ("inet", "cidr"),
        ] {
            assert!(!metadata_only(old, new), "{old} to {new}");
        }
    }

    #[test]
    fn renames_only_the_column() {
        let renamed = |text: &str| rename_identifier(text, "total", "total_pgm_new");
        assert_eq!(renamed("total / 100"), "total_pgm_new / 100");
        assert_eq!(
            renamed("total(total) || 'total'"),
            "total(total_pgm_new) || 'total'"
        );
        assert_eq!(renamed("x::total"), "x::total");
        assert_eq!(
            renamed("\"total\" + TOTAL"),
            "total_pgm_new + total_pgm_new"
        );
        assert_eq!(renamed("t.total"), "t.total_pgm_new");
    }
}
