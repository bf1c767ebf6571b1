//! A type change that would rewrite the table: a shadow column of the new type that takes the old
//! one's name at contract. Several columns of one table change together: what is over more than
//! one of them is made once, and swapped once.

use super::attached::{drops, makes, with_locks};
use super::together::{see_each_other, triggers_last};
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

/// The marks of what is carried. Without its digest a mark stands for the object in whatever shape:
/// what an earlier operation of the same migration makes or changes is not there yet.
fn known(group: &Group) -> Vec<String> {
    let keys = |one: &&Attached| one.detail.get("kind").is_none_or(|kind| kind != "f");
    let mut marks: Vec<String> = Vec::new();
    for one in group.attached.iter().filter(keys) {
        let Some(mark) = one.mark.as_ref().filter(|_| one.kind != "default") else {
            continue; // the column's own default is among its settings
        };
        let bare = mark.rsplit_once(' ').map_or("", |(bare, _)| bare);
        marks.push(match group.changed_before && one.kind == "settings" {
            true => bare.to_owned(),
            false => mark.clone(),
        });
    }
    let table = group.table;
    // That of a constraint hangs on the constraint.
    let indexes = table
        .indexes
        .iter()
        .filter(|i| i.constraint.is_none() && group.involves(&i.columns));
    let mut made: Vec<String> = indexes
        .map(|index| format!("index {}", qualified(&table.schema, &index.name)))
        .collect();
    let constraints = table.constraints.iter();
    made.extend(
        constraints
            .filter(|c| c.kind != "f" && group.involves(&c.columns))
            .map(|c| format!("table constraint {} on {}", ident(&c.name), group.key)),
    );
    made.retain(|bare| {
        !marks
            .iter()
            .any(|mark| mark.starts_with(&format!("{bare} ")))
    });
    marks.extend(made);
    marks
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
        let steps = self.plan.steps.split_off(mark);
        self.plan.steps.extend(triggers_last(steps));
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

    fn verifications(&mut self, group: &Group, keys: bool) {
        let (key, columns) = (group.key, group.columns());
        for change in &group.changes {
            let (old, new) = (ident(&change.column.name), ident(&change.shadow));
            let agree = match change.volatile {
                // All that can be told is that it was filled.
                true => format!(
                    "{new} IS NOT NULL OR ({}) IS NULL OR {old} IS NULL",
                    change.up
                ),
                false => format!(
                    "{} OR {}",
                    same(&new, &format!("({})", change.up), &change.new_type),
                    same(
                        &old,
                        &format!("({})", change.down),
                        &change.column.data_type
                    )
                ),
            };
            self.push(verify(
                key,
                disagreements(key, group.table, &agree),
                &format!(
                    "rows of {key} in which the old and the new \"{}\" disagree",
                    change.column.name
                ),
            ));
        }
        let named = columns.join("\", \"");
        let known = known(group);
        let made: Vec<String> = self.made.iter().cloned().collect();
        self.push(verify(
            key,
            format!(
                "SELECT count(*) FROM migrate.not_carried({}, {}, {}){}",
                literal(key),
                text_array(&columns),
                text_array(&known),
                match made.is_empty() {
                    true => String::new(),
                    false => format!(" AS what WHERE what <> ALL ({})", text_array(&made)),
                }
            ),
            &format!("objects on \"{named}\" of {key} were made or changed meanwhile and would be lost: take that back, and do it again after the contract"),
        ));
        let leaving: Vec<String> = self
            .dropped
            .keys()
            .filter(|(table, _)| table == key)
            .map(|(_, name)| name.clone())
            .collect();
        let counterparts = format!(
            "SELECT count(*) FROM migrate.foreign_key_twins({}, {}, {}) WHERE twin IS NULL{}",
            literal(key),
            text_array(&columns),
            text_array(&group.shadows()),
            match leaving.is_empty() {
                true => String::new(),
                false => format!(" AND key_name <> ALL ({})", text_array(&leaving)),
            }
        );
        let message = match keys {
            true => "foreign keys",
            false => "foreign keys made meanwhile",
        };
        self.push(verify(
            key,
            counterparts,
            &format!("{message} over \"{named}\" of {key} have no counterpart over the new columns: drop them, or contract the migration that made them first"),
        ));
    }

    /// The statements that put the shadow column in the old one's place.
    fn replacement(&self, group: &Group, change: &Retype) -> Result<Vec<String>> {
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
        sql.push(format!(
            "SELECT migrate.set_aside_column({}, {}, {})",
            literal(key),
            literal(&column.name),
            literal(self.revision)
        ));
        sql.push(format!("ALTER TABLE {key} RENAME COLUMN {new} TO {old}"));
        let default = match &change.op.default {
            Some(changed) => changed.clone(),
            None => match &column.default {
                Some(text) => Some(self.default_for(text, &change.new_type)?),
                None => None,
            },
        };
        if let Some(default) = default {
            sql.push(format!(
                "ALTER TABLE {key} ALTER COLUMN {old} SET DEFAULT {default}"
            ));
        }
        let owned = group.attached.iter().filter(|one| {
            one.kind == "sequence" && one.detail.get("column").is_some_and(|c| *c == column.name)
        });
        sql.extend(owned.flat_map(|one| one.makes.clone()));
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

    fn push_swap(
        &mut self,
        group: &Group,
        keys: &[(
            crate::recipe::facts::ForeignKey,
            crate::recipe::facts::ForeignKey,
        )],
        contract: Vec<String>,
    ) {
        for (number, sql) in contract.into_iter().enumerate() {
            let mut step = ddl(Phase::Contract, group.key, Lock::AccessExclusive, sql);
            if number == 0 {
                // The group's steps share one transaction, and its locks are taken before the first.
                step = with_locks(step, group.key, &group.attached);
                for (key, _) in keys {
                    for table in [&key.table, &key.references] {
                        if table != group.key {
                            step = step.also_locks(table, Lock::AccessExclusive);
                        }
                    }
                }
            }
            if step.sql.contains("set_aside_column") {
                step = step.warn("hides the old values; restorable until migrate.purge");
            }
            self.push(step);
        }
    }

    /// The way back, and what later operations of the migration must know.
    fn afterwards(&mut self, key: &str, change: &Retype) -> Result<()> {
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

    /// What is over a changed column and over one that another migration is changing cannot be
    /// carried by both.
    fn refuse_shared(&self, group: &Group) -> Result<()> {
        let table = group.table;
        let moving = |columns: &[String]| {
            group.involves(columns)
                && columns.iter().any(|column| {
                    group.shadow_of(column).is_none()
                        && table.column(&name_with_suffix(column, SHADOW)).is_some()
                })
        };
        let indexes = table.indexes.iter().filter(|i| moving(&i.columns));
        let checks = table
            .constraints
            .iter()
            .filter(|c| c.kind != "f" && moving(&c.columns));
        let mut shared: Vec<String> = indexes.map(|i| format!("index {}", i.name)).collect();
        shared.extend(checks.map(|c| format!("constraint {}", c.name)));
        if shared.is_empty() {
            return Ok(());
        }
        Err(Fault {
            hint: Some("Contract the migration that changes the other column first; or change both columns in one migration.".into()),
            ..refused(group, &shared)
        })
    }

    /// Identity columns are integers, and the sequence must have room.
    fn refuse_lost_identity(&self, group: &Group) -> Result<()> {
        for change in &group.changes {
            let name = &change.column.name;
            let limit = match change.new_type.as_str() {
                "smallint" => i64::from(i16::MAX),
                "integer" => i64::from(i32::MAX),
                "bigint" => i64::MAX,
                _ if change.column.identity.is_some() => {
                    return Err(refused(
                        group,
                        &[format!(
                            "the identity of \"{name}\" (an identity column is smallint, integer or bigint)"
                        )],
                    ));
                }
                _ => continue,
            };
            let beyond = group.attached.iter().find(|one| {
                let last = one.detail.get("last").and_then(serde_json::Value::as_i64);
                one.kind == "identity"
                    && one.detail.get("column").is_some_and(|c| c == name)
                    && last.is_some_and(|last| last > limit)
            });
            if let Some(sequence) = beyond {
                return Err(refused(
                    group,
                    &[format!("{} (it has passed {limit})", sequence.what)],
                ));
            }
        }
        Ok(())
    }
}
