//! Unique indexes of the leaves from which a primary key is put together at a swap: a table has one
//! primary key only, so that the next one can have no parent before.

use super::{Taken, Task, ask, key_covers, no_foreign_tables, part_name};
use crate::fault::Result;
use crate::recipe::facts::{Facts, Partition};
use crate::recipe::plan::{Planner, concurrent};
use crate::recipe::quote::{ident, literal, qualified};
use crate::recipe::step::{Kind, Phase, Step};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A unique index of every leaf that belongs to no whole yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyTask {
    /// Qualified and quoted.
    pub table: String,
    /// After `ON table`.
    pub body: String,
    /// The same as PostgreSQL prints it.
    pub definition: String,
    /// By which the indexes are named.
    pub keys: Vec<String>,
    /// When it is asked.
    pub phase: Phase,
}

impl KeyTask {
    /// Builds for the leaves that have no such index.
    fn builds(
        &self,
        facts: &dyn Facts,
        taken: &mut Taken,
        tree: &[Partition],
    ) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        for leaf in tree.iter().filter(|node| node.kind == "r") {
            if leaf.loose_index(&self.definition).is_some() {
                continue;
            }
            let name = part_name(facts, taken, &BTreeMap::new(), leaf, &self.keys, "idx")?;
            let index = qualified(&leaf.schema, &name);
            steps.push(
                concurrent(
                    self.phase,
                    &leaf.key,
                    Some(&index),
                    format!(
                        "CREATE UNIQUE INDEX CONCURRENTLY {} ON {} {}",
                        ident(&name),
                        leaf.key,
                        self.body
                    ),
                )
                .of_partition(leaf.parent.as_deref().unwrap_or_default())
                .undo_as(
                    Kind::Concurrent,
                    format!("DROP INDEX CONCURRENTLY IF EXISTS {index}"),
                ),
            );
        }
        Ok(steps)
    }

    pub fn missing(&self, facts: &dyn Facts) -> Result<Vec<Step>> {
        let tree = facts.partitions(&self.table)?;
        no_foreign_tables("the primary key", &tree)?;
        self.builds(facts, &mut Taken::new(), &tree)
    }
}

impl Partition {
    /// The name of a unique index of this definition that is neither a constraint's nor a part.
    pub fn loose_index(&self, definition: &str) -> Option<&str> {
        let found = self.indexes.iter().find(|index| {
            index.valid
                && index.unique
                && index.part_of.is_none()
                && index.constraint.is_none()
                && index.definition == definition
        });
        found.map(|index| index.name.as_str())
    }
}

impl Planner<'_> {
    /// The indexes, and the question for leaves that come later: before the migration counts as
    /// expanded, and again before its contract.
    pub fn leaf_keys(
        &mut self,
        task: KeyTask,
        columns: &[String],
        tree: &[Partition],
    ) -> Result<()> {
        let table = task.table.clone();
        key_covers("the primary key", &table, tree, columns)?;
        no_foreign_tables("the primary key", tree)?;
        let mut taken = std::mem::take(&mut self.taken);
        let steps = task.builds(self.facts, &mut taken, tree);
        self.taken = taken;
        for step in steps? {
            self.push(step);
        }
        let sql = format!(
            "SELECT count(*) FROM migrate.leaves_without_index({}, {})",
            literal(&table),
            literal(&task.definition)
        );
        let message = format!("partitions of {table} lack an index for the primary key");
        let later = KeyTask {
            phase: Phase::Contract,
            ..task.clone()
        };
        for task in [task, later] {
            let (phase, task) = (task.phase, Task::Key(task));
            self.push(ask(phase, &table, &task, sql.clone(), message.clone()));
        }
        Ok(())
    }
}
