//! Type changes of partitioned tables. The shadow columns, the trigger and the backfill are those of
//! the whole; indexes are built partition by partition. What a partition has of its own on the
//! columns is carried with it. A table has one primary key only: that of the shadow columns is put
//! together at the swap, of unique indexes that each leaf has by then.

use super::carry::Swap;
use super::refused;
use super::replace::owned_by_shadow;
use super::retype::{Group, Retype, text_array};
use super::statement::{Place, Statement, of};
use crate::fault::Result;
use crate::recipe::facts::{Constraint, ForeignKey, Index, Partition, Table};
use crate::recipe::partition::{IndexTask, KeyTask, Owner, names_of};
use crate::recipe::plan::{Planner, validate, verify};
use crate::recipe::quote::{literal, qualified};
use crate::recipe::step::{Phase, Step};
use crate::recipe::table::deferral;
use std::collections::BTreeMap;

/// What the partitions add to the swap.
#[derive(Default)]
pub struct PartSwap {
    pub before: Vec<Statement>,
    pub after: Vec<Statement>,
    pub expressions: bool,
}

impl Planner<'_> {
    /// The partitions below the table, with what each has of its own.
    pub fn own_of_partitions(&self, group: &Group) -> Result<Vec<(Partition, Table)>> {
        let mut found = Vec::new();
        if group.table.kind != "p" || group.table.fresh {
            return Ok(found);
        }
        for node in self.facts.partitions(group.key)?.into_iter().skip(1) {
            if node.kind == "f" {
                let what = format!("partition {} (it is a foreign table)", node.key);
                return Err(refused(group, &[what]));
            }
            if let Some(mut own) = self.facts.table(&node.key)? {
                own.indexes.retain(|index| index.part_of.is_none());
                own.constraints.retain(|constraint| !constraint.inherited);
                found.push((node, own));
            }
        }
        Ok(found)
    }

    /// The same changes, each partition seen as a table.
    pub fn part_groups<'b>(
        &self,
        group: &Group,
        found: &'b [(Partition, Table)],
    ) -> Result<Vec<(Place, Group<'b>)>> {
        let mut parts = Vec::new();
        for (node, own) in found {
            let changes = group.changes.iter().filter_map(|change| {
                Some(Retype {
                    column: own.column(&change.column.name)?.clone(),
                    ..change.clone()
                })
            });
            let mut part = Group {
                key: &node.key,
                table: own,
                changes: changes.collect(),
                moves: group.moves.clone(),
                attached: self.facts.attached(&node.key, &group.columns())?,
                changed_before: group.changed_before,
            };
            self.pass_over_dropped(&mut part);
            self.refuse_obstacles(&part)?;
            self.refuse_shared(&part)?;
            for key in self.facts.foreign_keys(&node.key)? {
                if part.image(&key).is_some() {
                    let what = format!(
                        "foreign key \"{}\" of {} (it is that of a partition alone)",
                        key.name, key.table
                    );
                    return Err(refused(&part, &[what]));
                }
            }
            let place = Place {
                partition: node.key.clone(),
                parent: node.parent.clone().unwrap_or_default(),
            };
            parts.push((place, part));
        }
        Ok(parts)
    }

    /// Statistics targets, storage and compression as each partition has them: before the first
    /// value is stored.
    pub fn tune_partitions(&mut self, parts: &[(Place, Group)]) -> Result<()> {
        self.for_each(parts, |planner, part| {
            for change in &part.changes {
                planner.carry_tuning(part, change)?;
            }
            Ok(())
        })
    }

    /// Copies of what each partition has of its own, on its shadow columns.
    pub fn carry_partitions(
        &mut self,
        group: &Group,
        parts: &[(Place, Group)],
    ) -> Result<PartSwap> {
        let mut swap = PartSwap::default();
        for (number, (place, part)) in parts.iter().enumerate() {
            let mut own = Swap::default();
            let mut statistics = (Vec::new(), Vec::new());
            self.for_each(&parts[number..=number], |planner, part| {
                own = planner.carry_over(part)?;
                statistics = planner.carry_statistics(part)?;
                for (change, of_whole) in part.changes.iter().zip(&group.changes) {
                    // Its own NOT NULL, not what came with the whole.
                    let own = change.column.not_null && !of_whole.column.not_null;
                    if own && !of_whole.becomes_not_null() {
                        planner.not_null_steps(Phase::Migrate, part.key, &change.shadow, None)?;
                    }
                }
                Ok(())
            })?;
            swap.expressions |= own.expressions || !statistics.0.is_empty();
            swap.before.extend(of(place, statistics.0));
            swap.before.extend(of(place, own.before));
            for change in &part.changes {
                swap.before.extend(of(place, owned_by_shadow(part, change)));
            }
            swap.after.extend(of(place, own.after));
            swap.after.extend(of(place, statistics.1));
        }
        Ok(swap)
    }

    /// Plans something for each partition; its steps are needless once the partition has left.
    fn for_each(
        &mut self,
        parts: &[(Place, Group)],
        mut plan: impl FnMut(&mut Self, &Group) -> Result<()>,
    ) -> Result<()> {
        for (place, part) in parts {
            let mark = self.plan.steps.len();
            plan(self, part)?;
            let steps = self.plan.steps.split_off(mark);
            let marked =
                steps
                    .into_iter()
                    .map(|step| match step.relation.as_deref() == Some(part.key) {
                        true => step.of_partition(&place.parent),
                        false => step,
                    });
            self.plan.steps.extend(marked);
        }
        Ok(())
    }

    /// What partitions have of their own must be what the plan knows; what came later must have
    /// nothing.
    pub fn verify_partitions(&mut self, group: &Group, parts: &[(Place, Group)]) {
        if group.table.kind != "p" {
            return;
        }
        let named = group.columns().join("\", \"");
        let steps: Vec<Step> = parts
            .iter()
            .map(|(place, part)| {
                let sql = self.not_carried(part);
                let message = super::verified::not_carried_message(&named, part.key);
                verify(part.key, sql, &message).of_partition(&place.parent)
            })
            .collect();
        for step in steps {
            self.push(step);
        }
        let known: Vec<String> = parts.iter().map(|(_, part)| part.key.to_owned()).collect();
        let sql = format!(
            "SELECT count(*) FROM migrate.own_of_partitions({}, {}, {})",
            literal(group.key),
            text_array(&group.columns()),
            text_array(&known)
        );
        let message = format!(
            "objects on \"{named}\" came with partitions of {} that were attached meanwhile, and would be lost: drop them, and make them again after the contract",
            group.key
        );
        self.push(verify(group.key, sql, &message));
    }

    /// An index of a partitioned table, or a constraint with one, on the shadow columns.
    /// `body`: after `ON table`.
    pub fn carry_partitioned_index(
        &mut self,
        group: &Group,
        index: &Index,
        (name, body): (&str, &str),
        swap: &mut Swap,
    ) -> Result<()> {
        let (key, mut table) = (group.key, group.table.clone());
        table.columns.extend(group.shadow_columns());
        let constraint = table
            .constraints
            .iter()
            .find(|c| Some(&c.name) == index.constraint.as_ref())
            .cloned();
        let old = qualified(&table.schema, &index.name);
        if let Some(constraint) = constraint {
            return self.carry_partitioned_key(
                group,
                &table,
                &constraint,
                (&old, name, body),
                swap,
            );
        }
        self.partitioned_index(key, &table, name, index.unique, body, &BTreeMap::new())?;
        swap.before
            .push(swap_index(&old, &qualified(&table.schema, name)));
        Ok(())
    }

    fn carry_partitioned_key(
        &mut self,
        group: &Group,
        table: &Table,
        constraint: &Constraint,
        (old, name, body): (&str, &str, &str),
        swap: &mut Swap,
    ) -> Result<()> {
        let key = group.key;
        let tree = self.facts.partitions(key)?;
        let shape = self.facts.index_shape(key, &table.columns, body)?;
        let text = &constraint.definition;
        let definition =
            self.facts
                .constraint_moved(key, &group.table.columns, text, &group.moves)?;
        let tail = deferral(constraint.deferrable, constraint.deferred);
        if constraint.kind == "p" {
            let task = KeyTask {
                table: key.to_owned(),
                body: body.to_owned(),
                definition: shape.definition.clone(),
                keys: names_of(&shape),
                phase: Phase::Migrate,
            };
            swap.before.push(format!(
                "SELECT migrate.swap_partitioned_key({}, {}, {}, {}, {}, {}, {})",
                literal(key),
                literal(&constraint.name),
                text_array(&group.columns()),
                text_array(&group.shadows()),
                literal(&definition),
                literal(&shape.definition),
                literal(tail)
            ));
            let columns: Vec<String> = shape
                .keys
                .iter()
                .filter(|key| !key.included)
                .map(|key| key.name.clone())
                .collect();
            return self.leaf_keys(task, &columns, &tree);
        }
        let task = IndexTask {
            table: key.to_owned(),
            index: qualified(&table.schema, name),
            unique: true,
            body: body.to_owned(),
            definition: shape.definition.clone(),
            keys: names_of(&shape),
            constraint: Some(Owner {
                name: name.to_owned(),
                kind: "UNIQUE".into(),
                definition,
                tail: tail.into(),
            }),
            names: BTreeMap::new(),
        };
        self.partition_parts(task, name, &tree)?;
        swap.before
            .push(swap_index(old, &qualified(&table.schema, name)));
        Ok(())
    }

    /// Whether a foreign key goes to the primary key of a partitioned table: it can go to that of
    /// the new columns only from the swap on.
    pub fn repointed(&self, group: &Group, key: &ForeignKey) -> bool {
        let same = |columns: &[String]| {
            let mut some: Vec<_> = columns.iter().collect();
            let mut all: Vec<_> = key.referenced.iter().collect();
            some.sort_unstable();
            all.sort_unstable();
            some == all
        };
        let table = group.table;
        group.key == key.references
            && table.kind == "p"
            && group.involves(&key.referenced)
            && !table.indexes.iter().any(|index| {
                let primary = table
                    .constraints
                    .iter()
                    .any(|c| c.kind == "p" && Some(&c.name) == index.constraint.as_ref());
                index.unique && !primary && same(&index.columns)
            })
    }

    /// Foreign keys that are made anew in the swap: that they will hold is verified before it, and
    /// they are validated after it.
    pub fn verify_repointed(&mut self, group: &Group) {
        let key = group.key;
        let sql = format!(
            "SELECT migrate.foreign_key_misses({}, {}, {}) AS count",
            literal(key),
            text_array(&group.columns()),
            text_array(&group.shadows())
        );
        let message =
            format!("rows refer to rows of {key} that they would not find by the new columns");
        self.push(verify(key, sql, &message));
    }

    /// See `verify_repointed`.
    pub fn validate_repointed(&mut self, group: &Group) {
        let key = group.key;
        let sql = format!("SELECT migrate.validate_foreign_keys({})", literal(key));
        self.push(validate(Phase::Contract, key, sql));
    }
}

fn swap_index(old: &str, new: &str) -> String {
    format!(
        "SELECT migrate.swap_partitioned_index({}, {})",
        literal(old),
        literal(new)
    )
}
