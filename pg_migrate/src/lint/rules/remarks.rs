//! Ignore comments that do not do what they seem to.

use crate::fault::Result;
use crate::lint::judge::unknown;
use crate::lint::look::Look;
use crate::lint::rule::{self, Family, Rule, advice, warning};
use crate::lint::suppress::Ignore;

const UNKNOWN: Rule = warning("ignore-unknown-rule", "an ignore comment names no rule");
const UNUSED: Rule = advice(
    "ignore-unused",
    "an ignore comment silences nothing: the hazard is gone",
);
const NO_REASON: Rule = advice(
    "ignore-without-reason",
    "an ignore comment does not say why",
);

pub const FAMILY: Family = Family {
    name: "remarks",
    rules: &[&UNKNOWN, &UNUSED, &NO_REASON],
    check,
};

/// They are looked at when the others have said what they have to say.
#[allow(clippy::unnecessary_wraps)] // as the families' checks are
fn check(_: &mut Look) -> Result<()> {
    Ok(())
}

/// What is to be said of one comment.
pub fn of(ignore: &Ignore, used: bool) -> Vec<(&'static Rule, String)> {
    let mut said: Vec<(&'static Rule, String)> = Vec::new();
    let line = ignore.line;
    let mut known = false;
    for name in &ignore.rules {
        match rule::named(name) {
            Some(_) => known = true,
            None => said.push((&UNKNOWN, format!("line {line}: {}", unknown(name)))),
        }
    }
    if known && !used {
        let rules = ignore.rules.join(", ");
        said.push((&UNUSED, format!("line {line}: {rules} finds nothing here")));
    }
    if used && ignore.reason.is_none() {
        let rules = ignore.rules.join(", ");
        said.push((
            &NO_REASON,
            format!("line {line}: write why {rules} does not count here"),
        ));
    }
    said
}
