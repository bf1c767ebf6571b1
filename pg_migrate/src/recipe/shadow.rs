//! rename_column and alter_column: changes that keep an old and a new column side by side.
//!
//! A rename keeps the old column as the one that lasts: at contract the copy is dropped and the
//! old column takes the new name, so that everything that hangs on it (indexes, constraints,
//! foreign keys both ways, views, policies, statistics, identity, publications) is carried over by
//! PostgreSQL itself. A type change must keep the new one, and carries over what hangs on the old.

mod carry;
mod rename;
mod retype;

use crate::document::model::{AlterColumn, ColumnOf, CreateConstraint, Operation};
use crate::fault::{Fault, Result};
use crate::recipe::column::{drop_sync_trigger, sync_backfill};
use crate::recipe::facts::{Column, Table};
use crate::recipe::plan::{Planner, concurrent, ddl};
use crate::recipe::quote::{ident, literal, qualified};
use crate::recipe::step::{Kind, Lock, Phase, Step};
use crate::recipe::types;

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
        if op.needs_column() {
            self.not_replaced(&key, &physical)?;
        }
        let name = ident(&physical);
        let new_type = match &op.data_type {
            Some(wanted) => {
                let wanted = self.facts.canonical_type(wanted)?;
                (wanted != column.data_type).then_some(wanted)
            }
            None => None,
        };
        let free = new_type
            .as_deref()
            .is_some_and(|new| types::metadata_only(&column.data_type, new) && op.up.is_none());
        match (&new_type, free || table.fresh || table.empty) {
            (Some(new), true) => {
                let using = op
                    .up
                    .as_ref()
                    .map(|up| format!(" USING {up}"))
                    .unwrap_or_default();
                let phase = self.now();
                self.push(
                    ddl(
                        phase,
                        &key,
                        Lock::AccessExclusive,
                        format!("ALTER TABLE {key} ALTER COLUMN {name} TYPE {new}{using}"),
                    )
                    .undo(format!(
                        "ALTER TABLE {key} ALTER COLUMN {name} TYPE {} USING {}",
                        column.data_type,
                        op.down
                            .clone()
                            .unwrap_or_else(|| format!("{name}::{}", column.data_type))
                    )),
                );
                self.plan.inverse.push(Operation::AlterColumn(AlterColumn {
                    table: key.clone(),
                    column: op.column.clone(),
                    data_type: Some(column.data_type.clone()),
                    up: op.down.clone(),
                    down: op.up.clone(),
                    ..AlterColumn::default()
                }));
            }
            (Some(new), false) => return self.change_type(op, &key, &table, &column, new),
            (None, _) => {}
        }
        if new_type.is_none() && op.up.is_some() {
            if op.nullable != Some(false) {
                if op.data_type.is_some() {
                    return self.change_type(op, &key, &table, &column, &column.data_type);
                }
                return Err(Fault::invalid("up has nothing to do here").hint(
                    "up gives the value for a new type or, with nullable: false, for the nulls.",
                ));
            }
            self.fill_nulls(&key, &column, op)?;
        }
        self.simple_changes(op, &key, &column)
    }

    /// `nullable: false` with `up`: nulls are replaced, in old rows and in new ones.
    fn fill_nulls(&mut self, key: &str, column: &Column, op: &AlterColumn) -> Result<()> {
        let Some(up) = &op.up else { return Ok(()) };
        self.facts.expression(key, up, Some(&column.data_type))?;
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
        self.touch(key, &column.name);
        Ok(())
    }

    /// Default, comment, nullability, unique, check, references: no copy for what needs none.
    fn simple_changes(&mut self, op: &AlterColumn, key: &str, column: &Column) -> Result<()> {
        let name = ident(&column.name);
        if let Some(default) = &op.default {
            let set = |value: &Option<String>| match value {
                Some(value) => format!("ALTER TABLE {key} ALTER COLUMN {name} SET DEFAULT {value}"),
                None => format!("ALTER TABLE {key} ALTER COLUMN {name} DROP DEFAULT"),
            };
            if let Some(value) = default {
                let data_type = self
                    .replacing(key, &column.name)
                    .unwrap_or_else(|| column.data_type.clone());
                self.facts
                    .expression("", value, Some(&data_type))
                    .map(drop)?;
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
        let one = |name: &str, kind: &str| CreateConstraint {
            name: name.to_owned(),
            table: key.to_owned(),
            kind: kind.to_owned(),
            columns: vec![op.column.clone()],
            ..CreateConstraint::default()
        };
        if let Some(unique) = &op.unique {
            self.create_constraint(&one(&unique.name, "unique"))?;
        }
        if let Some(check) = &op.check {
            self.create_constraint(&CreateConstraint {
                check: Some(check.constraint.clone()),
                ..one(&check.name, "check")
            })?;
        }
        if let Some(references) = &op.references {
            self.create_constraint(&CreateConstraint {
                references: Some(references.into()),
                ..one(&references.name, "foreign_key")
            })?;
        }
        Ok(())
    }
}
