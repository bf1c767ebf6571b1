//! A type change that would rewrite the table: a shadow column of the new type that takes the old
//! one's name at contract. Several columns of one table change together: what is over more than
//! one of them is made once, and swapped once.

use super::statement::{Statement, remaking, whole};
use super::together::{see_each_other, triggers_last};
use super::{SHADOW, column_type};
use crate::document::model::AlterColumn;
use crate::fault::{Fault, Result, state};
use crate::recipe::column::drop_sync_trigger;
use crate::recipe::facts::{Attached, Column, Move, Table};
use crate::recipe::plan::{Planner, validate};
use crate::recipe::quote::{ident, idents, literal, name_with_suffix};
use crate::recipe::step::Phase;
use crate::recipe::types;

/// One column and what becomes of it.
#[derive(Clone)]
pub struct Retype {
    pub op: AlterColumn,
    pub column: Column,
    pub new_type: String,
    pub shadow: String,
    pub up: String,
    /// Over the shadow column, and over the new value under the column's own name.
    pub down: String,
    pub down_over_new: String,
    /// The same row gives another value each time.
    pub volatile: bool,
}

impl Retype {
    /// Whether the new column is to be NOT NULL.
    pub fn becomes_not_null(&self) -> bool {
        let asked = self.op.nullable.map(|nullable| !nullable);
        asked.unwrap_or(self.column.not_null)
    }
}

/// The columns of one table that change together, and what hangs on them.
pub struct Group<'a> {
    pub key: &'a str,
    pub table: &'a Table,
    pub changes: Vec<Retype>,
    pub moves: Vec<Move>,
    pub attached: Vec<Attached>,
    /// Earlier operations of the migration change the table too.
    pub changed_before: bool,
}

impl Group<'_> {
    pub fn columns(&self) -> Vec<String> {
        self.changes.iter().map(|c| c.column.name.clone()).collect()
    }

    pub fn shadows(&self) -> Vec<String> {
        self.changes.iter().map(|c| c.shadow.clone()).collect()
    }

    /// The shadow columns, as far as they are more than a name and a type.
    pub fn shadow_columns(&self) -> impl Iterator<Item = Column> {
        self.changes.iter().map(|change| Column {
            name: change.shadow.clone(),
            data_type: change.new_type.clone(),
            ..Column::default()
        })
    }

    pub fn shadow_of(&self, column: &str) -> Option<&str> {
        let found = self.changes.iter().find(|c| c.column.name == column);
        found.map(|change| change.shadow.as_str())
    }

    /// The new type of one of its shadow columns.
    pub fn type_of(&self, table: &str, shadow: &str) -> Option<&str> {
        let found = self.changes.iter().find(|c| c.shadow == shadow);
        found
            .filter(|_| table == self.key)
            .map(|change| change.new_type.as_str())
    }

    pub fn involves(&self, columns: &[String]) -> bool {
        columns.iter().any(|c| self.shadow_of(c).is_some())
    }
}

pub fn text_array(texts: &[String]) -> String {
    let list: Vec<_> = texts.iter().map(|text| literal(text)).collect();
    format!("ARRAY[{}]::text[]", list.join(", "))
}

impl Planner<'_> {
    /// The shadow column: another type, or other values, under the same name. Changes of other
    /// columns of the table that follow in the same migration are done with it.
    pub fn change_type(
        &mut self,
        op: &AlterColumn,
        key: &str,
        table: &Table,
        column: &Column,
        new_type: &str,
    ) -> Result<()> {
        let mut changes = vec![self.retype(op, key, table, column, new_type)?];
        for (number, later) in self.later_type_changes(key)? {
            let physical = self.physical(key, &later.column);
            let Some(column) = table.column(&physical).cloned() else {
                continue;
            };
            if changes.iter().any(|c| c.column.name == column.name) {
                continue; // the same column twice: its own operation will say so
            }
            if let Some(wanted) = self.needs_shadow(&later, key, table, &column)? {
                changes.push(self.retype(&later, key, table, &column, &wanted)?);
                self.done_ahead.insert(number);
            }
        }
        self.change_types(key, table, changes)
    }

    /// One column of a group.
    pub fn retype(
        &mut self,
        op: &AlterColumn,
        key: &str,
        table: &Table,
        column: &Column,
        new_type: &str,
    ) -> Result<Retype> {
        self.settled(key, &column.name)?;
        if op.unique.is_some() || op.check.is_some() || op.references.is_some() {
            return Err(Fault::new(
                state::FEATURE_NOT_SUPPORTED,
                format!("column \"{}\" of {key} cannot get another type and a constraint in one operation", column.name),
            )
            .hint("Add the constraint in a migration of its own, after this one."));
        }
        let shadow = name_with_suffix(&column.name, SHADOW);
        if table.column(&shadow).is_some() {
            let own = self.revision;
            if let Some((other, at)) = self.facts.changed_by(key, &column.name, own)? {
                return Err(Fault::new(
                    state::OBJECT_IN_USE,
                    format!(
                        "migration \"{own}\" and migration \"{other}\", which is {at}, change the same column \"{}\" of {key}",
                        column.name
                    ),
                )
                .hint(format!(
                    "End the other first: CALL migrate.contract('{other}'); or CALL migrate.downgrade to take it back."
                )));
            }
            return Err(Fault::new(
                state::DUPLICATE_COLUMN,
                format!("column \"{shadow}\" of table {key} is in the way of the shadow column"),
            ));
        }
        let old = ident(&column.name);
        let cast = |from: &str, to: &str| -> Result<String> {
            if types::depends_on_zone(from, to) {
                let zone = literal(&self.facts.time_zone()?);
                return Ok(types::zoned(&old, from, to, &zone));
            }
            Ok(format!("{old}::{to}"))
        };
        let up = match &op.up {
            Some(up) => up.clone(),
            None => cast(&column.data_type, new_type)?,
        };
        let down_over_new = match &op.down {
            Some(down) => down.clone(),
            None => cast(new_type, &column_type(column))?,
        };
        self.reads(key, &up, Some(new_type))?;
        Ok(Retype {
            // `down` speaks of the new value under the column's own name.
            down: types::rename_identifier(&down_over_new, &column.name, &shadow),
            op: op.clone(),
            column: column.clone(),
            new_type: new_type.to_owned(),
            shadow,
            up,
            down_over_new,
            volatile: false,
        })
    }

    /// Shadow columns for all of them, swapped in one transaction.
    pub fn change_types(
        &mut self,
        key: &str,
        table: &Table,
        mut changes: Vec<Retype>,
    ) -> Result<()> {
        self.syncable(key, table)?;
        see_each_other(&mut changes);
        let mark = self.plan.steps.len();
        let mut group = Group {
            moves: changes
                .iter()
                .map(|change| Move {
                    from: change.column.name.clone(),
                    to: change.shadow.clone(),
                    data_type: change.new_type.clone(),
                })
                .collect(),
            key,
            table,
            changes,
            attached: Vec::new(),
            changed_before: self
                .plan
                .steps
                .iter()
                .any(|step| step.relation.as_deref() == Some(key)),
        };
        self.read_mappings(&mut group)?;
        group.attached = self.facts.attached(key, &group.columns())?;
        self.pass_over_dropped(&mut group);
        self.refuse_obstacles(&group)?;
        self.refuse_shared(&group)?;
        self.refuse_lost_identity(&group)?;
        let keys = self.keys_over(&group)?;
        let own = self.own_of_partitions(&group)?;
        let parts = self.part_groups(&group, &own)?;
        let (repointed, keys): (Vec<_>, Vec<_>) = keys
            .into_iter()
            .partition(|(key, _)| self.repointed(&group, key));
        for change in &group.changes {
            self.shadow_column(&group, change)?;
        }
        self.tune_partitions(&parts)?;
        let swap = self.carry_over(&group)?;
        let statistics = self.carry_statistics(&group)?;
        self.twin_keys(&keys)?;
        let named = self.carry_not_null(&group)?;
        let own = self.carry_partitions(&group, &parts)?;
        // Without it the planner would know nothing of the new columns when they come.
        let whole_table = swap.expressions || own.expressions || !statistics.0.is_empty();
        let only = match whole_table {
            true => String::new(),
            false => format!(" ({})", idents(&group.shadows())),
        };
        self.push(validate(
            Phase::Migrate,
            key,
            format!("ANALYZE {key}{only}"),
        ));
        self.verifications(&group, !keys.is_empty());
        self.verify_partitions(&group, &parts);
        if !repointed.is_empty() {
            self.verify_repointed(&group);
        }
        let (drops, makes) = remaking(&group, &parts);
        let mut contract: Vec<Statement> = Vec::new();
        contract.extend(whole(
            group
                .changes
                .iter()
                .map(|change| drop_sync_trigger(key, &change.column.name, &change.shadow))
                .collect(),
        ));
        contract.extend(drops);
        contract.extend(whole(statistics.0));
        if !keys.is_empty() {
            contract.push(
                format!(
                    "SELECT migrate.swap_foreign_keys({}, {}, {})",
                    literal(key),
                    text_array(&group.columns()),
                    text_array(&group.shadows())
                )
                .into(),
            );
        }
        contract.extend(own.before);
        contract.extend(whole(swap.before));
        for change in &group.changes {
            contract.extend(whole(self.replacement(&group, change)?));
        }
        contract.extend(whole(swap.after));
        contract.extend(own.after);
        contract.extend(whole(named));
        contract.extend(whole(statistics.1));
        contract.extend(makes);
        let all = keys.iter().chain(&repointed);
        let tables: Vec<&str> = all
            .flat_map(|(key, _)| [key.table.as_str(), key.references.as_str()])
            .collect();
        self.push_swap(&group, &parts, &tables, contract);
        if !repointed.is_empty() {
            self.validate_repointed(&group);
        }
        for change in &group.changes {
            self.afterwards(key, change)?;
        }
        let steps = self.plan.steps.split_off(mark);
        self.plan.steps.extend(triggers_last(steps));
        Ok(())
    }

    /// NOT NULL of the shadow columns; gives what names it anew after the swap.
    fn carry_not_null(&mut self, group: &Group) -> Result<Vec<String>> {
        let (key, mut renames) = (group.key, Vec::new());
        for change in group.changes.iter().filter(|c| c.becomes_not_null()) {
            let (during, after) =
                self.names_of_not_null(group.table, &change.column, &change.shadow);
            self.not_null_steps(Phase::Migrate, key, &change.shadow, during.as_deref())?;
            if let (Some(during), Some(after)) = (during, after) {
                renames.push(format!(
                    "ALTER TABLE {key} RENAME CONSTRAINT {} TO {}",
                    ident(&during),
                    ident(&after)
                ));
            }
        }
        Ok(renames)
    }
}
