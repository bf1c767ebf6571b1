//! merge_columns: several columns become one, kept in sync both ways until contract; and its way
//! back.

use super::{backfill_step, drop_sync_trigger, sync_backfill};
use crate::document::model::{
    DropColumn, MergeColumns, MergedColumn, Operation, Restore, UnmergeColumns,
};
use crate::fault::{Fault, Result, state};
use crate::recipe::facts;
use crate::recipe::plan::{Planner, ddl, verify};
use crate::recipe::quote::{ident, literal};
use crate::recipe::step::{Kind, Lock, Phase};
use serde_json::{Map, Value, json};

/// The trigger over all of them.
fn trigger(key: &str, columns: &[MergedColumn], into: &str, up: &str, back: bool) -> String {
    let list = |texts: Vec<&String>| {
        let texts: Vec<_> = texts.into_iter().map(|text| literal(text)).collect();
        format!("ARRAY[{}]", texts.join(", "))
    };
    format!(
        "SELECT migrate.sync_columns_trigger({}, {}, {}, {}, {}{})",
        literal(key),
        list(columns.iter().map(|one| &one.column).collect()),
        literal(into),
        literal(up),
        list(columns.iter().map(|one| &one.down).collect()),
        if back { ", true" } else { "" }
    )
}

/// Every old column is what its expression gives.
fn derived(columns: &[MergedColumn]) -> String {
    let each: Vec<_> = columns
        .iter()
        .map(|one| format!("{} IS NOT DISTINCT FROM ({})", ident(&one.column), one.down))
        .collect();
    each.join(" AND ")
}

/// Old and new say the same, one way or the other.
fn agree(columns: &[MergedColumn], into: &str, up: &str) -> String {
    format!(
        "{} IS NOT DISTINCT FROM ({up}) OR ({})",
        ident(into),
        derived(columns)
    )
}

impl Planner<'_> {
    pub fn merge_columns(&mut self, op: &MergeColumns) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let new = &op.into;
        let name = ident(&new.name);
        self.not_leaving(&key, Some(&new.name))?;
        if table.column(&new.name).is_some() {
            return Err(Fault::new(
                state::DUPLICATE_COLUMN,
                format!("column \"{}\" of table {key} already exists", new.name),
            )
            .hint("Choose another name, or stamp the revision if this migration ran before."));
        }
        self.syncable(&key, &table)?;
        if table.kind == "p" {
            return Err(Fault::new(
                state::FEATURE_NOT_SUPPORTED,
                format!("columns of partitioned table {key} cannot be merged"),
            )
            .detail("A row that moves to another partition would be judged twice by the trigger that keeps both sides in sync.")
            .hint("Add the new column with up in one migration, and drop the old ones in a later one."));
        }
        for one in &op.columns {
            self.column(&key, &table, &one.column)?;
            self.settled(&key, &one.column)?;
        }
        if self.facts.expression(&key, &op.up, Some(&new.data_type))? {
            return Err(Fault::invalid("up calls a volatile function").hint(
                "It must give the same value for a row every time, or old and new never agree.",
            ));
        }
        let first = op
            .columns
            .first()
            .ok_or_else(|| Fault::invalid("no column is given"))?;
        self.push(
            ddl(
                Phase::Expand,
                &key,
                Lock::AccessExclusive,
                format!("ALTER TABLE {key} ADD COLUMN {name} {}", new.data_type),
            )
            .undo(format!("ALTER TABLE {key} DROP COLUMN {name}")),
        );
        self.comment(&key, new);
        self.change(&key, |table| {
            table.columns.push(facts::Column {
                name: new.name.clone(),
                data_type: new.data_type.clone(),
                ..facts::Column::default()
            });
        });
        self.push(
            ddl(
                Phase::Expand,
                &key,
                Lock::ShareRowExclusive,
                trigger(&key, &op.columns, &new.name, &op.up, false),
            )
            .undo(drop_sync_trigger(&key, &first.column, &new.name)),
        );
        self.push(sync_backfill(
            &key,
            &first.column,
            &new.name,
            &op.up,
            &format!("{name} IS NULL"),
        ));
        if !new.nullable {
            self.not_null_steps(Phase::Migrate, &key, &new.name, None)?;
            self.change_column(&key, &new.name, |column| column.not_null = true);
        }
        self.column_constraints(&key, new, &new.name)?;
        self.push(verify(
            &key,
            format!(
                "SELECT count(*) FROM ONLY {key} WHERE NOT ({})",
                agree(&op.columns, &new.name, &op.up)
            ),
            &format!(
                "rows of {key} in which \"{}\" and the columns it is made of disagree",
                new.name
            ),
        ));
        let olds: Vec<String> = op.columns.iter().map(|one| one.column.clone()).collect();
        let restore = self.drop_together(
            &key,
            &olds,
            drop_sync_trigger(&key, &first.column, &new.name),
        )?;
        if let Some(default) = &new.default {
            self.push(ddl(
                Phase::Contract,
                &key,
                Lock::AccessExclusive,
                format!("ALTER TABLE {key} ALTER COLUMN {name} SET DEFAULT {default}"),
            ));
        }
        self.touch(&key, &new.name);
        self.plan
            .inverse
            .push(Operation::UnmergeColumns(UnmergeColumns {
                table: key,
                column: new.name.clone(),
                up: op.up.clone(),
                columns: op.columns.clone(),
                restore,
            }));
        Ok(())
    }

    pub fn unmerge_columns(&mut self, op: &UnmergeColumns) -> Result<()> {
        let (key, _) = self.table(&op.table)?;
        for one in &op.restore {
            self.restore(&Restore {
                operations: Vec::new(),
                fill: None,
                ..one.clone()
            })?;
        }
        let first = op
            .columns
            .first()
            .map_or("", |one| one.column.as_str())
            .to_owned();
        self.push(
            ddl(
                Phase::Expand,
                &key,
                Lock::ShareRowExclusive,
                format!(
                    "{};\nSELECT migrate.sync_filled({}, {}, {})",
                    trigger(&key, &op.columns, &op.column, &op.up, true),
                    literal(&key),
                    literal(&first),
                    literal(&op.column)
                ),
            )
            .undo(drop_sync_trigger(&key, &first, &op.column)),
        );
        // What the old columns still say of a row that nobody changed is better than what can be
        // made of the new one.
        let set: Map<String, Value> = op
            .columns
            .iter()
            .map(|one| (one.column.clone(), json!(one.down)))
            .collect();
        self.push(backfill_step(
            &key,
            Value::Object(set),
            Some(&format!("NOT ({})", agree(&op.columns, &op.column, &op.up))),
            Value::Null,
        ));
        for one in &op.restore {
            self.restore_operations(one)?;
        }
        self.drop_together(
            &key,
            std::slice::from_ref(&op.column),
            drop_sync_trigger(&key, &first, &op.column),
        )?;
        Ok(())
    }

    /// Columns that leave at contract while a trigger still gives them their values: their indexes
    /// first, then, in one transaction, the trigger and all of them. Gives what restores them.
    pub fn drop_together(
        &mut self,
        key: &str,
        columns: &[String],
        trigger: String,
    ) -> Result<Vec<Restore>> {
        let (mark, before) = (self.plan.steps.len(), self.plan.inverse.len());
        for column in columns {
            self.drop_column(&DropColumn {
                table: key.to_owned(),
                column: column.clone(),
                down: None,
                immediately: false,
                if_exists: false,
            })?;
        }
        let steps = self.plan.steps.split_off(mark);
        // The trigger goes on giving them values: they can stay NOT NULL.
        let (brief, long): (Vec<_>, Vec<_>) = steps
            .into_iter()
            .filter(|step| step.phase == Phase::Contract)
            .partition(|step| step.kind == Kind::Ddl);
        self.plan.steps.extend(long);
        self.push(ddl(Phase::Contract, key, Lock::AccessExclusive, trigger));
        self.plan.steps.extend(brief);
        Ok(self
            .plan
            .inverse
            .split_off(before)
            .into_iter()
            .filter_map(|operation| match operation {
                Operation::Restore(restore) => Some(restore),
                _ => None,
            })
            .collect())
    }
}
