//! Foreign keys of a partitioned table: before PostgreSQL 18 they cannot be added NOT VALID, but
//! one that each leaf has already, validated, is taken over without a scan.

use super::Task;
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::{Facts, Partition};
use crate::recipe::plan::{Planner, ddl, validate};
use crate::recipe::quote::ident;
use crate::recipe::step::{Lock, Phase, Step};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A foreign key of every partition of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForeignKeyTask {
    /// Qualified and quoted, as is the referenced table.
    pub table: String,
    pub references: String,
    pub name: String,
    /// All after `CONSTRAINT name`.
    pub definition: String,
}

impl ForeignKeyTask {
    /// NOT VALID, then VALIDATE, on each leaf that has no such foreign key yet.
    fn parts(&self, tree: &[Partition]) -> Vec<Step> {
        let name = ident(&self.name);
        let mut steps = Vec::new();
        for leaf in tree.iter().filter(|node| node.kind == "r") {
            let parent = leaf.parent.as_deref().unwrap_or_default();
            let found = leaf
                .constraints
                .iter()
                .find(|found| found.kind == "f" && found.name == self.name);
            if found.is_some_and(|found| found.validated) {
                continue;
            }
            if found.is_none() {
                steps.push(
                    ddl(
                        Phase::Migrate,
                        &leaf.key,
                        Lock::ShareRowExclusive,
                        format!(
                            "ALTER TABLE {} ADD CONSTRAINT {name} {} NOT VALID",
                            leaf.key, self.definition
                        ),
                    )
                    .also_locks(&self.references, Lock::ShareRowExclusive)
                    .of_partition(parent)
                    .undo(format!(
                        "ALTER TABLE IF EXISTS {} DROP CONSTRAINT IF EXISTS {name}",
                        leaf.key
                    )),
                );
            }
            steps.push(
                validate(
                    Phase::Migrate,
                    &leaf.key,
                    format!("ALTER TABLE {} VALIDATE CONSTRAINT {name}", leaf.key),
                )
                .of_partition(parent),
            );
        }
        steps
    }

    pub fn missing(&self, facts: &dyn Facts) -> Result<Vec<Step>> {
        Ok(self.parts(&facts.partitions(&self.table)?))
    }
}

impl Planner<'_> {
    /// `definition`: all after `CONSTRAINT name`.
    pub fn partitioned_foreign_key(
        &mut self,
        key: &str,
        references: &str,
        name: &str,
        definition: &str,
    ) -> Result<()> {
        let tree = self.facts.partitions(key)?;
        if let Some(node) = tree.iter().find(|node| node.kind == "f") {
            return Err(Fault::new(
                state::FEATURE_NOT_SUPPORTED,
                format!("foreign key \"{name}\" on {key} is not possible: partition {} is a foreign table", node.key),
            )
            .hint("PostgreSQL has no foreign keys of foreign tables: add it to each other partition."));
        }
        let task = ForeignKeyTask {
            table: key.to_owned(),
            references: references.to_owned(),
            name: name.to_owned(),
            definition: definition.to_owned(),
        };
        for step in task.parts(&tree) {
            self.push(step);
        }
        let name = ident(name);
        // Its locks keep partitions from being attached: nothing can come between question and answer.
        let mut step = ddl(
            Phase::Migrate,
            key,
            Lock::ShareRowExclusive,
            format!("ALTER TABLE {key} ADD CONSTRAINT {name} {definition}"),
        )
        // The triggers that the leaves' own foreign keys have on it give way to those of the whole.
        .also_locks(references, Lock::AccessExclusive)
        .undo(format!(
            "ALTER TABLE {key} DROP CONSTRAINT IF EXISTS {name}"
        ));
        if let Value::Object(args) = &mut step.args {
            args.insert("task".into(), json!(Task::ForeignKey(task)));
        }
        self.push(step);
        Ok(())
    }

    /// VALIDATE leaf by leaf, each in a transaction of its own; the parents have nothing left to scan
    /// then.
    pub fn validate_parts(&mut self, phase: Phase, key: &str, constraint: &str) -> Result<()> {
        let name = ident(constraint);
        for leaf in self.facts.partitions(key)? {
            if leaf.kind != "r" || leaf.key == key {
                continue;
            }
            self.push(
                validate(
                    phase,
                    &leaf.key,
                    format!("ALTER TABLE {} VALIDATE CONSTRAINT {name}", leaf.key),
                )
                .of_partition(leaf.parent.as_deref().unwrap_or_default()),
            );
        }
        Ok(())
    }
}
