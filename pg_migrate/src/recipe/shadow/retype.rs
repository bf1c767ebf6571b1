//! A type change that would rewrite the table: a shadow column of the new type that takes the old
//! one's name at contract.

use super::{disagreements, same};
use crate::document::model::{AlterColumn, Operation};
use crate::fault::{Fault, Result, state};
use crate::recipe::column::{backfill_step, carry_attributes, drop_sync_trigger, sync_trigger};
use crate::recipe::facts::{Column, Table, is_not_enforced, is_temporal};
use crate::recipe::plan::{Planner, ddl, verify};
use crate::recipe::quote::{ident, literal, name_with_suffix};
use crate::recipe::step::{Lock, Phase};
use crate::recipe::types;
use serde_json::json;

impl Planner<'_> {
    /// The shadow column: another type under the same name.
    pub fn change_type(
        &mut self,
        op: &AlterColumn,
        key: &str,
        table: &Table,
        column: &Column,
        new_type: &str,
    ) -> Result<()> {
        self.settled(key, &column.name)?;
        self.syncable(key, table)?;
        self.refuse_dependents(key, table, column)?;
        if op.unique.is_some() || op.check.is_some() || op.references.is_some() {
            return Err(Fault::new(
                state::FEATURE_NOT_SUPPORTED,
                format!("column \"{}\" of {key} cannot get another type and a constraint in one operation", column.name),
            )
            .hint("Add the constraint in a migration of its own, after this one."));
        }
        let old = ident(&column.name);
        let shadow = name_with_suffix(&column.name, "_pgm_new");
        let new = ident(&shadow);
        if table.column(&shadow).is_some() {
            return Err(Fault::new(
                state::DUPLICATE_COLUMN,
                format!("column \"{shadow}\" of table {key} is in the way of the shadow column"),
            ));
        }
        let up = op
            .up
            .clone()
            .unwrap_or_else(|| format!("{old}::{new_type}"));
        let down_over_new = match &op.down {
            Some(down) => down.clone(),
            None => format!("{old}::{}", column.data_type),
        };
        self.facts.expression(key, &up, Some(new_type))?;
        // `down` speaks of the new value under the column's own name.
        let down = types::rename_identifier(&down_over_new, &column.name, &shadow);
        self.push(
            ddl(
                Phase::Expand,
                key,
                Lock::AccessExclusive,
                format!("ALTER TABLE {key} ADD COLUMN {new} {new_type}"),
            )
            .undo(format!("ALTER TABLE {key} DROP COLUMN {new}")),
        );
        let carried = Column {
            comment: op.comment.clone().unwrap_or_else(|| column.comment.clone()),
            ..column.clone()
        };
        for sql in carry_attributes(key, &carried, &shadow) {
            self.push(ddl(Phase::Expand, key, Lock::AccessExclusive, sql));
        }
        self.carry_tuning(key, column, &shadow, new_type)?;
        self.push(
            ddl(
                Phase::Expand,
                key,
                Lock::ShareRowExclusive,
                sync_trigger(key, &column.name, &shadow, Some(&up), Some(&down)),
            )
            .undo(drop_sync_trigger(key, &column.name, &shadow)),
        );
        self.push(backfill_step(
            key,
            json!({ shadow.as_str(): up }),
            Some(&format!("{new} IS NULL")),
            json!({ "old": column.name, "new": shadow }),
        ));
        let mut swap = self.carry_over(key, table, column, &shadow)?;
        if op.nullable.map_or(column.not_null, |nullable| !nullable) {
            let (during, after) = self.names_of_not_null(table, column, &shadow);
            self.not_null_steps(Phase::Migrate, key, &shadow, during.as_deref())?;
            if let (Some(during), Some(after)) = (during, after) {
                swap.after.push(format!(
                    "ALTER TABLE {key} RENAME CONSTRAINT {} TO {}",
                    ident(&during),
                    ident(&after)
                ));
            }
        }
        let agree = format!(
            "{} OR {}",
            same(&new, &format!("({up})"), new_type),
            same(&old, &format!("({down})"), &column.data_type)
        );
        self.push(verify(
            key,
            disagreements(key, table, &agree),
            &format!(
                "rows of {key} in which the old and the new \"{}\" disagree",
                column.name
            ),
        ));
        let mut contract = vec![drop_sync_trigger(key, &column.name, &shadow)];
        contract.extend(swap.before);
        contract.push(format!(
            "SELECT migrate.set_aside_column({}, {}, {})",
            literal(key),
            literal(&column.name),
            literal(self.revision)
        ));
        contract.push(format!("ALTER TABLE {key} RENAME COLUMN {new} TO {old}"));
        let default = match &op.default {
            Some(changed) => changed.clone(),
            None => column
                .default
                .as_ref()
                .map(|text| format!("({text})::{new_type}")),
        };
        if let Some(default) = default {
            contract.push(format!(
                "ALTER TABLE {key} ALTER COLUMN {old} SET DEFAULT {default}"
            ));
        }
        contract.extend(swap.after);
        for sql in contract {
            let mut step = ddl(Phase::Contract, key, Lock::AccessExclusive, sql);
            if step.sql.contains("set_aside_column") {
                step = step.warn("hides the old values; restorable until migrate.purge");
            }
            self.push(step);
        }
        self.plan.inverse.push(Operation::AlterColumn(AlterColumn {
            table: key.to_owned(),
            column: column.name.clone(),
            data_type: Some(column.data_type.clone()),
            up: Some(down_over_new),
            down: Some(up),
            // As it was, not cast there and back.
            default: (op.default.is_some() || column.default.is_some())
                .then(|| column.default.clone()),
            comment: op.comment.as_ref().map(|_| column.comment.clone()),
            nullable: (op.nullable == Some(false) && !column.not_null).then_some(true),
            ..AlterColumn::default()
        }));
        self.touch(key, &column.name);
        let rest = AlterColumn {
            data_type: None,
            up: None,
            down: None,
            default: None,
            comment: None,
            // NOT NULL is for the new column, and done.
            nullable: op.nullable.filter(|nullable| *nullable),
            ..op.clone()
        };
        self.simple_changes(&rest, key, column)?;
        self.replaced
            .insert((key.to_owned(), column.name.clone()), new_type.to_owned());
        Ok(())
    }

    fn refuse_dependents(&self, key: &str, table: &Table, column: &Column) -> Result<()> {
        let mut blocking: Vec<String> = self
            .dependents(key, Some(&column.name))?
            .into_iter()
            .map(|dependent| dependent.what)
            .collect();
        if column.identity.is_some() {
            blocking.push("the column's identity".into());
        }
        if column.generated.is_some() {
            blocking.push("the column's generation expression".into());
        }
        if table.kind == "p" {
            blocking.push("the partitions' indexes and constraints".into());
        }
        for constraint in table
            .constraints
            .iter()
            .filter(|c| c.columns.contains(&column.name))
        {
            let kind = if constraint.kind == "x" {
                "exclusion"
            } else if constraint.kind != "c" && is_temporal(&constraint.definition) {
                "temporal"
            } else if is_not_enforced(&constraint.definition) {
                "unenforced"
            } else {
                continue;
            };
            blocking.push(format!("{kind} constraint {}", constraint.name));
        }
        if blocking.is_empty() {
            return Ok(());
        }
        Err(Fault::new(
            state::FEATURE_NOT_SUPPORTED,
            format!("the type of column \"{}\" of {key} cannot be changed online yet: something hangs on it that is not carried over", column.name),
        )
        .detail(blocking.join("; "))
        .hint("Drop or change these first, in this migration or an earlier one, and make them again afterwards."))
    }
}
