//! The whole table is read while its lock makes the application wait.

use crate::fault::Result;
use crate::lint::finding::Severity;
use crate::lint::look::Look;
use crate::lint::rule::{Family, Rule, error};
use crate::pg::parser::tree::{Change, Column, CommandKind, Constraint, ConstraintKind};
use crate::recipe::names;
use crate::recipe::quote::{ident, idents};
use crate::recipe::written::{Work, label};

const NOT_NULL_WITHOUT_DEFAULT: Rule = error(
    "not-null-without-default",
    "a new NOT NULL column without a default fails on a table with rows, and old INSERTs fail after it",
);
const INLINE_CHECK: Rule = error(
    "inline-check",
    "a CHECK on a new column has every row read under ACCESS EXCLUSIVE",
);
const INLINE_FOREIGN_KEY: Rule = error(
    "inline-foreign-key",
    "REFERENCES on a new column with a default has every row checked under ACCESS EXCLUSIVE",
);
const INLINE_UNIQUE: Rule = error(
    "inline-unique",
    "UNIQUE or PRIMARY KEY on a new column builds its index under ACCESS EXCLUSIVE",
);
const SET_NOT_NULL: Rule = error(
    "set-not-null",
    "SET NOT NULL reads every row under ACCESS EXCLUSIVE unless a validated CHECK proves it",
);
const CHECK: Rule = error(
    "check-without-not-valid",
    "a CHECK without NOT VALID has every row read under ACCESS EXCLUSIVE",
);
const FOREIGN_KEY: Rule = error(
    "foreign-key-without-not-valid",
    "a foreign key without NOT VALID has every row checked while writes to both tables wait",
);
const UNIQUE: Rule = error(
    "unique-builds-index",
    "UNIQUE and PRIMARY KEY build their index under ACCESS EXCLUSIVE",
);
const EXCLUDE: Rule = error(
    "exclude-builds-index",
    "EXCLUDE builds its index under ACCESS EXCLUSIVE, and knows no other way",
);
const PRIMARY_KEY_NULLABLE: Rule = error(
    "primary-key-nullable",
    "PRIMARY KEY USING INDEX on a column that may be null reads every row",
);
const SAME_TRANSACTION: Rule = error(
    "validate-in-same-transaction",
    "VALIDATE in the transaction that added the constraint reads every row under the lock of ADD",
);
const TYPE_RECHECKS: Rule = error(
    "type-change-rechecks",
    "changing the type has constraints on the column checked again for every row",
);
const DOMAIN: Rule = error(
    "domain-constraint",
    "a domain's constraint is checked in every table with a column of it while their writes wait",
);

pub const FAMILY: Family = Family {
    name: "scans",
    rules: &[
        &NOT_NULL_WITHOUT_DEFAULT,
        &INLINE_CHECK,
        &INLINE_FOREIGN_KEY,
        &INLINE_UNIQUE,
        &SET_NOT_NULL,
        &CHECK,
        &FOREIGN_KEY,
        &UNIQUE,
        &EXCLUDE,
        &PRIMARY_KEY_NULLABLE,
        &SAME_TRANSACTION,
        &TYPE_RECHECKS,
        &DOMAIN,
    ],
    check,
};

const READ: &str =
    "is read from end to end under ACCESS EXCLUSIVE, and nobody reads or writes it meanwhile";

fn check(look: &mut Look) -> Result<()> {
    for (change, part) in look.changes() {
        if let CommandKind::AddColumn { column, .. } = &change.kind {
            if !change.if_exists
                || look
                    .table()
                    .is_none_or(|table| table.column(&column.name).is_none())
            {
                added(look, column, part.work);
            }
        } else if part.work == Work::Scans && look.filled() {
            subcommand(look, change)?;
        }
    }
    if look.tag() == "ALTER DOMAIN" && look.effect.work == Work::Scans {
        domain(look);
    }
    Ok(())
}

fn added(look: &mut Look, column: &Column, work: Work) {
    if !look.filled() {
        return;
    }
    let (key, name) = (look.key(), ident(&column.name));
    let primary = column
        .constraints
        .iter()
        .any(|constraint| constraint.kind == ConstraintKind::PrimaryKey);
    let valued = column.default.is_some()
        || column.generated.is_some()
        || column.identity.is_some()
        || super::rewrites::is_serial(&column.data_type);
    if (column.not_null || primary) && !valued && !column.more {
        look.say(
            &NOT_NULL_WITHOUT_DEFAULT,
            format!("{name} would be null in every row that is there, so the statement fails; and INSERTs that do not know {name} fail after it"),
        )
        .recipe(format!(
            "ALTER TABLE {key} ADD COLUMN {name} {data_type};\n\
             -- when migrate.backfill or the application has filled it:\n-- {}",
            not_null(key, &column.name).replace('\n', "\n-- "),
            data_type = column.data_type
        ));
    }
    if work == Work::Brief {
        return;
    }
    let recipe = in_steps(look, column);
    for constraint in &column.constraints {
        let (rule, message) = match constraint.kind {
            ConstraintKind::Check => (&INLINE_CHECK, format!("{key} {READ}, to check {name}")),
            ConstraintKind::ForeignKey if column.default.is_some() => (
                &INLINE_FOREIGN_KEY,
                format!("{key} {READ}, to look up every {name}"),
            ),
            ConstraintKind::Unique | ConstraintKind::PrimaryKey => (
                &INLINE_UNIQUE,
                format!(
                    "the index on {name} is built under ACCESS EXCLUSIVE, and nobody reads or writes {key} meanwhile"
                ),
            ),
            _ => continue,
        };
        look.say(rule, message).recipe(recipe.clone());
    }
}

/// The column first, and then each of its constraints without blocking.
fn in_steps(look: &Look, column: &Column) -> String {
    let key = look.key();
    let mut steps = format!(
        "ALTER TABLE {key} ADD COLUMN {} {}",
        ident(&column.name),
        column.data_type
    );
    if let Some(default) = &column.default {
        steps.push_str(&format!(" DEFAULT {default}"));
    }
    if column.not_null {
        steps.push_str(" NOT NULL");
    }
    steps.push(';');
    for constraint in &column.constraints {
        steps.push('\n');
        steps.push_str(&match constraint.kind {
            ConstraintKind::Unique | ConstraintKind::PrimaryKey => by_index(look, constraint),
            _ => in_two(look, constraint),
        });
    }
    steps
}

/// A constraint in two steps: for new rows at once, for those that are there with a weak lock.
fn in_two(look: &Look, constraint: &Constraint) -> String {
    let key = look.key();
    let name = name_of(look, constraint);
    format!(
        "ALTER TABLE {key} ADD CONSTRAINT {name} {} NOT VALID;\n\
         ALTER TABLE {key} VALIDATE CONSTRAINT {name};",
        constraint.definition
    )
}

/// Its own, or the one that PostgreSQL would give it.
fn name_of(look: &Look, constraint: &Constraint) -> String {
    if let Some(name) = &constraint.name {
        return ident(name);
    }
    let Some(table) = look.table() else {
        return ident(&format!(
            "{}_{}",
            constraint.columns.join("_"),
            label(constraint.kind)
        ));
    };
    let taken = |name: &str| {
        table.constraints.iter().any(|found| found.name == name)
            || table.indexes.iter().any(|found| found.name == name)
    };
    let columns = match constraint.kind {
        // As the index has them that it gets.
        ConstraintKind::Unique => [&constraint.columns[..], &constraint.including].concat(),
        _ => constraint.columns.clone(),
    };
    let name = (0..20)
        .map(|pass| names::constraint(&table.name, &columns, label(constraint.kind), pass))
        .find(|name| !taken(name));
    ident(&name.unwrap_or_default())
}

/// A key from an index that was built without blocking.
fn by_index(look: &Look, constraint: &Constraint) -> String {
    let key = look.key();
    let word = match constraint.kind {
        ConstraintKind::PrimaryKey => "PRIMARY KEY",
        _ => "UNIQUE",
    };
    let name = name_of(look, constraint);
    let mut more = String::new();
    if !constraint.including.is_empty() {
        more.push_str(&format!(" INCLUDE ({})", idents(&constraint.including)));
    }
    if constraint.nulls_not_distinct {
        more.push_str(" NULLS NOT DISTINCT");
    }
    let mut text = format!(
        "CREATE UNIQUE INDEX CONCURRENTLY {name} ON {key} ({}){more};\n",
        idents(&constraint.columns)
    );
    if constraint.kind == ConstraintKind::PrimaryKey {
        for column in &constraint.columns {
            let there = look
                .table()
                .and_then(|table| table.column(column))
                .is_some_and(|found| found.not_null);
            if !there {
                text.push_str(&not_null(key, column));
                text.push('\n');
            }
        }
    }
    let deferred = match (constraint.deferrable, constraint.initially_deferred) {
        (_, true) => " DEFERRABLE INITIALLY DEFERRED",
        (true, false) => " DEFERRABLE",
        _ => "",
    };
    text.push_str(&format!(
        "ALTER TABLE {key} ADD CONSTRAINT {name} {word} USING INDEX {name}{deferred};"
    ));
    text
}

/// NOT NULL that a validated CHECK proves.
pub fn not_null(key: &str, column: &str) -> String {
    let (name, check) = (ident(column), ident(&format!("{column}_not_null")));
    format!(
        "ALTER TABLE {key} ADD CONSTRAINT {check} CHECK ({name} IS NOT NULL) NOT VALID;\n\
         ALTER TABLE {key} VALIDATE CONSTRAINT {check};\n\
         ALTER TABLE {key} ALTER COLUMN {name} SET NOT NULL;\n\
         ALTER TABLE {key} DROP CONSTRAINT {check};"
    )
}

fn subcommand(look: &mut Look, change: &Change) -> Result<()> {
    let key = look.key();
    let part = change.name.as_deref().unwrap_or_default();
    match (&change.kind, change.what) {
        (CommandKind::SetNotNull(column), _) => {
            let recipe = not_null(key, column);
            look.say(
                &SET_NOT_NULL,
                format!("{key} {READ}, to see that {} is never null", ident(column)),
            )
            .recipe(recipe);
        }
        (CommandKind::SetType { column, .. }, _) => {
            let recipe = look.apply()?;
            look.say(
                &TYPE_RECHECKS,
                format!(
                    "{key} {READ}, because constraints on {} are checked again",
                    ident(column)
                ),
            )
            .recipe(recipe);
        }
        (_, "VALIDATE CONSTRAINT") => {
            let own = (key.to_owned(), part.to_owned());
            let here = look.action.changes.iter().any(|other| {
                matches!(&other.kind, CommandKind::AddConstraint(made) if made.name.as_deref() == Some(part))
            });
            if here || look.session.unvalidated.contains(&own) {
                look.say(
                    &SAME_TRANSACTION,
                    format!("{key} is read from end to end while the lock that ADD CONSTRAINT took is still held"),
                )
                .recipe(format!(
                    "COMMIT;\nALTER TABLE {key} VALIDATE CONSTRAINT {};",
                    ident(part)
                ));
            }
        }
        (CommandKind::AddConstraint(made), _) => constraint(look, made),
        (_, "ADD CONSTRAINT") => {
            look.say(&CHECK, format!("{key} {READ}"));
        }
        _ => {}
    }
    Ok(())
}

fn constraint(look: &mut Look, made: &Constraint) {
    let key = look.key();
    match made.kind {
        ConstraintKind::Check => {
            let recipe = in_two(look, made);
            look.say(&CHECK, format!("{key} {READ}, to check what is there"))
                .recipe(recipe);
        }
        ConstraintKind::ForeignKey => {
            let target = look
                .effect
                .locks
                .iter()
                .map(|(table, _)| table.as_str())
                .find(|table| *table != key)
                .unwrap_or("the table it refers to");
            let partitioned = look.table().is_some_and(|table| table.kind == "p");
            let recipe = in_two(look, made);
            let said = look.say(
                &FOREIGN_KEY,
                format!(
                    "every row of {key} is looked up in {target}, and writes to both wait meanwhile"
                ),
            );
            if partitioned && !cfg!(feature = "pg18") {
                said.recipe(format!(
                    "-- add it to each partition with NOT VALID, validate it there, then to {key}:\n{recipe}"
                ));
            } else {
                said.recipe(recipe);
            }
        }
        ConstraintKind::PrimaryKey if made.using_index => {
            let index = made.index.clone().unwrap_or_default();
            let columns: Vec<String> = look
                .table()
                .into_iter()
                .flat_map(|table| &table.indexes)
                .find(|found| found.name == index)
                .map(|found| found.columns.clone())
                .unwrap_or_default();
            let mut recipe: Vec<String> =
                columns.iter().map(|column| not_null(key, column)).collect();
            recipe.push(format!("{};", look.statement.text));
            let recipe = recipe.join("\n");
            look.say(
                &PRIMARY_KEY_NULLABLE,
                format!("{key} {READ}, to see that the key is never null"),
            )
            .recipe(recipe);
        }
        ConstraintKind::PrimaryKey | ConstraintKind::Unique => {
            let recipe = by_index(look, made);
            look.say(
                &UNIQUE,
                format!("the index on {} is built under ACCESS EXCLUSIVE, and nobody reads or writes {key} meanwhile", made.columns.join(", ")),
            )
            .recipe(recipe);
        }
        ConstraintKind::Exclude => {
            look.say(
                &EXCLUDE,
                format!("the index is built under ACCESS EXCLUSIVE, and nobody reads or writes {key} meanwhile; PostgreSQL knows no other way"),
            );
        }
    }
}

fn domain(look: &mut Look) {
    let name = look
        .action
        .object
        .as_ref()
        .map(|object| object.text.clone())
        .unwrap_or_default();
    let tables: Vec<String> = look
        .effect
        .locks
        .iter()
        .map(|(table, _)| table.clone())
        .collect();
    let message = format!(
        "{} read from end to end because they have columns of {name}, and their writes wait meanwhile",
        tables.join(", ")
    );
    let text = look.statement.text.clone();
    let adds = look.action.what == "ADD CONSTRAINT";
    let said = look.say(&DOMAIN, message);
    said.severity(Severity::Error);
    if let Some(table) = tables.first() {
        said.on(table);
    }
    if adds {
        said.recipe(format!(
            "{text} NOT VALID;\n-- it holds for new values; for those that are there, a CHECK on each table, NOT VALID and then validated"
        ));
    }
}
