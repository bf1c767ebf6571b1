//! What the application that is running now no longer finds, or can no longer do.

mod drops;

use crate::fault::Result;
use crate::lint::look::Look;
use crate::lint::rule::{Family, Rule, advice, error, warning};
use crate::pg::parser::tree::{Change, CommandKind};
use crate::recipe::quote::ident;
use crate::recipe::written::Scene;

const RENAME_COLUMN: Rule = error(
    "rename-column",
    "the running application fails as soon as a column has another name",
);
const RENAME_TABLE: Rule = error(
    "rename-table",
    "the running application fails as soon as a table or view has another name",
);
const RENAME_SCHEMA: Rule = error(
    "rename-schema",
    "the running application fails as soon as a schema has another name",
);
const RENAME_VALUE: Rule = error(
    "rename-enum-value",
    "the running application fails when it writes or compares the value's old name",
);
const RENAME_OTHER: Rule = warning("rename-object", "what goes by the object's old name fails");
const DROP_COLUMN: Rule = warning(
    "drop-column",
    "the running application may still read or write the column; its data is gone",
);
const DROP_TABLE: Rule = error(
    "drop-table",
    "the running application may still use the table; its data is gone",
);
const DROP_VIEW: Rule = warning(
    "drop-view",
    "the running application may still read the view",
);
const DROP_TYPE: Rule = warning(
    "drop-type",
    "the running application may still use the type",
);
const DROP_ROUTINE: Rule = warning(
    "drop-function",
    "the running application may still call the function",
);
const DROP_SCHEMA: Rule = error("drop-schema", "everything in the schema is gone");
const DROP_OTHER: Rule = warning("drop-object", "what uses the object fails");
const DROP_DEFAULT: Rule = warning(
    "drop-default",
    "INSERTs of the running application that leave the column out store null, or fail",
);
const DROP_NOT_NULL: Rule = warning(
    "drop-not-null",
    "the running application may not be ready to read nulls",
);
const DROP_CONSTRAINT: Rule = advice(
    "drop-constraint",
    "what the constraint kept out can come in from now on",
);
const SET_SCHEMA: Rule = error(
    "set-schema",
    "the running application no longer finds what has moved to another schema",
);
const CASCADE: Rule = error("cascade", "CASCADE drops what the script does not name");
const CHANGE_TYPE: Rule = warning(
    "change-column-type",
    "the running application reads and writes another type from one moment to the next",
);
const SET_IDENTITY: Rule = warning(
    "generated-always",
    "INSERTs that give the column a value fail from now on",
);
const NEW_DEFAULT_REQUIRED: Rule = advice(
    "replace-function",
    "sessions call the new body from one moment to the next",
);

pub const FAMILY: Family = Family {
    name: "compatibility",
    rules: &[
        &RENAME_COLUMN,
        &RENAME_TABLE,
        &RENAME_SCHEMA,
        &RENAME_VALUE,
        &RENAME_OTHER,
        &DROP_COLUMN,
        &DROP_TABLE,
        &DROP_VIEW,
        &DROP_TYPE,
        &DROP_ROUTINE,
        &DROP_SCHEMA,
        &DROP_OTHER,
        &DROP_DEFAULT,
        &DROP_NOT_NULL,
        &DROP_CONSTRAINT,
        &SET_SCHEMA,
        &CASCADE,
        &CHANGE_TYPE,
        &SET_IDENTITY,
        &NEW_DEFAULT_REQUIRED,
    ],
    check,
};

fn check(look: &mut Look) -> Result<()> {
    if look.effect.idle {
        return Ok(());
    }
    let fresh = !look.on.is_empty() && !look.seen();
    if !fresh {
        renames(look)?;
        for (change, _) in look.changes() {
            subcommand(look, change)?;
        }
        moves(look)?;
    }
    drops::drops(look)?;
    cascades(look);
    if matches!(look.tag(), "CREATE FUNCTION" | "CREATE PROCEDURE") && look.action.replace {
        look.say(
            &NEW_DEFAULT_REQUIRED,
            "where it is there already, old and new application call the same new body",
        );
    }
    Ok(())
}

fn renames(look: &mut Look) -> Result<()> {
    let key = look.key();
    let from = look.action.part.as_deref().unwrap_or_default();
    let to = look.action.to.as_deref().unwrap_or_default();
    let object = look
        .action
        .object
        .as_ref()
        .map_or("", |object| object.text.as_str());
    match (look.tag(), look.action.what) {
        (_, "RENAME COLUMN") => {
            let recipe = look.apply()?;
            look.say(
                &RENAME_COLUMN,
                format!("queries that name column {from} of {key} fail from then on; those that name {to} fail until then"),
            )
            .recipe(recipe);
        }
        (
            "ALTER TABLE" | "ALTER VIEW" | "ALTER MATERIALIZED VIEW" | "ALTER FOREIGN TABLE",
            "RENAME",
        ) => {
            let recipe = look.apply()?;
            look.say(
                &RENAME_TABLE,
                format!("queries that name {key} fail from then on; those that name {to} fail until then"),
            )
            .recipe(recipe);
        }
        ("ALTER SCHEMA", "RENAME") => {
            look.say(
                &RENAME_SCHEMA,
                format!("every query that names a thing in {object} fails from then on"),
            );
        }
        ("ALTER TYPE", "RENAME VALUE") => {
            look.say(
                &RENAME_VALUE,
                format!("'{from}' is no longer a value of {object}: queries that write it or compare with it fail"),
            )
            .recipe(format!(
                "ALTER TYPE {object} ADD VALUE '{to}';\n-- let the application read both, write the new one, and UPDATE the rows in batches"
            ));
        }
        // Nobody goes by the names of constraints and indexes, but for ON CONFLICT ON CONSTRAINT.
        (_, "RENAME CONSTRAINT")
        | (
            "ALTER INDEX" | "ALTER TRIGGER" | "ALTER POLICY" | "ALTER RULE" | "ALTER STATISTICS",
            "RENAME",
        ) => {}
        (_, "RENAME" | "RENAME ATTRIBUTE") => {
            look.say(
                &RENAME_OTHER,
                format!("what goes by the old name of {object} fails from then on"),
            );
        }
        _ => {}
    }
    Ok(())
}

fn moves(look: &mut Look) -> Result<()> {
    if look.action.what != "SET SCHEMA" {
        return Ok(());
    }
    let to = look.action.to.as_deref().unwrap_or_default();
    let what = match look.on.first() {
        Some(known) => known.key.clone(),
        None => look
            .action
            .object
            .as_ref()
            .map(|object| object.text.clone())
            .unwrap_or_default(),
    };
    let recipe = look.apply()?;
    look.say(
        &SET_SCHEMA,
        format!("queries that name {what} in its old schema fail from then on; those that name it in {to} fail until then"),
    )
    .recipe(recipe);
    Ok(())
}

/// What hangs on a column, in words.
fn dependents(look: &Look, column: &str) -> Result<Vec<String>> {
    let live = look.table().is_some_and(|table| table.oid != 0);
    let known = look
        .on
        .first()
        .is_some_and(|known| !look.world.busy.contains(&known.key));
    if !live
        || !known
        || look
            .table()
            .is_none_or(|table| table.column(column).is_none())
    {
        return Ok(Vec::new());
    }
    let facts = look.world.facts();
    let found =
        match crate::pg::subtransaction::attempt(|| facts.column_dependents(look.key(), column)) {
            Err(fault) if fault.is_interruption() => return Err(fault),
            found => found.unwrap_or_default(),
        };
    Ok(found.into_iter().map(|one| one.what).collect())
}

fn subcommand(look: &mut Look, change: &Change) -> Result<()> {
    let key = look.key();
    let text = look.statement.text.as_str();
    match (&change.kind, change.what) {
        (
            CommandKind::DropColumn {
                column, if_exists, ..
            },
            _,
        ) => {
            let absent = look
                .table()
                .is_some_and(|table| !table.unlisted && table.column(column).is_none());
            if *if_exists && absent {
                return Ok(());
            }
            let mut message = format!(
                "queries that name column {column} of {key} fail from then on, and so does SELECT * in prepared statements; its data is gone"
            );
            let hang = dependents(look, column)?;
            if !hang.is_empty() {
                message.push_str(&format!("; on it hang {}", hang.join(", ")));
            }
            let recipe = look.apply()?;
            look.say(&DROP_COLUMN, message).recipe(recipe);
        }
        (
            CommandKind::SetDefault {
                column,
                default: None,
            },
            _,
        ) => {
            let known = look.table().and_then(|table| table.column(column));
            let what = match known.map(|found| found.not_null) {
                Some(true) => "fail from then on, for it is NOT NULL",
                Some(false) => "store null from then on",
                None => "store null from then on, or fail where it is NOT NULL",
            };
            look.say(
                &DROP_DEFAULT,
                format!("INSERTs into {key} that leave {column} out {what}"),
            );
        }
        (CommandKind::DropNotNull(column), _) => {
            let nullable = look
                .table()
                .and_then(|table| table.column(column))
                .is_some_and(|found| !found.not_null);
            if !nullable {
                look.say(
                    &DROP_NOT_NULL,
                    format!("{column} of {key} may be null from then on: is the application that runs now ready to read that?"),
                );
            }
        }
        (
            CommandKind::DropConstraint {
                name, if_exists, ..
            },
            _,
        ) => {
            let absent = look.table().is_some_and(|table| {
                !table.unlisted && !table.constraints.iter().any(|found| found.name == *name)
            });
            if !(*if_exists && absent) {
                look.say(
                    &DROP_CONSTRAINT,
                    format!("rows that {} kept out of {key} can come in from then on, and it cannot be put back without a check of all", ident(name)),
                );
            }
        }
        (
            CommandKind::SetType {
                column, data_type, ..
            },
            _,
        ) => {
            let same = look
                .table()
                .and_then(|table| table.column(column))
                .is_some_and(|found| {
                    let bare = |text: &str| {
                        let head = text.split('(').next().unwrap_or_default();
                        head.trim().to_lowercase()
                    };
                    let stringy = |name: &str| {
                        matches!(
                            bare(name).as_str(),
                            "character varying" | "varchar" | "text"
                        )
                    };
                    (stringy(&found.data_type) && stringy(data_type))
                        || bare(&found.data_type) == bare(data_type)
                });
            if !same {
                let mut message = format!(
                    "{column} of {key} has another type from one moment to the next: prepared statements that return it fail once, and clients read {data_type}"
                );
                let hang = dependents(look, column)?;
                if !hang.is_empty() {
                    message.push_str(&format!("; on it hang {}", hang.join(", ")));
                }
                let recipe = look.apply()?;
                look.say(&CHANGE_TYPE, message).recipe(recipe);
            }
        }
        (_, "ADD IDENTITY") if text.to_lowercase().contains("always") => {
            look.say(
                &SET_IDENTITY,
                format!(
                    "INSERTs into {key} that give {} a value fail from then on",
                    change.name.as_deref().unwrap_or("the column")
                ),
            );
        }
        _ => {}
    }
    Ok(())
}

fn cascades(look: &mut Look) {
    let part = look.action.changes.iter().any(|change| {
        matches!(
            change.kind,
            CommandKind::DropColumn { cascade: true, .. }
                | CommandKind::DropConstraint { cascade: true, .. }
        )
    });
    if (look.action.cascade && look.tag() != "TRUNCATE TABLE") || part {
        look.say(
            &CASCADE,
            "CASCADE drops whatever hangs on it, and what hangs on that: views, foreign keys, functions, columns, locking each of their tables",
        )
        .recipe("-- leave CASCADE out: the error names what hangs on it; drop that by name".to_owned());
    }
}
