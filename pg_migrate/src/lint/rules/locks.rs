//! Locks that the statement does not name, and locks for their own sake.

use crate::fault::Result;
use crate::lint::finding::is_strong;
use crate::lint::look::Look;
use crate::lint::rule::{Family, Rule, advice, error, warning};
use crate::pg::parser::tree::{CommandKind, ConstraintKind};
use crate::recipe::step::Lock;
use crate::recipe::written::Work;
use std::collections::HashSet;

const FOREIGN_KEY: Rule = advice(
    "foreign-key-locks-target",
    "adding a foreign key makes writes to the referenced table wait too",
);
const DROP_FOREIGN_KEY: Rule = warning(
    "drop-foreign-key-locks-target",
    "dropping a foreign key takes ACCESS EXCLUSIVE on the referenced table too",
);
const DROP_TABLE: Rule = warning(
    "drop-table-locks-target",
    "dropping a table with foreign keys takes ACCESS EXCLUSIVE on the tables they refer to",
);
const TRUNCATE_CASCADE: Rule = error(
    "truncate-cascade",
    "TRUNCATE … CASCADE empties, and locks, every table that refers to it",
);
const NO_OP: Rule = advice(
    "if-not-exists-locks",
    "IF [NOT] EXISTS takes the whole lock even where there is nothing to do",
);
const TRIGGER: Rule = advice(
    "trigger-locks-table",
    "making, dropping or switching a trigger makes writes wait for it",
);
const POLICY: Rule = advice(
    "policy-locks-table",
    "making or changing a policy or a rule makes reads and writes wait for it",
);
const ROW_SECURITY: Rule = warning(
    "row-level-security",
    "with row level security on, roles without a policy see no row",
);
const LOCK_TABLE: Rule = warning(
    "lock-table",
    "LOCK TABLE in a strong mode makes the application wait until the transaction ends",
);

pub const FAMILY: Family = Family {
    name: "locks",
    rules: &[
        &FOREIGN_KEY,
        &DROP_FOREIGN_KEY,
        &DROP_TABLE,
        &TRUNCATE_CASCADE,
        &NO_OP,
        &TRIGGER,
        &POLICY,
        &ROW_SECURITY,
        &LOCK_TABLE,
    ],
    check,
};

fn check(look: &mut Look) -> Result<()> {
    let key = look.key();
    let text = look.statement.text.as_str();
    let on: HashSet<&str> = look.on.iter().map(|known| known.key.as_str()).collect();
    let others: Vec<(String, Lock)> = look
        .strong()
        .into_iter()
        .filter(|(table, _)| !on.contains(table.as_str()))
        .collect();
    for (target, lock) in &others {
        let mode = lock.mode();
        let adds = look
            .new_constraints()
            .iter()
            .any(|made| made.kind == ConstraintKind::ForeignKey);
        let drops = look
            .action
            .changes
            .iter()
            .any(|change| matches!(change.kind, CommandKind::DropConstraint { .. }));
        let partition = look
            .on
            .iter()
            .any(|known| known.table.partition_of.as_ref() == Some(target));
        if adds {
            look.say(
                &FOREIGN_KEY,
                format!("{target} is locked too ({mode}): its writes wait for the lock, and while it is held"),
            )
            .on(target);
        } else if drops {
            look.say(
                &DROP_FOREIGN_KEY,
                format!("{target} is locked too ({mode}): its reads and writes wait for the lock, and while it is held"),
            )
            .on(target)
            .recipe(format!(
                "SET lock_timeout = '2s';\n{};  -- again until it gets both locks",
                text
            ));
        } else if look.tag() == "DROP TABLE" && !partition {
            look.say(
                &DROP_TABLE,
                format!("{target} is locked too ({mode}): its reads and writes wait for the lock, and while it is held"),
            )
            .on(target)
            .recipe("-- drop its foreign keys first, one at a time, each with a lock_timeout".to_owned());
        }
    }
    match look.tag() {
        "TRUNCATE TABLE" if look.action.cascade => {
            look.say(
                &TRUNCATE_CASCADE,
                format!("every table with a foreign key to {key} is emptied too, and theirs in turn; reads and writes of all of them wait"),
            )
            .recipe("-- name every table that is meant, and leave CASCADE out".to_owned());
        }
        "LOCK TABLE" if look.seen() && look.effect.lock.is_some_and(is_strong) => {
            let lock = look.effect.lock.unwrap_or(Lock::AccessExclusive);
            look.say(
                &LOCK_TABLE,
                format!(
                    "{} of {key} wait until the transaction ends ({})",
                    crate::lint::finding::blocks(lock),
                    lock.mode()
                ),
            );
        }
        "CREATE TRIGGER" | "DROP TRIGGER" | "ALTER TRIGGER" if look.seen() => {
            look.say(
                &TRIGGER,
                format!("writes to {key} wait for the lock, and while it is held; from then on the trigger is part of each of them"),
            );
        }
        "CREATE POLICY" | "DROP POLICY" | "ALTER POLICY" | "CREATE RULE" | "DROP RULE"
            if look.seen() =>
        {
            look.say(
                &POLICY,
                format!("reads and writes of {key} wait for the lock, and while it is held"),
            );
        }
        _ => {}
    }
    if !look.seen() {
        return Ok(());
    }
    for (change, part) in look.changes() {
        match change.what {
            "ENABLE ROW LEVEL SECURITY" | "FORCE ROW LEVEL SECURITY" => {
                look.say(
                    &ROW_SECURITY,
                    format!(
                        "from then on a role that no policy of {key} is for sees none of its rows"
                    ),
                )
                .recipe("-- in the same transaction, before it: CREATE POLICY … for each role that uses the table".to_owned());
            }
            "ENABLE TRIGGER" | "DISABLE TRIGGER" | "ENABLE TRIGGERS" | "DISABLE TRIGGERS" => {
                look.say(
                    &TRIGGER,
                    format!("writes to {key} wait for the lock; and no trigger fires, or it fires again, for all sessions"),
                );
            }
            _ => {}
        }
        if let CommandKind::AddColumn { column, .. } = &change.kind
            && change.if_exists
            && part.work == Work::Brief
            && look
                .table()
                .is_some_and(|table| table.column(&column.name).is_some())
        {
            no_op(look, &format!("column {} is there already", column.name));
        }
        let gone = match &change.kind {
            CommandKind::DropColumn {
                column,
                if_exists: true,
                ..
            } => Some((
                column,
                look.table()
                    .is_some_and(|table| !table.unlisted && table.column(column).is_none()),
            )),
            CommandKind::DropConstraint {
                name,
                if_exists: true,
                ..
            } => Some((
                name,
                look.table().is_some_and(|table| {
                    !table.unlisted && !table.constraints.iter().any(|found| found.name == *name)
                }),
            )),
            _ => None,
        };
        if let Some((name, true)) = gone {
            no_op(look, &format!("{name} is not there"));
        }
    }
    if look.effect.idle && look.effect.lock.is_some_and(is_strong) {
        no_op(look, "what it would make is there already");
    }
    Ok(())
}

fn no_op(look: &mut Look, why: &str) {
    let key = look.key();
    let Some(lock) = look.effect.lock else { return };
    look.say(
        &NO_OP,
        format!("{why}, and still {key} is locked ({})", lock.mode()),
    )
    .recipe("-- look in the catalog first, or leave the statement out".to_owned());
}
