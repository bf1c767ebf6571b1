//! Columns whose expressions speak of each other, and the reading of what they say.

use super::retype::Group;
use crate::document::model::AlterColumn;
use crate::fault::Result;
use crate::recipe::facts::{Column, Table};
use crate::recipe::plan::Planner;
use crate::recipe::step::Phase;
use crate::recipe::types;

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
        let names: Vec<(String, String)> = changes
            .iter()
            .map(|change| (change.column.name.clone(), change.shadow.clone()))
            .collect();
        for change in &mut changes {
            for (column, shadow) in &names {
                change.down = types::rename_identifier(&change.down, column, shadow);
            }
        }
        let mark = self.plan.steps.len();
        self.change_types(key, table, changes)?;
        // A trigger may read what the next one's column will hold: all columns come first.
        let steps = self.plan.steps.split_off(mark);
        let (triggers, others): (Vec<_>, Vec<_>) = steps.into_iter().partition(|step| {
            step.phase == Phase::Expand
                && step.sql.starts_with("SELECT migrate.sync_column_trigger")
        });
        self.plan.steps.extend(others);
        self.plan.steps.extend(triggers);
        Ok(())
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
