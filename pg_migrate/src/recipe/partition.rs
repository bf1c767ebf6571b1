//! Changes of partitioned tables that are made partition by partition: the parent gets its part
//! first, so that partitions made or attached from then on come with theirs; then each partition in
//! steps of its own, bottom up. What only shows while the migration runs is a `Task`, kept with a
//! step and asked again at its turn.

mod attach;
mod detach;
mod fit;
mod foreign_key;
mod index;
mod key;
mod unique;

pub use foreign_key::ForeignKeyTask;
pub use index::{IndexTask, Owner, names_of};
pub use key::KeyTask;

use crate::fault::{Fault, Result, state};
use crate::recipe::facts::{Facts, Partition};
use crate::recipe::names;
use crate::recipe::plan::Planner;
use crate::recipe::quote::qualified;
use crate::recipe::step::{Kind, Lock, Phase, Step};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What every partition of a table is to have in the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Task {
    Index(IndexTask),
    ForeignKey(ForeignKeyTask),
    Key(KeyTask),
}

impl Task {
    /// The task kept with a step, if any.
    pub fn of(args: &Value) -> Result<Option<Task>> {
        match args.get("task") {
            None => Ok(None),
            Some(task) => serde_json::from_value(task.clone())
                .map(Some)
                .map_err(|err| Fault::internal(format!("the task of a step: {err}"))),
        }
    }

    /// The steps for what the partitions still lack.
    pub fn missing(&self, facts: &dyn Facts) -> Result<Vec<Step>> {
        match self {
            Task::Index(task) => task.missing(facts),
            Task::ForeignKey(task) => task.missing(facts),
            Task::Key(task) => task.missing(facts),
        }
    }
}

/// Names of objects that are given at the same time.
pub type Taken = BTreeSet<String>;

/// The name PostgreSQL gives to the part of an index that is on a partition.
fn part_name(
    facts: &dyn Facts,
    taken: &mut Taken,
    given: &BTreeMap<String, String>,
    partition: &Partition,
    keys: &[String],
    label: &str,
) -> Result<String> {
    if let Some(name) = given.get(&partition.key) {
        return Ok(name.clone());
    }
    for pass in 0..10_000 {
        let name = names::numbered_index(&partition.name, keys, label, pass);
        let index = qualified(&partition.schema, &name);
        let used = taken.contains(&index)
            || partition.constraints.iter().any(|found| found.name == name)
            || facts.relation_exists(&partition.schema, &name)?;
        if !used {
            taken.insert(index);
            return Ok(name);
        }
    }
    Err(Fault::internal(format!(
        "no free name for an index of {}",
        partition.key
    )))
}

/// A step that waits for nothing and holds the task.
fn ask(phase: Phase, table: &str, task: &Task, sql: String, message: String) -> Step {
    let mut step = crate::recipe::plan::ddl(phase, table, Lock::AccessShare, sql);
    step.kind = Kind::Partitions;
    step.args = json!({ "task": task, "message": message });
    step
}

/// A key enforced by indexes of the partitions must tell in which of them to look.
fn key_covers(what: &str, table: &str, tree: &[Partition], columns: &[String]) -> Result<()> {
    for node in tree.iter().filter(|node| node.kind == "p") {
        let fault = |message: String| Fault::new(state::FEATURE_NOT_SUPPORTED, message);
        if node.expressions {
            return Err(fault(format!("{what} on {table} is not possible: an expression is in the partition key of {}", node.key))
                .detail("PostgreSQL keeps a key unique within each partition only, and so the key must contain the whole partition key, as columns.")
                .hint("Give each partition a unique index of its own, or partition by columns."));
        }
        let missing: Vec<_> = node
            .columns
            .iter()
            .filter(|column| !columns.contains(column))
            .map(|column| format!("\"{column}\""))
            .collect();
        if !missing.is_empty() {
            return Err(fault(format!(
                "{what} on {table} must contain all columns of the partition key: {} missing",
                match missing.as_slice() {
                    [one] => format!("{one} is"),
                    many => format!("{} are", many.join(", ")),
                }
            ))
            .detail(format!("{} is partitioned by {}, and PostgreSQL keeps a key unique within each partition only.", node.key, node.columns.join(", ")))
            .hint("Add the column to the key, or give each partition a unique index of its own."));
        }
    }
    Ok(())
}

/// A foreign table has no index of ours.
fn no_foreign_tables(what: &str, tree: &[Partition]) -> Result<()> {
    match tree.iter().find(|node| node.kind == "f") {
        None => Ok(()),
        Some(node) => Err(Fault::new(
            state::FEATURE_NOT_SUPPORTED,
            format!("{what} cannot be made online: partition {} is a foreign table", node.key),
        )
        .detail("An index that is put together from those of the partitions stays invalid while one of them has none.")
        .hint("Write the statement with -- migrate:as-written to accept the build under a lock.")),
    }
}

impl Planner<'_> {
    /// The names that the parts of an index have on the partitions.
    pub fn parts_of_index(&self, key: &str, index: &str) -> Result<BTreeMap<String, String>> {
        let mut parts = BTreeMap::new();
        let mut whole: BTreeMap<String, String> = BTreeMap::new();
        whole.insert(key.to_owned(), index.to_owned());
        for node in self.facts.partitions(key)? {
            let Some(above) = node.parent.as_ref().and_then(|parent| whole.get(parent)) else {
                continue;
            };
            let part = node
                .indexes
                .iter()
                .find(|found| found.part_of.as_deref() == Some(above.as_str()));
            if let Some(part) = part {
                whole.insert(node.key.clone(), qualified(&node.schema, &part.name));
                parts.insert(node.key.clone(), part.name.clone());
            }
        }
        Ok(parts)
    }
}

impl Step {
    /// Nothing to do once the table is no partition of `parent` any more.
    #[must_use]
    pub fn of_partition(mut self, parent: &str) -> Step {
        if let Value::Object(args) = &mut self.args {
            args.insert("partition_of".into(), json!(parent));
        }
        self
    }

    /// The partition that the step is about, where it is not the table that it locks.
    #[must_use]
    pub fn for_partition(mut self, partition: &str) -> Step {
        if let Value::Object(args) = &mut self.args {
            args.insert("partition".into(), json!(partition));
        }
        self
    }

    /// Nothing to do once the table has a part of this index.
    #[must_use]
    fn for_part_of(mut self, index: &str) -> Step {
        if let Value::Object(args) = &mut self.args {
            args.insert("part_of".into(), json!(index));
        }
        self
    }

    /// Its table is locked without the partitions.
    #[must_use]
    fn only(mut self) -> Step {
        if let Value::Object(args) = &mut self.args {
            args.insert("only".into(), json!(true));
        }
        self
    }
}
