//! What may be the name of a revision, of a label, of a table and of a column.

use crate::fault::{Fault, Result};

/// Characters of a revision id at most.
const REVISION_LENGTH: usize = 128;

/// Bytes of a PostgreSQL identifier at most (`NAMEDATALEN` - 1).
const IDENTIFIER_LENGTH: usize = 63;

/// Words that mean a place in history.
const RESERVED: [&str; 3] = ["head", "heads", "base"];

/// A revision id or a branch label; `what` says which, in the error.
pub fn revision(what: &str, id: &str) -> Result<()> {
    let refuse = |why: String| {
        Err(Fault::invalid(format!("\"{}\" cannot be {what}", id.escape_debug()))
            .detail(why)
            .hint("Use 1 to 128 letters, digits, \"_\", \"-\" and \".\"; not a word like head or base, and no \"-\" in front."))
    };
    if id.is_empty() {
        return refuse("It is empty.".to_owned());
    }
    if id.chars().count() > REVISION_LENGTH {
        return refuse(format!("It has {} characters.", id.chars().count()));
    }
    if RESERVED.iter().any(|word| word.eq_ignore_ascii_case(id)) {
        return refuse(format!("The word {id} means a place in the history."));
    }
    if id.starts_with('-') || id.starts_with('+') {
        return refuse(
            "A word that begins with + or - counts steps from where the database is.".to_owned(),
        );
    }
    match id
        .chars()
        .find(|c| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')))
    {
        Some(wrong) => refuse(format!("It contains \"{}\".", wrong.escape_debug())),
        None => Ok(()),
    }
}

/// A name of a column, a constraint or an index: the bare name, without quotes.
pub fn bare(name: &str) -> std::result::Result<(), Fault> {
    if name.is_empty() {
        return Err(Fault::invalid("a name is empty"));
    }
    if name.contains('\0') {
        return Err(Fault::invalid("a name contains the null character"));
    }
    if name.len() > IDENTIFIER_LENGTH {
        let mut keep = IDENTIFIER_LENGTH;
        while !name.is_char_boundary(keep) {
            keep -= 1;
        }
        return Err(Fault::invalid(format!("the name \"{name}\" is too long"))
            .detail(format!(
                "It has {} bytes; PostgreSQL would cut it to the {IDENTIFIER_LENGTH} of \"{}\".",
                name.len(),
                &name[..keep]
            ))
            .hint("Choose a shorter name."));
    }
    Ok(())
}

/// A name of a table or an index as SQL text: `orders`, `app.orders`, `app."Order lines"`.
pub fn sql(name: &str) -> Result<()> {
    let refuse = |why: &str| {
        Err(Fault::invalid(format!("\"{}\" is not a name", name.escape_debug()))
            .detail(why.to_owned())
            .hint("Write table or schema.table, with double quotes around a part that is not plain: app.\"Order lines\"."))
    };
    let mut rest = name.trim();
    if rest.is_empty() {
        return refuse("It is empty.");
    }
    for count in 1.. {
        let (part, after) = match rest.strip_prefix('"') {
            Some(quoted) => match closing(quoted) {
                Some(end) => (quoted[..end].replace("\"\"", "\""), &quoted[end + 1..]),
                None => return refuse("A double quote is not closed."),
            },
            None => {
                let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
                let end = rest.find(|c| !plain(c)).unwrap_or(rest.len());
                if rest.starts_with(|c: char| c.is_ascii_digit() || c == '$') {
                    return refuse("A part begins with a digit.");
                }
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        bare(&part).or_else(|fault| {
            if part.is_empty() {
                refuse("A part of it is empty.")
            } else {
                Err(fault)
            }
        })?;
        let after = after.trim_start();
        if after.is_empty() {
            return if count > 3 {
                refuse("It has more than three parts.")
            } else {
                Ok(())
            };
        }
        match after.strip_prefix('.') {
            Some(next) => rest = next.trim_start(),
            None => return refuse("It has a character that needs double quotes."),
        }
    }
    Ok(())
}

/// Where the double quote is that ends a quoted identifier.
fn closing(quoted: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + quoted[from..].find('"')?;
        if !quoted[at + 1..].starts_with('"') {
            return Some(at);
        }
        from = at + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions() {
        for good in [
            "0007",
            "a",
            "V1.2_add-x",
            "überschrift",
            "headless",
            &"x".repeat(128),
        ] {
            assert!(revision("a revision", good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "head",
            "HEADS",
            "base",
            "-1",
            "+2",
            "a@b",
            "a b",
            "a/b",
            "a\n",
            &"x".repeat(129),
        ] {
            assert!(revision("a revision", bad).is_err(), "{bad}");
        }
        let fault = revision("a branch label", "a@b").unwrap_err();
        assert_eq!(fault.message, "\"a@b\" cannot be a branch label");
        assert_eq!(fault.detail.as_deref(), Some("It contains \"@\"."));
    }

    #[test]
    fn bare_names() {
        assert!(bare("Order lines").is_ok() && bare(&"x".repeat(63)).is_ok());
        assert!(bare("").is_err());
        let fault = bare(&"é".repeat(32)).unwrap_err();
        assert!(
            fault
                .detail
                .unwrap()
                .contains(&format!("\"{}\"", "é".repeat(31)))
        );
    }

    #[test]
    fn names_in_sql() {
        for good in [
            "users",
            "app.users",
            "\"Order\"\"s\".\"x.y\"",
            "app . users",
            "straße",
            "db.app.users",
            "_a$1",
        ] {
            assert!(sql(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            " ",
            "app.",
            ".users",
            "\"a",
            "\"\"",
            "order lines",
            "a;b",
            "a.b.c.d",
            "1a",
            "a-b",
            "users()",
            "a.\"b\"c",
        ] {
            assert!(sql(bad).is_err(), "{bad}");
        }
        assert!(
            sql(&format!("app.{}", "x".repeat(64)))
                .unwrap_err()
                .message
                .contains("too long")
        );
    }
}
