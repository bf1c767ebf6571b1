//! What a transaction holds while it goes on.

use crate::fault::Result;
use crate::lint::finding::{blocks, is_strong};
use crate::lint::look::Look;
use crate::lint::rule::{Family, Rule, advice, error, warning};
use crate::lint::session::{Block, block_word};
use crate::pg::parser::tree::CommandKind;
use crate::recipe::quote::ident;
use crate::recipe::written::Work;

const REFUSES: Rule = error(
    "not-in-transaction",
    "PostgreSQL refuses to run the statement in a transaction block",
);
const SEVERAL: Rule = warning(
    "several-locks",
    "one transaction takes strong locks on several tables: each waits for the next, and deadlocks are near",
);
const UNDER_LOCK: Rule = error(
    "work-under-lock",
    "work of its own time runs while an earlier statement's strong lock is held",
);
const NESTED: Rule = warning(
    "nested-transaction",
    "BEGIN inside a transaction, or COMMIT outside one, does nothing but warn",
);
const OPEN: Rule = warning(
    "transaction-not-ended",
    "the script ends inside a transaction: what it did is lost, or its locks stay",
);
const SAVEPOINT: Rule = error(
    "no-such-savepoint",
    "ROLLBACK TO and RELEASE need an open savepoint, and SAVEPOINT a transaction: else they fail",
);
const TWICE: Rule = advice(
    "alter-table-twice",
    "several ALTER TABLE of one table in one transaction can be one statement",
);

pub const FAMILY: Family = Family {
    name: "transactions",
    rules: &[
        &REFUSES,
        &SEVERAL,
        &UNDER_LOCK,
        &NESTED,
        &OPEN,
        &SAVEPOINT,
        &TWICE,
    ],
    check,
};

pub fn open_at_end() -> &'static Rule {
    &OPEN
}

fn check(look: &mut Look) -> Result<()> {
    if let Some(word) = block_word(look.statement) {
        nested(look, word);
        savepoint(look, word);
        return Ok(());
    }
    let Some(block) = look.session.block else {
        return Ok(());
    };
    if !look.statement.transactional {
        let whose = match block {
            0 => "that is around the script".to_owned(),
            number => format!("that statement {number} began"),
        };
        let text = look.statement.text.clone();
        look.say(
            &REFUSES,
            format!("{} cannot run in the transaction {whose}", look.tag()),
        )
        .recipe(format!("COMMIT;\n{text};"));
    }
    held(look);
    twice(look);
    Ok(())
}

fn nested(look: &mut Look, word: Block) {
    match (word, look.session.block) {
        (Block::Begins, Some(number)) => {
            let began = match number {
                0 => "one is around the script".to_owned(),
                number => format!("statement {number} began one"),
            };
            look.say(
                &NESTED,
                format!(
                    "a transaction is open already ({began}): PostgreSQL warns and goes on in it"
                ),
            );
        }
        (Block::Commits { .. } | Block::RollsBack { .. }, None) => {
            look.say(
                &NESTED,
                "no transaction is open: PostgreSQL warns and goes on",
            );
        }
        (Block::Commits { .. } | Block::RollsBack { .. }, Some(0)) => {
            look.say(
                &NESTED,
                "it ends the transaction that is around the script: the tool no longer has one",
            );
        }
        _ => {}
    }
}

fn savepoint(look: &mut Look, word: Block) {
    let message = match word {
        Block::Savepoint(_) | Block::Releases(_) | Block::BackTo(_)
            if look.session.block.is_none() =>
        {
            format!("{} outside a transaction block fails", look.tag())
        }
        Block::Releases(name) | Block::BackTo(name) if !look.session.has_savepoint(name) => {
            format!(
                "no savepoint {} is open: the statement fails, and the transaction with it",
                ident(name)
            )
        }
        _ => return,
    };
    look.say(&SAVEPOINT, message);
}

fn held(look: &mut Look) {
    let first = look
        .session
        .held
        .iter()
        .next()
        .map(|(table, held)| (table.clone(), held.clone()));
    let Some((table, held)) = first else { return };
    let (mode, waits, since) = (held.lock.mode(), blocks(held.lock), held.since);
    let other = look
        .strong()
        .into_iter()
        .find(|(found, _)| !look.session.held.contains_key(found));
    if let Some((other, _)) = other {
        look.say(
            &SEVERAL,
            format!("{table} is locked since statement {since} ({mode}) and stays locked while this waits for {other}"),
        )
        .on(&other)
        .recipe("COMMIT;\n-- a transaction for each table, each with a lock_timeout".to_owned());
    }
    let rows = matches!(
        look.tag(),
        "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "COPY"
    );
    // Writes of rows have a rule of their own.
    let works = look.effect.work > Work::Brief
        || matches!(
            look.tag(),
            "SELECT"
                | "SELECT INTO"
                | "DO"
                | "CALL"
                | "CREATE TABLE AS"
                | "REFRESH MATERIALIZED VIEW"
        ) && look.action.setting.is_none();
    if works && !rows && !look.effect.unseen {
        look.say(
            &UNDER_LOCK,
            format!("{waits} of {table} wait while this runs: statement {since} locked it ({mode}), and it stays locked until COMMIT"),
        )
        .on(&table)
        .recipe("COMMIT;\n-- then this, in a transaction of its own".to_owned());
    }
}

fn twice(look: &mut Look) {
    if look.tag() != "ALTER TABLE" || look.action.changes.is_empty() || !look.seen() {
        return;
    }
    let key = look.key();
    // They must be apart where one waits for the other's commit.
    let apart = look.action.changes.iter().any(|change| {
        matches!(change.kind, CommandKind::ValidateConstraint)
            || change.what == "VALIDATE CONSTRAINT"
    });
    if let (Some(number), false) = (look.before.altered.get(key).copied(), apart)
        && look.effect.lock.is_some_and(is_strong)
    {
        look.say(
            &TWICE,
            format!("statement {number} alters {key} too: one ALTER TABLE with both takes the lock once, and reads or writes the rows once"),
        );
    }
}
