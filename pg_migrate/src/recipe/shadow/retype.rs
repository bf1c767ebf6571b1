//! A type change that would rewrite the table: a shadow column of the new type that takes the old
//! one's name at contract. Several columns of one table change together: what is over more than
//! one of them is made once, and swapped once.

mod guards;
mod swap;

use super::attached::{drops, makes, with_locks};
use super::{SHADOW, column_type, disagreements, refused, same};
use crate::document::model::{AlterColumn, Operation};
use crate::fault::{Fault, Result, state};
use crate::recipe::column::{backfill_step, carry_attributes, drop_sync_trigger, sync_trigger};
use crate::recipe::facts::{Attached, Column, Move, Table};
use crate::recipe::plan::{Planner, ddl, validate, verify};
use crate::recipe::quote::{ident, idents, literal, name_with_suffix, qualified};
use crate::recipe::step::{Lock, Phase};
use crate::recipe::types;
use serde_json::json;

/// One column and what becomes of it.
pub struct Retype {
    pub op: AlterColumn,
    pub column: Column,
    pub new_type: String,
    pub shadow: String,
    pub up: String,
    /// Over the shadow column, and over the new value under the column's own name.
    pub down: String,
    down_over_new: String,
    /// The same row gives another value each time.
    pub volatile: bool,
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

    fn shadows(&self) -> Vec<String> {
        self.changes.iter().map(|c| c.shadow.clone()).collect()
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

fn text_array(texts: &[String]) -> String {
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
    pub fn change_types(&mut self, key: &str, table: &Table, changes: Vec<Retype>) -> Result<()> {
        self.syncable(key, table)?;
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
        self.refuse_obstacles(&group)?;
        self.refuse_shared(&group)?;
        self.refuse_lost_identity(&group)?;
        let keys = self.keys_over(&group)?;
        for change in &group.changes {
            self.shadow_column(&group, change)?;
        }
        let mut swap = self.carry_over(&group)?;
        let statistics = self.carry_statistics(&group)?;
        self.twin_keys(&keys)?;
        for change in &group.changes {
            let (op, column) = (&change.op, &change.column);
            if op.nullable.map_or(column.not_null, |nullable| !nullable) {
                let (during, after) = self.names_of_not_null(table, column, &change.shadow);
                self.not_null_steps(Phase::Migrate, key, &change.shadow, during.as_deref())?;
                if let (Some(during), Some(after)) = (during, after) {
                    swap.after.push(format!(
                        "ALTER TABLE {key} RENAME CONSTRAINT {} TO {}",
                        ident(&during),
                        ident(&after)
                    ));
                }
            }
        }
        // Without it the planner would know nothing of the new columns when they come.
        let whole = swap.expressions || !statistics.0.is_empty();
        let only = match whole {
            true => String::new(),
            false => format!(" ({})", idents(&group.shadows())),
        };
        self.push(validate(
            Phase::Migrate,
            key,
            format!("ANALYZE {key}{only}"),
        ));
        self.verifications(&group, !keys.is_empty());
        let mut contract: Vec<String> = group
            .changes
            .iter()
            .map(|change| drop_sync_trigger(key, &change.column.name, &change.shadow))
            .collect();
        contract.extend(drops(group.attached.iter()));
        contract.extend(statistics.0);
        if !keys.is_empty() {
            contract.push(format!(
                "SELECT migrate.swap_foreign_keys({}, {}, {})",
                literal(key),
                text_array(&group.columns()),
                text_array(&group.shadows())
            ));
        }
        contract.extend(swap.before);
        for change in &group.changes {
            contract.extend(self.replacement(&group, change)?);
        }
        contract.extend(swap.after);
        contract.extend(statistics.1);
        contract.extend(makes(group.attached.iter()));
        self.push_swap(&group, &keys, contract);
        for change in &group.changes {
            self.afterwards(key, change)?;
        }
        Ok(())
    }

    /// The column, its trigger and its backfill.
    fn shadow_column(&mut self, group: &Group, change: &Retype) -> Result<()> {
        let (key, column, shadow) = (group.key, &change.column, change.shadow.as_str());
        let new = ident(shadow);
        let carried = Column {
            comment: match &change.op.comment {
                Some(comment) => comment.clone(),
                None => column.comment.clone(),
            },
            ..column.clone()
        };
        let kept = self.kept(group, change)?;
        let add = match &kept {
            Some(_) => format!(
                "SELECT migrate.take_back_column({}, {}, {}, {})",
                literal(key),
                literal(&column.name),
                literal(shadow),
                literal(self.revision)
            ),
            None => format!("ALTER TABLE {key} ADD COLUMN {new} {}", change.new_type),
        };
        self.push(
            ddl(Phase::Expand, key, Lock::AccessExclusive, add)
                .undo(format!("ALTER TABLE {key} DROP COLUMN {new}")),
        );
        let mut attributes = carry_attributes(key, &carried, shadow);
        if let Some(kept) = &kept {
            let mut cleared = super::carry::cleared(key, kept, shadow);
            cleared.append(&mut attributes);
            attributes = cleared;
        }
        for sql in attributes {
            self.push(ddl(Phase::Expand, key, Lock::AccessExclusive, sql));
        }
        self.carry_tuning(key, column, shadow, &change.new_type)?;
        let (up, down) = (Some(change.up.as_str()), Some(change.down.as_str()));
        self.push(
            ddl(
                Phase::Expand,
                key,
                Lock::ShareRowExclusive,
                sync_trigger(key, &column.name, shadow, up, down),
            )
            .undo(drop_sync_trigger(key, &column.name, shadow)),
        );
        // What was set aside holds old values.
        let predicate = match &kept {
            Some(_) => format!(
                "NOT ({})",
                same(&new, &format!("({})", change.up), &change.new_type)
            ),
            None => format!("{new} IS NULL"),
        };
        self.push(backfill_step(
            key,
            json!({ shadow: change.up }),
            Some(&predicate),
            json!({ "old": column.name, "new": shadow }),
        ));
        Ok(())
    }

    /// The column that this migration itself set aside under the name, where it can serve as the
    /// shadow: so a way back puts the column where it was.
    fn kept(&self, group: &Group, change: &Retype) -> Result<Option<Column>> {
        let name = &change.column.name;
        let Some(hidden) = self.facts.aside(group.key, name, self.revision)? else {
            return Ok(None);
        };
        let fits = |kept: &&Column| {
            types::same_type(kept, &change.new_type)
                && (kept.storage == change.column.storage || kept.storage.is_none())
                && kept.default.is_none()
                && !kept.not_null
        };
        let Some(kept) = group.table.column(&hidden).filter(fits) else {
            return Ok(None);
        };
        let stands = self
            .facts
            .attached(group.key, std::slice::from_ref(&hidden))?;
        let free = stands.iter().all(|one| one.kind == "settings");
        Ok(free.then(|| kept.clone()))
    }

    /// The way back, and what later operations of the migration must know.
    fn afterwards(&mut self, key: &str, change: &Retype) -> Result<()> {
        let (op, column) = (&change.op, &change.column);
        self.plan.inverse.push(Operation::AlterColumn(AlterColumn {
            table: key.to_owned(),
            column: column.name.clone(),
            data_type: Some(column_type(column)),
            up: Some(change.down_over_new.clone()),
            down: Some(change.up.clone()),
            // As it was, not cast there and back.
            default: (op.default.is_some() || column.default.is_some())
                .then(|| column.default.clone()),
            comment: op.comment.as_ref().map(|_| column.comment.clone()),
            nullable: match (op.nullable, column.not_null) {
                (Some(false), false) => Some(true),
                // Until contract the old column keeps its NOT NULL: `down` sees to that.
                (Some(true), true) if op.down.is_some() => Some(false),
                _ => None,
            },
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
            nullable: op
                .nullable
                .filter(|nullable| *nullable && op.down.is_none()),
            ..op.clone()
        };
        self.simple_changes(&rest, key, column)?;
        self.replaced.insert(
            (key.to_owned(), column.name.clone()),
            change.new_type.clone(),
        );
        let shadow = Column {
            name: change.shadow.clone(),
            data_type: change.new_type.clone(),
            ..Column::default()
        };
        self.change(key, |table| table.columns.push(shadow));
        Ok(())
    }
}
