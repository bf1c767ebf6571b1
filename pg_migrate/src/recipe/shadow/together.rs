//! Columns whose expressions speak of each other, and the reading of what they say.

use super::retype::{Group, Retype};
use crate::document::model::AlterColumn;
use crate::fault::Result;
use crate::recipe::facts::{Column, Table};
use crate::recipe::plan::Planner;
use crate::recipe::step::{Phase, Step};
use crate::recipe::types;

/// `down` reads the row as the new application sees it: of the other columns too.
pub fn see_each_other(changes: &mut [Retype]) {
    let names: Vec<(String, String)> = changes
        .iter()
        .map(|change| (change.column.name.clone(), change.shadow.clone()))
        .collect();
    for change in changes {
        for (column, shadow) in &names {
            change.down = types::rename_identifier(&change.down, column, shadow);
        }
    }
}

/// A trigger may read what another one's column holds: all columns come before the first.
pub fn triggers_last(steps: Vec<Step>) -> Vec<Step> {
    let (triggers, mut others): (Vec<_>, Vec<_>) = steps.into_iter().partition(|step| {
        let sync = "SELECT migrate.sync_column_trigger";
        step.phase == Phase::Expand && step.sql.starts_with(sync)
    });
    others.extend(triggers);
    others
}

impl Planner<'_> {
    /// Several columns whose expressions may speak of each other: `up` of their old values, `down` of
    /// their new ones.
    pub fn change_together(
        &mut self,
        key: &str,
        table: &Table,
        asked: &[(AlterColumn, Column, String)],
    ) -> Result<()> {
        let mut changes = Vec::new();
        for (op, column, new_type) in asked {
            changes.push(self.retype(op, key, table, column, new_type)?);
        }
        self.change_types(key, table, changes)
    }

    /// What the group's expressions say is read before anything runs.
    pub fn read_mappings(&mut self, group: &mut Group) -> Result<()> {
        let mut columns = group.table.columns.clone();
        columns.retain(|column| !column.data_type.is_empty());
        columns.extend(group.changes.iter().map(|change| Column {
            name: change.shadow.clone(),
            data_type: change.new_type.clone(),
            ..Column::default()
        }));
        for change in &mut group.changes {
            let over = |text: &str, target: &str| {
                self.facts
                    .expression_over(group.key, &columns, false, text, Some(target))
            };
            if change.op.up.is_some() {
                change.volatile |= over(&change.up, &change.new_type)?;
            }
            if change.op.down.is_some() {
                change.volatile |= over(&change.down, &change.column.data_type)?;
            }
        }
        Ok(())
    }
}
