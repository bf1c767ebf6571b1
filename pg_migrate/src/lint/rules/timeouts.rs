//! How long a statement may wait, and how long others wait behind it.

use crate::fault::Result;
use crate::lint::look::Look;
use crate::lint::rule::{Family, Rule, advice, warning};
use crate::pg::parser::tree::Node;

const MISSING: Rule = warning(
    "lock-timeout-missing",
    "without a lock_timeout a statement that waits for its lock makes the application wait behind it",
);
const ZERO: Rule = warning(
    "lock-timeout-zero",
    "lock_timeout = 0 waits for ever, and the application waits behind it",
);
const LONG: Rule = warning(
    "lock-timeout-long",
    "the application waits behind a lock for as long as lock_timeout lets it",
);
const LATE: Rule = warning(
    "lock-timeout-late",
    "lock_timeout is set after a statement that needed it",
);
const STATEMENT: Rule = advice(
    "statement-timeout-missing",
    "without a statement_timeout a statement works under its lock for as long as it takes",
);
const IDLE: Rule = advice(
    "idle-timeout-missing",
    "without an idle_in_transaction_session_timeout a lost client keeps its locks",
);

pub const FAMILY: Family = Family {
    name: "timeouts",
    rules: &[&MISSING, &ZERO, &LONG, &LATE, &STATEMENT, &IDLE],
    check,
};

/// Longer than this the application notices.
const PATIENCE: i64 = 5_000;

fn check(look: &mut Look) -> Result<()> {
    if let Some(setting) = &look.action.setting
        && setting.name == "lock_timeout"
        && let Some(number) = look.session.unlimited.take()
    {
        look.say(
            &LATE,
            format!("statement {number} has waited without a limit before"),
        )
        .recipe("-- first statement of the script:\nSET lock_timeout = '2s';".to_owned());
    }
    if matches!(look.statement.node, Node::Transaction(_)) {
        return Ok(());
    }
    let strong = look.strong();
    let Some((key, lock)) = strong.first() else {
        return Ok(());
    };
    let limit = look.session.lock_timeout;
    let mode = lock.mode();
    let recipe = "SET lock_timeout = '2s';  -- and the statement again when it is over".to_owned();
    if limit.now == 0 {
        if look.session.unlimited.is_none() {
            look.session.unlimited = Some(look.number);
        }
        match limit.set_by {
            Some(number) if look.session.once("zero") => {
                look.say(
                    &ZERO,
                    format!("statement {number} set no limit: while this waits for {mode} on {key}, reads and writes of it wait behind"),
                )
                .on(key)
                .recipe(recipe);
            }
            None if look.session.once("missing") => {
                look.say(
                    &MISSING,
                    format!("while this waits for {mode} on {key}, reads and writes of it wait behind, without a limit"),
                )
                .on(key)
                .recipe(recipe);
            }
            _ => {}
        }
    } else if limit.now > PATIENCE && look.session.once("long") {
        look.say(
            &LONG,
            format!(
                "reads and writes of {key} may wait behind this for {} s",
                limit.now / 1000
            ),
        )
        .on(key)
        .recipe(recipe);
    }
    if look.session.statement_timeout.now == 0 && look.session.once("statement") {
        look.say(
            &STATEMENT,
            format!("nothing ends this while it holds {mode} on {key}, however long it takes"),
        )
        .on(key)
        .recipe(
            "SET statement_timeout = '30s';  -- 0 again before concurrent builds and VALIDATE"
                .to_owned(),
        );
    }
    if look.session.block.is_some()
        && look.session.idle_timeout.now == 0
        && look.session.once("idle")
    {
        look.say(
            &IDLE,
            format!("if the client stops here, {key} stays locked ({mode})"),
        )
        .on(key)
        .recipe("SET idle_in_transaction_session_timeout = '30s';".to_owned());
    }
    Ok(())
}
