//! SQL texts of a backfill: its assignments, which rows are still to be done, and the windows they
//! are looked for in. Knows no PostgreSQL; identifiers come in quoted.

use crate::ledger::Copying;
use crate::pg::assign::Target;
use crate::recipe::quote::ident;

/// One assignment, ready for SQL.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// Quoted.
    pub column: String,
    pub expression: String,
    /// The column's type with its modifier, schema-qualified.
    pub data_type: String,
    /// `IS NULL` may be true of a value that is there: a composite, or a domain over one.
    pub composite: bool,
}

/// `expression` as an operand. The line break ends a comment at the end of the expression.
pub fn operand(expression: &str) -> String {
    format!("(\n{expression}\n)")
}

/// The SET list of an UPDATE.
pub fn set_list<'a>(assignments: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    assignments
        .into_iter()
        .map(|(column, expression)| format!("{column} = {}", operand(expression)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What tells a row that is still to be done from one that has the values it would be given.
/// Images are compared, not values: that works for every type, and what was stored has exactly the
/// image that was computed. The casts keep PostgreSQL from comparing column by column. Most rows
/// hold a null, which is told at a fraction of the cost.
pub fn differs(assignments: &[Assignment]) -> String {
    assignments
        .iter()
        .map(|a| {
            let now = &a.column;
            let then = format!("CAST({} AS {})", operand(&a.expression), a.data_type);
            let images = format!(
                "CAST(ROW({now}) AS pg_catalog.record) OPERATOR(pg_catalog.*<>) CAST(ROW({then}) AS pg_catalog.record)"
            );
            if a.composite {
                return images;
            }
            format!("CASE WHEN {now} IS NULL THEN {then} IS NOT NULL ELSE {images} END")
        })
        .collect::<Vec<_>>()
        .join(" OR ")
}

/// Rows still to be done: the user's predicate, what was derived, or both.
pub fn condition(predicate: Option<&str>, derived: Option<&str>) -> String {
    match (predicate, derived) {
        (Some(given), Some(derived)) => format!("{} AND ({derived})", operand(given)),
        (Some(given), None) => operand(given),
        (None, Some(derived)) => format!("({derived})"),
        (None, None) => "true".to_owned(),
    }
}

/// The statement that copies rows of `from` (called `alias`) where they are not yet.
pub fn copying(copy: &Copying, from: &str, alias: &str, which: &str) -> String {
    let columns: Vec<_> = copy.columns.iter().map(|name| ident(name)).collect();
    let values: Vec<_> = columns
        .iter()
        .map(|name| format!("{alias}.{name}"))
        .collect();
    format!(
        "INSERT INTO {} ({}) SELECT {} FROM {from} AS {alias} WHERE {which} ON CONFLICT DO NOTHING",
        copy.into,
        columns.join(", "),
        values.join(", ")
    )
}

/// The blocks `[first, end)` of a heap, in the form that a TID Range Scan answers.
pub fn window(alias: &str, first: i64, end: i64) -> String {
    format!(
        "{alias}.ctid >= '({first},0)'::pg_catalog.tid AND {alias}.ctid < '({end},0)'::pg_catalog.tid"
    )
}

/// Single rows by their place.
pub fn rows(alias: &str, tids: &[String]) -> String {
    format!("{alias}.ctid = ANY ({})", tid_array(tids))
}

pub fn tid_array(tids: &[String]) -> String {
    let list: Vec<_> = tids.iter().map(|tid| format!("\"{tid}\"")).collect();
    format!("'{{{}}}'::pg_catalog.tid[]", list.join(","))
}

/// The block of a tid's text form, `(block,offset)`.
pub fn block_of(tid: &str) -> Option<i64> {
    tid.strip_prefix('(')?.split(',').next()?.parse().ok()
}

/// Cuts a SET list into columns and expressions, given where each assignment begins.
/// `None`: the text does not read as expected.
pub fn cut(list: &str, targets: &[Target]) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    for (i, target) in targets.iter().enumerate() {
        let piece = match targets.get(i + 1) {
            // Between two assignments there is one comma, and perhaps comments around it.
            Some(next) => {
                let piece = list.get(target.start..next.start)?;
                piece.get(..piece.rfind(',')?)?
            }
            None => list.get(target.start..)?,
        };
        let expression = after_name(piece)?.trim_start().strip_prefix('=')?.trim();
        if expression.is_empty() {
            return None;
        }
        found.push((target.column.clone(), expression.to_owned()));
    }
    Some(found)
}

/// What follows an identifier.
fn after_name(text: &str) -> Option<&str> {
    let mut rest = match text.strip_prefix('"') {
        None => text.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_' || c == '$'),
        Some(quoted) => {
            let mut rest = quoted;
            loop {
                rest = rest.get(rest.find('"')? + 1..)?;
                match rest.strip_prefix('"') {
                    Some(more) => rest = more,
                    None => break rest,
                }
            }
        }
    };
    while let Some(comment) = rest.trim_start().strip_prefix("/*") {
        rest = comment.get(comment.find("*/")? + 2..)?;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(starts: &[(&str, usize)]) -> Vec<Target> {
        starts
            .iter()
            .map(|&(column, start)| Target {
                column: column.into(),
                start,
            })
            .collect()
    }

    #[test]
    fn a_set_list_is_cut_at_its_assignments() {
        let list = r#"total_cents = total * 100, "odd "" = name" = f(y, '='), z /* = */ = 1"#;
        let starts = [
            ("total_cents", 0),
            ("odd \" = name", list.find('"').unwrap_or(0)),
            ("z", list.rfind('z').unwrap_or(0)),
        ];
        let cut = cut(list, &targets(&starts));
        let expected = [
            ("total_cents", "total * 100"),
            ("odd \" = name", "f(y, '=')"),
            ("z", "1"),
        ];
        let expected = expected.map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(cut, Some(expected.to_vec()));
    }

    #[test]
    fn what_does_not_read_as_expected_is_refused() {
        assert_eq!(cut("a == 1", &targets(&[("a", 9)])), None);
        assert_eq!(cut("a =", &targets(&[("a", 0)])), None);
        assert_eq!(cut("\"a = 1", &targets(&[("a", 0)])), None);
    }

    #[test]
    fn a_comment_in_an_expression_swallows_nothing() {
        let text = condition(Some("a > 1 -- only these"), Some("b"));
        assert_eq!(text, "(\na > 1 -- only these\n) AND (b)");
        assert_eq!(condition(None, None), "true");
        // Others put AND before it.
        assert_eq!(condition(None, Some("a OR b")), "(a OR b)");
        assert_eq!(
            set_list([("a", "1 --x"), ("\"B\"", "2")]),
            "a = (\n1 --x\n), \"B\" = (\n2\n)"
        );
    }

    #[test]
    fn rows_that_differ_are_found_by_image() {
        let all = [Assignment {
            column: "n".into(),
            expression: "m".into(),
            data_type: "numeric(10,2)".into(),
            composite: true,
        }];
        let images = "CAST(ROW(n) AS pg_catalog.record) OPERATOR(pg_catalog.*<>) \
                      CAST(ROW(CAST((\nm\n) AS numeric(10,2))) AS pg_catalog.record)";
        assert_eq!(differs(&all), images);
        let [one] = all;
        let plain = Assignment {
            composite: false,
            ..one.clone()
        };
        let cheap = format!(
            "CASE WHEN n IS NULL THEN CAST((\nm\n) AS numeric(10,2)) IS NOT NULL ELSE {images} END"
        );
        assert_eq!(differs(&[plain, one]), format!("{cheap} OR {images}"));
    }

    #[test]
    fn tids_are_read_and_written() {
        assert_eq!(block_of("(42,7)"), Some(42));
        assert_eq!(block_of("x"), None);
        assert_eq!(
            rows("t", &["(0,1)".into(), "(5,2)".into()]),
            "t.ctid = ANY ('{\"(0,1)\",\"(5,2)\"}'::pg_catalog.tid[])"
        );
    }
}
