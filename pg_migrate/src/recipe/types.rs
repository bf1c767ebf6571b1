//! What the names of types say, and the renaming of an identifier inside an expression.

use crate::pg::parser::before_collation;
use crate::recipe::facts::Column;
use crate::recipe::quote::ident;

/// The collation that a column has which names none.
const DEFAULT: &str = "\"default\"";

/// The column's type as the way back from `new_type` has to name it: without a collation it would
/// keep that of the new one.
pub fn back_from(column: &Column, new_type: &str) -> String {
    let (data_type, collation) = before_collation(new_type);
    match &column.collation {
        Some(collation) => format!("{} COLLATE {collation}", column.data_type),
        None if !collation.is_empty() && data_type.trim() == column.data_type => {
            format!("{} COLLATE {DEFAULT}", column.data_type)
        }
        None => column.data_type.clone(),
    }
}

/// Whether a column is of the type as it was asked for; a type that says no collation is meant with
/// its own.
pub fn same_type(column: &Column, wanted: &str) -> bool {
    let (data_type, collation) = before_collation(wanted);
    let bare = |name: &str| {
        let name = name.trim();
        let name = name.get(7..).filter(|_| {
            name.get(..7)
                .is_some_and(|word| word.eq_ignore_ascii_case("collate"))
        });
        name.map(|name| name.trim().trim_start_matches("pg_catalog."))
            .filter(|name| *name != DEFAULT)
            .map(str::to_owned)
    };
    let has = column
        .collation
        .as_ref()
        .map(|name| name.trim_start_matches("pg_catalog.").to_owned());
    data_type.trim() == column.data_type && bare(collation) == has
}

fn is_zoned(data_type: &str) -> bool {
    data_type.starts_with("timestamp") && data_type.ends_with("with time zone")
}

fn is_local(data_type: &str) -> bool {
    data_type == "date"
        || (data_type.starts_with("time") && data_type.ends_with("without time zone"))
}

/// Whether the cast goes by the session's time zone: a writer's may be another than the one in
/// which the change was asked for.
pub fn depends_on_zone(from: &str, to: &str) -> bool {
    (is_zoned(from) && is_local(to)) || (is_local(from) && is_zoned(to))
}

/// That cast of `value` in the time zone `zone` (an SQL literal), whatever the session's is.
pub fn zoned(value: &str, from: &str, to: &str, zone: &str) -> String {
    let middle = if from == "date" { "::timestamp" } else { "" };
    format!("(({value}{middle}) AT TIME ZONE {zone})::{to}")
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
    fn a_time_zone_is_pinned_only_where_it_counts() {
        let (plain, zoned_type) = ("timestamp without time zone", "timestamp with time zone");
        assert!(depends_on_zone(plain, zoned_type) && depends_on_zone(zoned_type, "date"));
        assert!(!depends_on_zone(plain, "date") && !depends_on_zone("text", zoned_type));
        assert_eq!(
            zoned("d", "date", zoned_type, "'Europe/Paris'"),
            "((d::timestamp) AT TIME ZONE 'Europe/Paris')::timestamp with time zone"
        );
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
