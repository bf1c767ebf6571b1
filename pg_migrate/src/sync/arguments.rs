//! A sync trigger's arguments: what they mean, and which say nothing together. No PostgreSQL.

use crate::fault::{Fault, Result};
use crate::sync::rules::Policy;

pub const USAGE: &str = "CREATE TRIGGER name BEFORE INSERT OR UPDATE ON table FOR EACH ROW EXECUTE \
    FUNCTION migrate.sync_column_trigger('old', 'new' [, 'up' [, 'down' [, 'new' or 'raise']]]); \
    or let SELECT migrate.sync_column_trigger('table', 'old', 'new') do it.";

#[derive(Debug, PartialEq, Eq)]
pub struct Arguments<'a> {
    /// `None`: one-way.
    pub old: Option<&'a str>,
    pub new: &'a str,
    pub up: Option<&'a str>,
    pub down: Option<&'a str>,
    pub policy: Policy,
    /// Further old columns and their expressions.
    pub more: Vec<(&'a str, &'a str)>,
}

/// Whether the parts go together.
pub fn check(arguments: &Arguments) -> Result<()> {
    let two_way = arguments.old.is_some();
    let said = match arguments.policy {
        Policy::Fill if two_way => Some(("fill", "two columns")),
        Policy::Raise if !two_way => Some(("raise", "one column")),
        Policy::Back if !two_way => Some(("back", "one column")),
        _ => None,
    };
    if let Some((word, of)) = said {
        return Err(
            Fault::invalid(format!("on_conflict => '{word}' says nothing of {of}"))
                .hint("raise goes with an old and a new column, fill with a new one alone."),
        );
    }
    if arguments.old == Some(arguments.new) {
        return Err(Fault::invalid("old and new are the same column")
            .hint("Give '' for the old column to fill one column from an expression."));
    }
    if !two_way && arguments.up.is_none() {
        return Err(
            Fault::invalid("without an old column the new one needs an expression")
                .hint("Give up: the value of the column from the others of its row."),
        );
    }
    if !two_way && arguments.down.is_some() {
        return Err(Fault::invalid(
            "down has nothing to write without an old column",
        ));
    }
    Ok(())
}

/// Reads the arguments of a trigger; empty ones and those that are not there say nothing.
pub fn read(given: &[String]) -> Result<Arguments<'_>> {
    let text = |i: usize| {
        given
            .get(i)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    };
    let (Some(_), Some(new)) = (given.first(), text(1)) else {
        return Err(Fault::invalid("the sync trigger needs two column names").hint(USAGE));
    };
    let policy = Policy::named(text(4).unwrap_or("new")).ok_or_else(|| {
        Fault::invalid("the sync trigger's fifth argument is new, raise or fill").hint(USAGE)
    })?;
    let more = given
        .get(5..)
        .unwrap_or(&[])
        .chunks(2)
        .map(|pair| match pair {
            [old, down] => Ok((old.as_str(), down.as_str())),
            _ => Err(Fault::invalid(
                "each further old column needs its expression",
            )),
        });
    let arguments = Arguments {
        old: text(0),
        new,
        up: text(2),
        down: text(3),
        policy,
        more: more.collect::<Result<_>>()?,
    };
    check(&arguments)?;
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::{Arguments, read};
    use crate::sync::rules::Policy;

    fn given(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn empty_ones_say_nothing() {
        let whole = given(&["a", "b", "", "", "", "c", "x"]);
        let short = given(&["a", "b"]);
        let expected = Arguments {
            old: Some("a"),
            new: "b",
            up: None,
            down: None,
            policy: Policy::New,
            more: Vec::new(),
        };
        assert_eq!(read(&short).as_ref(), Ok(&expected));
        assert_eq!(
            read(&whole),
            Ok(Arguments {
                more: vec![("c", "x")],
                ..expected
            })
        );
        assert!(read(&given(&["", "b", "x", "", "fill"])).is_ok());
    }

    #[test]
    fn what_says_nothing_is_refused() {
        for (list, part) in [
            (vec![], "two column names"),
            (vec!["a", ""], "two column names"),
            (vec!["a", "a"], "same column"),
            (vec!["", "b"], "needs an expression"),
            (vec!["", "b", "x", "y"], "down has nothing"),
            (vec!["", "b", "x", "", "raise"], "one column"),
            (vec!["", "b", "x", "", "back"], "one column"),
            (vec!["a", "b", "", "", "fill"], "two columns"),
            (vec!["a", "b", "", "", "old"], "new, raise or fill"),
            (vec!["a", "b", "", "", "", "c"], "its expression"),
        ] {
            let list = given(&list);
            let message = read(&list).err().map(|fault| fault.message);
            assert!(
                message.as_deref().is_some_and(|text| text.contains(part)),
                "{list:?}: {message:?}"
            );
        }
    }
}
