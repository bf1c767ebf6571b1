//! The shadow column of a type change: made and filled beside the old one, and put in its place.

use super::attached::with_locks;
use super::retype::{Group, Retype};
use super::same;
use super::statement::{Place, Statement};
use crate::document::model::{AlterColumn, Operation};
use crate::fault::Result;
use crate::recipe::column::{backfill_step, carry_attributes, drop_sync_trigger, sync_trigger};
use crate::recipe::facts::Column;
use crate::recipe::plan::{Planner, ddl};
use crate::recipe::quote::{ident, literal};
use crate::recipe::step::{Lock, Phase};
use crate::recipe::types;
use serde_json::{Value, json};

/// Sequences that belong to the column belong to the one that takes its place: what is set aside
/// takes those with it that it has.
pub fn owned_by_shadow(group: &Group, change: &Retype) -> Vec<String> {
    let owned = group.attached.iter().filter(|one| {
        let of = one.detail.get("column");
        one.kind == "sequence" && of.is_some_and(|column| *column == change.column.name)
    });
    owned
        .filter_map(|one| one.relation.as_ref())
        .map(|sequence| {
            format!(
                "ALTER SEQUENCE {sequence} OWNED BY {}.{}",
                group.key,
                ident(&change.shadow)
            )
        })
        .collect()
}

/// What is said of a sequence that ends before the new type does: ALTER COLUMN TYPE leaves it as it
/// is.
fn ends_early(group: &Group) -> Option<String> {
    group.attached.iter().find_map(|one| {
        let greatest = one.detail.get("max").and_then(Value::as_i64)?;
        let column = one.detail.get("column").and_then(Value::as_str)?;
        let change = group.changes.iter().find(|c| c.column.name == column)?;
        let early = match change.new_type.as_str() {
            "integer" => greatest < i64::from(i32::MAX),
            "bigint" => greatest < i64::MAX,
            _ => false,
        };
        let sequence = one
            .relation
            .as_deref()
            .filter(|_| one.kind == "sequence" && early)?;
        Some(format!(
            "sequence {sequence} still ends at {greatest}: ALTER SEQUENCE {sequence} AS {};",
            change.new_type
        ))
    })
}

impl Planner<'_> {
    /// The column, its trigger and its backfill.
    pub fn shadow_column(&mut self, group: &Group, change: &Retype) -> Result<()> {
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
        self.carry_tuning(group, change)?;
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
        if change.volatile {
            // It could not be told when what it holds has become what it should.
            return Ok(None);
        }
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

    /// The statements that put the shadow column in the old one's place.
    pub fn replacement(&self, group: &Group, change: &Retype) -> Result<Vec<String>> {
        let (key, column) = (group.key, &change.column);
        let (old, new) = (ident(&column.name), ident(&change.shadow));
        let mut sql = Vec::new();
        if column.identity.is_some() {
            sql.push(format!(
                "SELECT migrate.move_identity({}, {}, {})",
                literal(key),
                literal(&column.name),
                literal(&change.shadow)
            ));
        }
        let default = match &change.op.default {
            Some(changed) => changed.clone(),
            None => match &column.default {
                Some(text) => Some(self.default_for(text, &change.new_type)?),
                None => None,
            },
        };
        let set_default = |name: &str| {
            default
                .as_ref()
                .map(|text| format!("ALTER TABLE {key} ALTER COLUMN {name} SET DEFAULT {text}"))
        };
        let partitioned = group.table.kind == "p";
        if partitioned {
            // What the partitions have otherwise is put right before the old column leaves.
            sql.extend(set_default(&new));
            sql.push(format!(
                "SELECT migrate.carry_partition_settings({}, {}, {})",
                literal(key),
                literal(&column.name),
                literal(&change.shadow)
            ));
        }
        sql.extend(owned_by_shadow(group, change));
        sql.push(format!(
            "SELECT migrate.set_aside_column({}, {}, {})",
            literal(key),
            literal(&column.name),
            literal(self.revision)
        ));
        sql.push(format!("ALTER TABLE {key} RENAME COLUMN {new} TO {old}"));
        if !partitioned {
            sql.extend(set_default(&old));
        }
        Ok(sql)
    }

    /// A default as it stands where it fits the new type, as ALTER COLUMN TYPE leaves it; else cast.
    fn default_for(&self, text: &str, new_type: &str) -> Result<String> {
        match self.facts.expression("", text, Some(new_type)) {
            Ok(_) => Ok(text.to_owned()),
            Err(fault) if fault.is_interruption() => Err(fault),
            Err(_) => Ok(format!("({text})::{new_type}")),
        }
    }

    /// The statements, in one transaction. `tables`: those of the foreign keys among them.
    pub fn push_swap(
        &mut self,
        group: &Group,
        parts: &[(Place, Group)],
        tables: &[&str],
        contract: Vec<Statement>,
    ) {
        for (number, statement) in contract.into_iter().enumerate() {
            let mut step = ddl(
                Phase::Contract,
                group.key,
                Lock::AccessExclusive,
                statement.sql,
            );
            if number == 0 {
                // The group's steps share one transaction, and its locks are taken before the first.
                step = with_locks(step, group.key, &group.attached);
                for (_, part) in parts {
                    step = with_locks(step, part.key, &part.attached);
                }
                for table in tables.iter().filter(|table| **table != group.key) {
                    step = step.also_locks(table, Lock::AccessExclusive);
                }
            }
            if step.sql.contains("set_aside_column") {
                let hides = "hides the old values; restorable until migrate.purge";
                step = step.warn(match ends_early(group) {
                    Some(early) => format!("{hides}; {early}"),
                    None => hides.to_owned(),
                });
            }
            if let Some(place) = statement.of {
                step = step
                    .for_partition(&place.partition)
                    .of_partition(&place.parent);
            }
            self.push(step);
        }
    }

    /// The way back, and what later operations of the migration must know.
    pub fn afterwards(&mut self, key: &str, change: &Retype) -> Result<()> {
        let (op, column) = (&change.op, &change.column);
        self.plan.inverse.push(Operation::AlterColumn(AlterColumn {
            table: key.to_owned(),
            column: column.name.clone(),
            data_type: Some(types::back_from(column, &change.new_type)),
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
