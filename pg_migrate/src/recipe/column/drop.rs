//! drop_column, which sets the column aside, and the restore that brings it back.

use super::{drop_sync_trigger, sync_backfill, sync_trigger};
use crate::document::model::{Backfill, ColumnOf, CreateIndex, DropColumn, Operation, Restore};
use crate::fault::{Fault, Result, state};
use crate::recipe::constraint::clause_of;
use crate::recipe::facts::{self, Table};
use crate::recipe::index::drop_index_concurrently;
use crate::recipe::plan::{Planner, ddl, unlocked};
use crate::recipe::quote::{ident, literal, name_with_suffix, qualified};
use crate::recipe::remarks;
use crate::recipe::step::{Lock, Phase};

impl Planner<'_> {
    pub fn drop_column(&mut self, op: &DropColumn) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        if op.if_exists && table.column(&op.column).is_none() && !table.fresh {
            return Ok(());
        }
        let column = self.column(&key, &table, &op.column)?;
        self.settled(&key, &op.column)?;
        let name = ident(&op.column);
        if table.fresh {
            // Nobody has seen it: nothing is set aside.
            let phase = self.now();
            let sql = format!("ALTER TABLE {key} DROP COLUMN {name}");
            self.push(unlocked(phase, sql));
            self.change(&key, |table| {
                table.columns.retain(|found| found.name != op.column);
                let without = |columns: &Vec<String>| !columns.contains(&op.column);
                table.indexes.retain(|index| without(&index.columns));
                table.constraints.retain(|found| without(&found.columns));
            });
            return Ok(());
        }
        {
            let dependents = self.dependents(&key, Some(&op.column))?;
            if !dependents.is_empty() {
                let list: Vec<_> = dependents.iter().map(|d| d.what.as_str()).collect();
                return Err(Fault::new(
                    state::DEPENDENT_OBJECTS,
                    format!("column \"{}\" of {key} cannot be dropped because other objects depend on it", op.column),
                )
                .detail(list.join("; "))
                .hint("Drop or change them first, in this migration or an earlier one; nothing is dropped by CASCADE."));
            }
        }
        let mut contract = Vec::new();
        let (stamp, _) = self.touch_moves(&key, &op.column, None)?;
        contract.extend(stamp.clone());
        if let Some(down) = &op.down {
            self.syncable(&key, &table)?;
            self.facts.expression(&key, down, Some(&column.data_type))?;
            self.push(
                ddl(
                    Phase::Expand,
                    &key,
                    Lock::ShareRowExclusive,
                    sync_trigger(&key, "", &op.column, Some(down), None),
                )
                .undo(drop_sync_trigger(&key, "", &op.column)),
            );
            contract.push(drop_sync_trigger(&key, "", &op.column));
        } else if column.not_null && column.default.is_none() && column.identity.is_none() {
            // The new application no longer gives a value.
            let step = ddl(
                Phase::Expand,
                &key,
                Lock::AccessExclusive,
                format!("ALTER TABLE {key} ALTER COLUMN {name} DROP NOT NULL"),
            );
            self.push(
                step.undo(format!("ALTER TABLE {key} ALTER COLUMN {name} SET NOT NULL"))
                    .warn("rows written meanwhile without the column hold null: give down to keep NOT NULL restorable"),
            );
        }
        let indexes: Vec<_> = table
            .indexes
            .iter()
            .filter(|index| index.columns.contains(&op.column) && index.constraint.is_none())
            .cloned()
            .collect();
        for index in &indexes {
            let name = qualified(&table.schema, &index.name);
            let step = if table.kind == "p" {
                self.drop_partitioned_index(Phase::Contract, &key, &name)
            } else {
                drop_index_concurrently(Phase::Contract, &key, &name)
            };
            self.push(step);
        }
        let constraints: Vec<_> = table
            .constraints
            .iter()
            .filter(|constraint| constraint.columns.contains(&op.column))
            .cloned()
            .collect();
        for constraint in &constraints {
            contract.push(format!(
                "ALTER TABLE {key} DROP CONSTRAINT {}",
                ident(&constraint.name)
            ));
        }
        if op.immediately {
            self.irreversible(format!(
                "column \"{}\" of {key} is dropped for good",
                op.column
            ));
            contract.push(format!("ALTER TABLE {key} DROP COLUMN {name}"));
        } else {
            contract.push(format!(
                "SELECT migrate.set_aside_column({}, {}, {})",
                literal(&key),
                literal(&op.column),
                literal(self.revision)
            ));
            let mut back = restoration(
                &key,
                &table,
                &column,
                op.down.clone(),
                &indexes,
                &constraints,
            );
            if table.kind == "p" {
                self.name_parts(&key, &table, &mut back)?;
            }
            if stamp.is_some() {
                back.operations.push(Operation::TouchColumn(ColumnOf {
                    table: key.clone(),
                    column: op.column.clone(),
                }));
            }
            self.plan.inverse.push(Operation::Restore(back));
        }
        for sql in contract {
            let mut step = ddl(Phase::Contract, &key, Lock::AccessExclusive, sql);
            if step.sql.contains("set_aside_column") {
                step = step.warn("hides the column and its data; restorable until migrate.purge");
            } else if step.sql.contains("DROP COLUMN") {
                step = step.warn("destroys the column's data for good");
            }
            for target in constraints.iter().filter_map(|c| c.references.as_deref()) {
                step = step.also_locks(target, Lock::AccessExclusive);
            }
            self.push(step);
        }
        self.touch(&key, &op.column);
        self.leaves(&key, Some(&op.column));
        // What is over several columns leaves once.
        self.change(&key, |table| {
            table.indexes.retain(|index| !indexes.contains(index));
            table.constraints.retain(|c| !constraints.contains(c));
        });
        Ok(())
    }

    /// The parts of indexes come back under the names they have.
    fn name_parts(&self, key: &str, table: &Table, back: &mut Restore) -> Result<()> {
        for operation in &mut back.operations {
            match operation {
                Operation::CreateIndex(op) => {
                    op.partitions =
                        self.parts_of_index(key, &qualified(&table.schema, &op.name))?;
                }
                Operation::CreateConstraint(op) => {
                    op.partitions =
                        self.parts_of_index(key, &qualified(&table.schema, &op.name))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub fn restore_column(&mut self, op: &Restore, column: &str) -> Result<()> {
        let (key, _) = self.table(&op.table)?;
        let name = ident(column);
        let undo = format!(
            "SELECT migrate.set_aside_column({}, {}, {})",
            literal(&key),
            literal(column),
            literal(self.revision)
        );
        self.push(
            ddl(
                Phase::Expand,
                &key,
                Lock::AccessExclusive,
                format!(
                    "SELECT migrate.restore_column({}, {})",
                    literal(&key),
                    literal(column)
                ),
            )
            .undo(undo),
        );
        for sql in &op.attributes {
            self.push(ddl(Phase::Expand, &key, Lock::AccessExclusive, sql));
        }
        self.touch(&key, column);
        self.change(&key, |table| {
            table.columns.push(facts::Column {
                name: column.to_owned(),
                data_type: type_aside(table, column),
                ..facts::Column::default()
            });
        });
        if let Some(fill) = &op.fill {
            self.push(
                ddl(
                    Phase::Expand,
                    &key,
                    Lock::ShareRowExclusive,
                    sync_trigger(&key, "", column, Some(fill), None),
                )
                .undo(drop_sync_trigger(&key, "", column)),
            );
            self.push(sync_backfill(
                &key,
                "",
                column,
                fill,
                &format!("{name} IS NULL"),
            ));
        }
        self.restore_operations(op)?;
        if op.fill.is_some() {
            self.push(ddl(
                Phase::Contract,
                &key,
                Lock::AccessExclusive,
                drop_sync_trigger(&key, "", column),
            ));
        }
        Ok(())
    }

    /// Indexes, constraints and the like that left with the column.
    pub fn restore_operations(&mut self, op: &Restore) -> Result<()> {
        for operation in &op.operations {
            match operation {
                Operation::CreateIndex(index) => self.create_index(index)?,
                Operation::SetNotNull(column) => self.set_not_null(column)?,
                Operation::CreateConstraint(constraint) => self.constraint_steps(constraint)?,
                Operation::Backfill(backfill) => self.backfill(backfill)?,
                Operation::TouchColumn(column) => self.touch_column(column)?,
                Operation::Sql(sql) => self.sql(sql)?,
                other => {
                    return Err(Fault::invalid(format!(
                        "restore cannot carry {}",
                        other.kind()
                    )));
                }
            }
        }
        Ok(())
    }
}

/// The type of the column that was set aside last under this name; nothing if there is none.
fn type_aside(table: &Table, column: &str) -> String {
    let number = |name: &str| {
        let (number, _) = name.strip_prefix("_pgm_aside_")?.split_once('_')?;
        let number: i64 = number.parse().ok()?;
        (name_with_suffix(&format!("_pgm_aside_{number}_{column}"), "") == name).then_some(number)
    };
    table
        .columns
        .iter()
        .filter_map(|found| Some((number(&found.name)?, found)))
        .max_by_key(|(number, _)| *number)
        .map(|(_, found)| found.data_type.clone())
        .unwrap_or_default()
}

fn restoration(
    key: &str,
    table: &facts::Table,
    column: &facts::Column,
    fill: Option<String>,
    indexes: &[facts::Index],
    constraints: &[facts::Constraint],
) -> Restore {
    let name = ident(&column.name);
    let mut attributes = Vec::new();
    if let Some(default) = &column.default {
        attributes.push(format!(
            "ALTER TABLE {key} ALTER COLUMN {name} SET DEFAULT {default}"
        ));
    }
    let mut operations: Vec<Operation> = Vec::new();
    if column.not_null && column.identity.is_none() {
        if let (Some(default), None) = (&column.default, &fill) {
            // For rows that were written while it was away.
            operations.push(Operation::Backfill(Backfill {
                table: key.to_owned(),
                set: [(column.name.clone(), default.clone().into())]
                    .into_iter()
                    .collect(),
                predicate: Some(format!("{name} IS NULL")),
                down: None,
            }));
        }
        operations.push(Operation::SetNotNull(ColumnOf {
            table: key.to_owned(),
            column: column.name.clone(),
        }));
    }
    for index in indexes {
        operations.push(Operation::CreateIndex(CreateIndex {
            name: index.name.clone(),
            table: key.to_owned(),
            unique: index.unique,
            definition: Some(index.definition.clone()),
            ..CreateIndex::default()
        }));
        let said = remarks::of_index(key, table, index);
        operations.extend(remarks::operations(said));
    }
    for constraint in constraints {
        operations.push(Operation::CreateConstraint(clause_of(
            key, table, constraint,
        )));
        let said = remarks::of_constraint(key, table, constraint);
        operations.extend(remarks::operations(said));
    }
    Restore {
        table: key.to_owned(),
        column: Some(column.name.clone()),
        attributes,
        operations,
        fill,
    }
}
