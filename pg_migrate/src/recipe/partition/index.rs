//! create_index and drop_index on a partitioned table: ON ONLY the parents, CONCURRENTLY on each
//! leaf, ATTACH PARTITION. The parent's index becomes valid with the last part.

mod task;

use super::{Task, ask, key_covers, no_foreign_tables};
use crate::document::model::Operation;
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::{IndexShape, Partition, Table};
use crate::recipe::plan::{Planner, ddl};
use crate::recipe::quote::{literal, qualified};
use crate::recipe::step::{Lock, Phase, Step};
use std::collections::BTreeMap;
pub use task::{IndexTask, Owner};

/// Whether the operation takes away what the task makes.
fn drops(operation: &mut Operation, task: &IndexTask) -> bool {
    match (operation, &task.constraint) {
        (Operation::DropIndex(op), None) => op.name == task.index,
        (Operation::DropConstraint(op), Some(owner)) => {
            op.table == task.table && op.name == owner.name
        }
        _ => false,
    }
}

/// What `partitions` steps of an index show: how many partitions lack their part.
fn count(index: &str) -> String {
    format!(
        "SELECT count(*) FROM migrate.partitions_without_index({})",
        literal(index)
    )
}

impl Planner<'_> {
    /// An index over all partitions. `names`: of parts whose names are not to be chosen.
    pub fn partitioned_index(
        &mut self,
        key: &str,
        table: &Table,
        name: &str,
        unique: bool,
        body: &str,
        names: &BTreeMap<String, String>,
    ) -> Result<()> {
        let tree = self.facts.partitions(key)?;
        let shape = self.facts.index_shape(key, &table.columns, body)?;
        no_foreign_tables(&format!("index \"{name}\""), &tree)?;
        if unique {
            let columns: Vec<String> = shape
                .keys
                .iter()
                .filter(|key| !key.expression && !key.included)
                .map(|key| key.name.clone())
                .collect();
            key_covers(&format!("unique index \"{name}\""), key, &tree, &columns)?;
        }
        let task = IndexTask {
            table: key.to_owned(),
            index: qualified(&table.schema, name),
            unique,
            body: body.to_owned(),
            definition: shape.definition.clone(),
            keys: names_of(&shape),
            constraint: None,
            names: names.clone(),
        };
        self.partition_parts(task, name, &tree)
    }

    /// The parent's index, its parts, and the question for partitions that came meanwhile.
    pub fn partition_parts(
        &mut self,
        task: IndexTask,
        name: &str,
        tree: &[Partition],
    ) -> Result<()> {
        let undo = task.undo();
        let back = task.back(tree);
        if let Some(drop @ (Operation::DropIndex(_) | Operation::DropConstraint(_))) =
            self.plan.inverse.pop_if(|last| drops(last, &task))
        {
            self.plan.inverse.extend(back);
            self.plan.inverse.push(drop);
        }
        self.push(task.parent(&task.table, name).undo(undo));
        let mut taken = std::mem::take(&mut self.taken);
        taken.insert(task.index.clone());
        let parts = task.parts(self.facts, &mut taken, tree);
        self.taken = taken;
        for step in parts? {
            self.push(step);
        }
        let message = format!("partitions have no part of index {}", task.index);
        let (table, sql) = (task.table.clone(), count(&task.index));
        self.push(ask(
            Phase::Migrate,
            &table,
            &Task::Index(task),
            sql,
            message,
        ));
        Ok(())
    }

    /// PostgreSQL knows no concurrent way for an index over partitions.
    pub fn drop_partitioned_index(&mut self, phase: Phase, key: &str, index: &str) -> Step {
        ddl(
            phase,
            key,
            Lock::AccessExclusive,
            format!("DROP INDEX {index}"),
        )
        .warn("locks the table and all its partitions for an instant: PostgreSQL drops no index of a partitioned table concurrently")
    }

    /// A part of an index cannot leave alone.
    pub fn not_a_part(&self, index: &str, whole: Option<&str>) -> Result<()> {
        match whole {
            None => Ok(()),
            Some(whole) => Err(Fault::new(
                state::DEPENDENT_OBJECTS,
                format!("index {index} is a part of index {whole}"),
            )
            .detail(
                "PostgreSQL drops the parts of a partitioned table's index together with it only.",
            )
            .hint(format!("Drop {whole}: its parts go with it."))),
        }
    }
}

/// By which PostgreSQL names the parts.
pub fn names_of(shape: &IndexShape) -> Vec<String> {
    shape.keys.iter().map(|key| key.name.clone()).collect()
}
