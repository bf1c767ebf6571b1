//! Which way a type change goes, and the one that changes the catalog alone: what PostgreSQL would
//! check again under its lock is left unchecked there and validated afterwards, and what it refuses
//! to change with the column is made anew in the same transaction.

use super::attached::{add_once, drops, in_order, makes, obstacles, remade, with_locks};
use super::constrain::changing;
use super::keys::definition;
use super::{column_type, refused_for};
use crate::document::model::{AlterColumn, Operation};
use crate::fault::Result;
use crate::recipe::facts::{Column, Constraint, Effect, ForeignKey, Table};
use crate::recipe::plan::{Planner, ddl, validate};
use crate::recipe::quote::{ident, literal};
use crate::recipe::step::{Kind, Lock, Phase};
use crate::recipe::types;

pub enum Way {
    /// Nothing is written anew. `same_base`: only the type's modifier changes.
    InPlace {
        new: String,
        same_base: bool,
    },
    Shadow {
        new: String,
    },
}

/// The constraints that would be checked again, as statements.
#[derive(Default)]
struct Rechecked {
    drops: Vec<String>,
    /// Made again, unchecked.
    makes: Vec<String>,
    /// Table and VALIDATE statement.
    validates: Vec<(String, String)>,
}

impl Planner<'_> {
    /// The type asked for, if it is another than the column has.
    pub fn new_type(&mut self, op: &AlterColumn, column: &Column) -> Result<Option<String>> {
        let Some(wanted) = &op.data_type else {
            return Ok(None);
        };
        let wanted = self.data_type(wanted)?;
        // The same type with other values keeps its collation.
        let same =
            types::same_type(column, &wanted) || (op.up.is_some() && wanted == column.data_type);
        Ok((!same).then_some(wanted))
    }

    /// How the type changes. `None`: it does not.
    pub fn way(
        &mut self,
        op: &AlterColumn,
        key: &str,
        table: &Table,
        column: &Column,
    ) -> Result<Option<Way>> {
        let Some(new) = self.new_type(op, column)? else {
            return Ok(None);
        };
        if table.fresh {
            let same_base = false;
            return Ok(Some(Way::InPlace { new, same_base }));
        }
        let attached = self
            .facts
            .attached(key, std::slice::from_ref(&column.name))?;
        // A function's body cannot be taken away for a moment, only replaced.
        let fixed = attached.iter().any(|one| one.kind == "function");
        let indexes: Vec<String> = table
            .indexes
            .iter()
            .filter(|index| index.valid && index.columns.contains(&column.name))
            .map(|index| index.definition.clone())
            .collect();
        if table.empty && !fixed {
            let same_base = false;
            return Ok(Some(Way::InPlace { new, same_base }));
        }
        let using = op.up.as_deref();
        let effect = self
            .facts
            .effect(key, &table.columns, &indexes, &column.name, &new, using);
        let effect = match effect {
            Ok(effect) => effect,
            Err(fault) if fault.is_interruption() => return Err(fault),
            // PostgreSQL would not cast it by itself; the shadow's way casts explicitly, or says why not.
            Err(_) => Effect {
                rewrites: true,
                ..Effect::default()
            },
        };
        let same_base = effect.same_base;
        Ok(Some(if effect.rewrites || effect.rebuilds || fixed {
            Way::Shadow { new }
        } else {
            Way::InPlace { new, same_base }
        }))
    }

    /// The later operations of the migration that change the type of a column of this table.
    pub fn later_type_changes(&mut self, key: &str) -> Result<Vec<(usize, AlterColumn)>> {
        let operations = self.operations;
        let mut found = Vec::new();
        for (number, operation) in operations.iter().enumerate().skip(self.at + 1) {
            let Operation::AlterColumn(op) = operation else {
                continue;
            };
            let plain = op.unique.is_none() && op.check.is_none() && op.references.is_none();
            if op.data_type.is_some()
                && plain
                && !self.done_ahead.contains(&number)
                && self.has_table(&op.table)?
                && self.table(&op.table)?.0 == key
            {
                found.push((number, op.clone()));
            }
        }
        Ok(found)
    }

    /// The type of a shadow column for this operation, if it needs one.
    pub fn needs_shadow(
        &mut self,
        op: &AlterColumn,
        key: &str,
        table: &Table,
        column: &Column,
    ) -> Result<Option<String>> {
        let translated = changing(&column.name, op.up.as_ref()).is_some()
            || changing(&column.name, op.down.as_ref()).is_some();
        Ok(match self.way(op, key, table, column)? {
            Some(Way::Shadow { new }) => Some(new),
            // The same type, with other values.
            None if translated && !table.fresh => Some(column_type(column)),
            _ => None,
        })
    }

    pub fn change_in_place(
        &mut self,
        op: &AlterColumn,
        key: &str,
        table: &Table,
        column: &Column,
        new: &str,
        same_base: bool,
    ) -> Result<()> {
        let name = ident(&column.name);
        let columns = [column.name.clone()];
        let (mut attached, mut keys) = (Vec::new(), Vec::new());
        if !table.fresh {
            attached = self.facts.attached(key, &columns)?;
            if table.kind == "p" {
                for node in self.facts.partitions(key)?.iter().skip(1) {
                    add_once(&mut attached, self.facts.attached(&node.key, &columns)?);
                }
            }
            // PostgreSQL carries the rest itself, and publications without a condition.
            attached.retain(|one| {
                (remade(&one.kind) || matches!(one.kind.as_str(), "default" | "other"))
                    && (one.kind != "publication" || one.makes.concat().contains(" WHERE ("))
            });
            keys = self.facts.foreign_keys(key)?;
            keys.retain(|found| {
                (found.table == key && found.columns.contains(&column.name))
                    || (found.references == key && found.referenced.contains(&column.name))
            });
        }
        let mut blocking = obstacles(&attached);
        let remade = in_order(attached.iter());
        if blocking.is_empty() && !remade.is_empty() {
            let changes = [(column.name.clone(), new.to_owned())];
            blocking = self.facts.cannot_be_remade(table, &changes, &remade)?;
        }
        if !blocking.is_empty() {
            return Err(refused_for(key, &columns, &blocking));
        }
        let rechecked = match table.fresh || table.empty {
            true => Rechecked::default(),
            false => rechecked(key, table, column, &keys, same_base)?,
        };
        let zoned = types::depends_on_zone(&column.data_type, new);
        let zone = match zoned {
            true => Some(format!(
                "SET LOCAL TimeZone TO {}",
                literal(&self.facts.time_zone()?)
            )),
            false => None,
        };
        let clauses = super::carry::storage(column);
        let stored =
            (!clauses.is_empty()).then(|| super::carry::alter(key, &column.name, &clauses));
        let keeps_storage = stored.is_some() && self.facts.toastable(new)?;
        let change = |data_type: &str, using: Option<&String>| {
            let using = using.map(|up| format!(" USING {up}")).unwrap_or_default();
            let alter = format!("ALTER TABLE {key} ALTER COLUMN {name} TYPE {data_type}{using}");
            let mut sql: Vec<String> = zone.iter().cloned().collect();
            sql.extend(drops(attached.iter()));
            sql.extend(rechecked.drops.clone());
            sql.push(alter);
            if keeps_storage {
                // ALTER COLUMN TYPE forgets how the column was to be stored.
                sql.extend(stored.clone());
            }
            sql.extend(rechecked.makes.clone());
            sql.extend(makes(attached.iter()));
            sql.join(";\n")
        };
        let was = column_type(column);
        let cast = format!("{name}::{was}");
        let back = match (&op.down, zoned) {
            (Some(down), _) => Some(down),
            (None, true) => None,
            (None, false) => Some(&cast),
        };
        let phase = self.now();
        // No row to convert: a subquery, which ALTER TABLE does not take, is not needed.
        let nothing = format!("NULL::{new}");
        let using = op.up.as_ref().map(|up| match table.fresh || table.empty {
            true => &nothing,
            false => up,
        });
        let mut step =
            ddl(phase, key, Lock::AccessExclusive, change(new, using)).undo(change(&was, back));
        for (_, sql) in &rechecked.validates {
            step = step.undo_as(Kind::Validate, sql.clone());
        }
        step = with_locks(step, key, &attached);
        step = lock_others(step, key, &keys);
        self.push(step);
        for (relation, sql) in &rechecked.validates {
            self.push(validate(Phase::Migrate, relation, sql.clone()));
        }
        self.plan.inverse.push(Operation::AlterColumn(AlterColumn {
            table: key.to_owned(),
            column: op.column.clone(),
            data_type: Some(types::back_from(column, new)),
            up: op.down.clone(),
            down: op.up.clone(),
            ..AlterColumn::default()
        }));
        self.change_column(key, &column.name, |column| {
            new.clone_into(&mut column.data_type);
            column.collation = None;
        });
        Ok(())
    }
}

fn lock_others(
    mut step: crate::recipe::step::Step,
    key: &str,
    keys: &[ForeignKey],
) -> crate::recipe::step::Step {
    for found in keys {
        for table in [&found.table, &found.references] {
            if table != key {
                step = step.also_locks(table, Lock::AccessExclusive);
            }
        }
    }
    step
}

/// A CHECK is always checked again; a foreign key where its operators may be others.
fn rechecked(
    key: &str,
    table: &Table,
    column: &Column,
    keys: &[ForeignKey],
    same_base: bool,
) -> Result<Rechecked> {
    let mut made = Rechecked::default();
    let mut add = |table: &str, name: &str, definition: &str, comment: Option<&String>| {
        let bare = ident(name);
        made.drops
            .push(format!("ALTER TABLE {table} DROP CONSTRAINT {bare}"));
        made.makes.push(format!(
            "ALTER TABLE {table} ADD CONSTRAINT {bare} {definition} NOT VALID"
        ));
        if let Some(comment) = comment {
            made.makes.push(format!(
                "COMMENT ON CONSTRAINT {bare} ON {table} IS {}",
                literal(comment)
            ));
        }
        made.validates.push((
            table.to_owned(),
            format!("ALTER TABLE {table} VALIDATE CONSTRAINT {bare}"),
        ));
    };
    let checks = table
        .constraints
        .iter()
        .filter(|c: &&Constraint| c.kind == "c" && c.validated && c.columns.contains(&column.name));
    for check in checks {
        add(key, &check.name, &check.definition, check.comment.as_ref());
    }
    for found in keys.iter().filter(|found| found.validated && !same_base) {
        let whole = found
            .partitioned
            .then_some("it would have to be checked again, and a partitioned table is part of it");
        if let Some(why) = found.obstacle.as_deref().or(whole) {
            let what = format!("foreign key \"{}\" of {} ({why})", found.name, found.table);
            return Err(refused_for(
                key,
                std::slice::from_ref(&column.name),
                &[what],
            ));
        }
        add(
            &found.table,
            &found.name,
            &definition(found),
            found.comment.as_ref(),
        );
    }
    Ok(made)
}
