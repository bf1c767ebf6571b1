//! rename_column and alter_column: changes that keep an old and a new column side by side.
//!
//! A rename keeps the old column as the one that lasts: at contract the copy is dropped and the
//! old column takes the new name, so that everything that hangs on it (indexes, constraints,
//! foreign keys both ways, views, policies, statistics, identity, publications) is carried over by
//! PostgreSQL itself. A type change must keep the new one, and carries over what hangs on the old.

mod attached;
mod carry;
mod constrain;
mod in_place;
mod keys;
mod partitioned;
mod rename;
mod replace;
mod retype;
mod statement;
mod together;
mod unable;
mod verified;

pub use carry::tuning;
pub use constrain::translated;
pub use keys::definition as foreign_key_definition;

use crate::document::model::{AlterColumn, ColumnOf, CreateConstraint, Operation};
use crate::fault::{Fault, Result, state};
use crate::recipe::column::{drop_sync_trigger, sync_backfill};
use crate::recipe::facts::{Column, Table};
use crate::recipe::plan::{How, Planner, concurrent, ddl, only_constrains};
use crate::recipe::quote::{ident, literal, qualified};
use crate::recipe::step::{Kind, Lock, Phase, Step};
use constrain::changing;
use in_place::Way;

/// What the names of helpers end with while a change is under way.
pub const SHADOW: &str = "_pgm_new";

fn column_type(column: &Column) -> String {
    match &column.collation {
        Some(collation) => format!("{} COLLATE {collation}", column.data_type),
        None => column.data_type.clone(),
    }
}

fn refused(group: &retype::Group, blocking: &[String]) -> Fault {
    refused_for(group.key, &group.columns(), blocking)
}

/// Why the type of columns cannot be changed.
fn refused_for(key: &str, columns: &[String], blocking: &[String]) -> Fault {
    Fault::new(
        state::FEATURE_NOT_SUPPORTED,
        format!("the type of column \"{}\" of {key} cannot be changed online: something hangs on it that cannot be carried over", columns.join("\", \"")),
    )
    .detail(blocking.join("; "))
    .hint("Drop or change these first, in this migration or an earlier one, and make them again afterwards.")
}

/// A query that counts rows in which old and new disagree.
fn disagreements(key: &str, table: &Table, agree: &str) -> String {
    let only = if table.kind == "p" { "" } else { "ONLY " };
    format!("SELECT count(*) FROM {only}{key} WHERE NOT ({agree})")
}

/// `a IS NOT DISTINCT FROM b`, also for types without equality.
fn same(a: &str, b: &str, data_type: &str) -> String {
    match data_type {
        "json" | "xml" | "point" | "polygon" | "box" | "path" | "line" | "lseg" | "circle" => {
            format!("{a}::text IS NOT DISTINCT FROM {b}::text")
        }
        _ => format!("{a} IS NOT DISTINCT FROM {b}"),
    }
}

fn helper_build(key: &str, schema: &str, name: &str, unique: bool, body: &str) -> Step {
    let unique = if unique { "UNIQUE " } else { "" };
    let index = qualified(schema, name);
    concurrent(
        Phase::Migrate,
        key,
        Some(&index),
        format!(
            "CREATE {unique}INDEX CONCURRENTLY {} ON {key} {body}",
            ident(name)
        ),
    )
    .undo_as(
        Kind::Concurrent,
        format!("DROP INDEX CONCURRENTLY IF EXISTS {index}"),
    )
}

impl Planner<'_> {
    pub fn alter_column(&mut self, op: &AlterColumn) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let physical = self.physical(&key, &op.column);
        let column = self.column(&key, &table, &physical)?;
        if op.needs_column() && !only_constrains(op) {
            self.not_replaced(&key, &physical)?;
        }
        let up = changing(&physical, op.up.as_ref()).cloned();
        let down = changing(&physical, op.down.as_ref()).cloned();
        let translated = up.is_some() || down.is_some();
        let in_place = op.down.is_none() && fills_nulls(op);
        let op = &AlterColumn {
            up,
            down,
            ..op.clone()
        };
        let used = !table.fresh && translated;
        match self.way(op, &key, &table, &column)? {
            Some(Way::Shadow { new }) => {
                return self.alter_beside(op, &key, &table, &column, &new);
            }
            // The type alone would not need it.
            Some(Way::InPlace { new, .. }) if used && !table.empty && constrains(op) => {
                return self.alter_beside(op, &key, &table, &column, &new);
            }
            Some(Way::InPlace { new, same_base }) => {
                self.change_in_place(op, &key, &table, &column, &new, same_base)?;
            }
            // The nulls are replaced where they are, unless the old application is to keep them.
            None if used && in_place => self.fill_nulls(&key, &column, op)?,
            None if used => {
                return self.alter_beside(op, &key, &table, &column, &column_type(&column));
            }
            None => {}
        }
        self.simple_changes(op, &key, &column)
    }

    /// Old and new side by side: the column as it is, and a shadow with everything that changes.
    fn alter_beside(
        &mut self,
        op: &AlterColumn,
        key: &str,
        table: &Table,
        column: &Column,
        new_type: &str,
    ) -> Result<()> {
        let shadows = self.shadow(op, key, table, column, new_type)?;
        for constraint in constraints_of(op, key, &column.name) {
            self.constrain(&constraint, &shadows)?;
        }
        Ok(())
    }

    /// `nullable: false` with `up`: nulls are replaced, in old rows and in new ones.
    fn fill_nulls(&mut self, key: &str, column: &Column, op: &AlterColumn) -> Result<()> {
        let Some(up) = &op.up else { return Ok(()) };
        self.reads(key, up, Some(&column.data_type))?;
        let name = ident(&column.name);
        // 'fill': here a null is never what a writer wants, unlike in a column that is new.
        self.push(
            ddl(
                Phase::Expand,
                key,
                Lock::ShareRowExclusive,
                format!(
                    "SELECT migrate.sync_column_trigger({}, '', {}, {}, NULL, 'fill')",
                    literal(key),
                    literal(&column.name),
                    literal(up)
                ),
            )
            .undo(drop_sync_trigger(key, "", &column.name)),
        );
        self.push(sync_backfill(
            key,
            "",
            &column.name,
            up,
            &format!("{name} IS NULL"),
        ));
        self.push(ddl(
            Phase::Contract,
            key,
            Lock::AccessExclusive,
            drop_sync_trigger(key, "", &column.name),
        ));
        self.touch_as(key, &column.name, How::Fill);
        Ok(())
    }

    /// Default, comment, nullability, unique, check, references: no copy for what needs none.
    fn simple_changes(&mut self, op: &AlterColumn, key: &str, column: &Column) -> Result<()> {
        let name = ident(&column.name);
        if op.default.is_some() || op.comment.is_some() {
            // What a later change of the column finds changed is this migration's doing.
            self.made.extend([
                format!("settings of {name}"),
                format!("the default, comment, privileges or statistics target of column {name}"),
                format!("default value for column {} of table {key}", column.name),
            ]);
        }
        if let Some(default) = &op.default {
            let set = |value: &Option<String>| match value {
                Some(value) => format!("ALTER TABLE {key} ALTER COLUMN {name} SET DEFAULT {value}"),
                None => format!("ALTER TABLE {key} ALTER COLUMN {name} DROP DEFAULT"),
            };
            if let Some(value) = default {
                let data_type = self
                    .replacing(key, &column.name)
                    .unwrap_or_else(|| column.data_type.clone());
                let known = (!data_type.is_empty()).then_some(data_type.as_str());
                self.reads_alone(value, known)?;
            }
            let phase = self.now_for(key, &column.name);
            let step = ddl(phase, key, Lock::AccessExclusive, set(default));
            self.push(step.undo(set(&column.default)));
            self.plan.inverse.push(Operation::AlterColumn(AlterColumn {
                table: key.to_owned(),
                column: op.column.clone(),
                default: Some(column.default.clone()),
                ..AlterColumn::default()
            }));
            self.change_column(key, &column.name, |column| {
                column.default.clone_from(default);
            });
        }
        if let Some(comment) = &op.comment {
            let set = |value: &Option<String>| {
                let value = value.as_deref().map_or_else(|| "NULL".to_owned(), literal);
                format!("COMMENT ON COLUMN {key}.{name} IS {value}")
            };
            let phase = self.now_for(key, &column.name);
            let step = ddl(phase, key, Lock::ShareUpdateExclusive, set(comment));
            self.push(step.undo(set(&column.comment)));
            self.plan.inverse.push(Operation::AlterColumn(AlterColumn {
                table: key.to_owned(),
                column: op.column.clone(),
                comment: Some(column.comment.clone()),
                ..AlterColumn::default()
            }));
            self.change_column(key, &column.name, |column| {
                column.comment.clone_from(comment);
            });
        }
        let of = ColumnOf {
            table: key.to_owned(),
            column: op.column.clone(),
        };
        match op.nullable {
            Some(false) => self.set_not_null(&of)?,
            Some(true) => self.drop_not_null(&of)?,
            None => {}
        }
        for constraint in constraints_of(op, key, &op.column) {
            self.create_constraint(&constraint)?;
        }
        Ok(())
    }
}

/// Whether a value may be forbidden that was not.
fn constrains(op: &AlterColumn) -> bool {
    let constrained = op.unique.is_some() || op.check.is_some() || op.references.is_some();
    constrained || op.nullable.is_some()
}

fn fills_nulls(op: &AlterColumn) -> bool {
    let constrained = op.unique.is_some() || op.check.is_some() || op.references.is_some();
    op.nullable == Some(false) && op.up.is_some() && !constrained
}

/// The constraints the operation asks for, as operations of their own.
fn constraints_of(op: &AlterColumn, key: &str, column: &str) -> Vec<CreateConstraint> {
    let one = |name: &str, kind: &str| CreateConstraint {
        name: name.to_owned(),
        table: key.to_owned(),
        kind: kind.to_owned(),
        columns: vec![column.to_owned()],
        ..CreateConstraint::default()
    };
    let unique = op.unique.iter().map(|unique| one(&unique.name, "unique"));
    let check = op.check.iter().map(|check| CreateConstraint {
        check: Some(check.constraint.clone()),
        no_inherit: check.no_inherit,
        ..one(&check.name, "check")
    });
    let references = op.references.iter().map(|references| CreateConstraint {
        references: Some(references.into()),
        deferrable: references.deferrable,
        initially_deferred: references.initially_deferred,
        ..one(&references.name, "foreign_key")
    });
    unique.chain(check).chain(references).collect()
}
