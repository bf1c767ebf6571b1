//! The steps that give every partition its part of an index: asked for when the migration is planned,
//! and again at its end, for partitions that came meanwhile.

use super::super::{Taken, no_foreign_tables, part_name};
use crate::document::model::{Operation, Sql};
use crate::fault::{Fault, Result};
use crate::recipe::facts::{Facts, Partition};
use crate::recipe::plan::{concurrent, ddl};
use crate::recipe::quote::{ident, qualified};
use crate::recipe::step::{AlsoLock, Kind, Lock, Phase, Step};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An index over every partition of a table.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct IndexTask {
    /// Qualified and quoted, as is `index`.
    pub table: String,
    pub index: String,
    pub unique: bool,
    /// After `ON table`.
    pub body: String,
    /// The same as PostgreSQL prints it.
    pub definition: String,
    /// By which the parts are named.
    pub keys: Vec<String>,
    /// Of an index that belongs to a constraint.
    pub constraint: Option<Owner>,
    /// Names of parts that are not to be chosen, by partition.
    pub names: BTreeMap<String, String>,
}

/// The constraint that an index belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Owner {
    pub name: String,
    /// `UNIQUE` or `PRIMARY KEY`.
    pub kind: String,
    /// All after `CONSTRAINT name`.
    pub definition: String,
    /// The deferral, with a space before it.
    pub tail: String,
}

impl IndexTask {
    pub fn label(&self) -> &'static str {
        match &self.constraint {
            Some(owner) if owner.kind == "PRIMARY KEY" => "pkey",
            Some(_) => "key",
            None => "idx",
        }
    }

    /// Takes the whole away, with every part that is attached.
    pub fn undo(&self) -> String {
        match &self.constraint {
            Some(owner) => format!(
                "ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}",
                self.table,
                ident(&owner.name)
            ),
            None => format!("DROP INDEX IF EXISTS {}", self.index),
        }
    }

    /// The index of a partitioned table without those of its partitions, not valid yet.
    pub fn parent(&self, table: &str, name: &str) -> Step {
        let (lock, sql) = match &self.constraint {
            Some(owner) => (
                Lock::AccessExclusive,
                format!(
                    "ALTER TABLE ONLY {table} ADD CONSTRAINT {} {}",
                    ident(name),
                    owner.definition
                ),
            ),
            None => (
                Lock::Share,
                format!(
                    "CREATE {}INDEX {} ON ONLY {table} {}",
                    if self.unique { "UNIQUE " } else { "" },
                    ident(name),
                    self.body
                ),
            ),
        };
        ddl(Phase::Migrate, table, lock, sql).only()
    }

    /// An index that a partition has already and that can become the part.
    pub fn fitting<'a>(&self, node: &'a Partition) -> Option<&'a str> {
        node.indexes
            .iter()
            .find(|index| {
                index.valid
                    && index.part_of.is_none()
                    && index.unique == self.unique
                    && index.constraint.is_some() == self.constraint.is_some()
                    && index.definition == self.definition
                    && (self.label() != "key" || !is_primary(node, index.constraint.as_deref()))
            })
            .map(|index| index.name.as_str())
    }

    /// What makes an index that was taken over anew, once it has left with the whole.
    fn own_again(&self, node: &Partition, name: &str) -> Vec<(Kind, String)> {
        let unique = if self.unique { "UNIQUE " } else { "" };
        let mut made = vec![
            (
                Kind::Concurrent,
                format!(
                    "DROP INDEX CONCURRENTLY IF EXISTS {}",
                    qualified(&node.schema, name)
                ),
            ),
            (
                Kind::Concurrent,
                format!(
                    "CREATE {unique}INDEX CONCURRENTLY {} ON {} {}",
                    ident(name),
                    node.key,
                    self.definition
                ),
            ),
        ];
        if let Some(owner) = &self.constraint {
            made.push((
                Kind::Ddl,
                format!(
                    "ALTER TABLE {} ADD CONSTRAINT {name} {} USING INDEX {name}{}",
                    node.key,
                    owner.kind,
                    owner.tail,
                    name = ident(name)
                ),
            ));
        }
        made
    }

    /// Indexes of leaves that become parts, and would leave with the whole: on the way back they are
    /// made anew.
    pub fn back(&self, tree: &[Partition]) -> Vec<Operation> {
        let mut back = Vec::new();
        for node in tree.iter().filter(|node| node.kind == "r") {
            let Some(name) = self.fitting(node) else {
                continue;
            };
            for (kind, sql) in self.own_again(node, name).into_iter().skip(1) {
                back.push(Operation::Sql(Sql {
                    up: sql,
                    down: Some("SELECT 1".into()),
                    on_complete: true,
                    no_transaction: kind == Kind::Concurrent,
                    ..Sql::default()
                }));
            }
        }
        back.reverse();
        back
    }

    /// Steps for the partitions of `tree` (whose first is the table itself) that have no part yet.
    pub fn parts(
        &self,
        facts: &dyn Facts,
        taken: &mut Taken,
        tree: &[Partition],
    ) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        // The last part that each table's index gets.
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        let mut whole: BTreeMap<&str, String> = BTreeMap::new();
        whole.insert(self.table.as_str(), self.index.clone());
        for node in tree {
            let Some(above) = node
                .parent
                .as_deref()
                .and_then(|parent| whole.get(parent))
                .cloned()
            else {
                continue;
            };
            let parent = node.parent.as_deref().unwrap_or_default();
            let part = node
                .indexes
                .iter()
                .find(|index| index.part_of.as_deref() == Some(above.as_str()))
                .map(|index| index.name.as_str());
            if let Some(part) = part {
                whole.insert(&node.key, qualified(&node.schema, part));
                continue;
            }
            let attach = |name: &str| {
                format!(
                    "ALTER INDEX {above} ATTACH PARTITION {}",
                    qualified(&node.schema, name)
                )
            };
            let brief = |sql: String| {
                ddl(Phase::Migrate, &node.key, Lock::AccessExclusive, sql)
                    .only()
                    .of_partition(parent)
                    .for_part_of(&above)
            };
            if let Some(name) = self.fitting(node) {
                // PostgreSQL would take it over as well.
                let mut step = brief(attach(name)).undo(self.undo());
                for (kind, sql) in self.own_again(node, name) {
                    step = step.undo_as(kind, sql);
                }
                last.insert(parent, steps.len());
                steps.push(step);
                whole.insert(&node.key, qualified(&node.schema, name));
                continue;
            }
            let name = part_name(facts, taken, &self.names, node, &self.keys, self.label())?;
            let index = qualified(&node.schema, &name);
            if node.kind == "p" {
                let mut step = self.parent(&node.key, &name);
                step.sql = format!("{};\n{}", step.sql, attach(&name));
                steps.push(
                    step.of_partition(parent)
                        .for_part_of(&above)
                        .undo(self.undo()),
                );
            } else {
                let unique = if self.unique { "UNIQUE " } else { "" };
                steps.push(
                    concurrent(
                        Phase::Migrate,
                        &node.key,
                        Some(&index),
                        format!(
                            "CREATE {unique}INDEX CONCURRENTLY {} ON {} {}",
                            ident(&name),
                            node.key,
                            self.body
                        ),
                    )
                    .of_partition(parent)
                    .for_part_of(&above)
                    // What is attached can only leave with the whole.
                    .undo(self.undo())
                    .undo_as(
                        Kind::Concurrent,
                        format!("DROP INDEX CONCURRENTLY IF EXISTS {index}"),
                    ),
                );
                last.insert(parent, steps.len());
                steps.push(brief(match &self.constraint {
                    Some(owner) => format!(
                        "ALTER TABLE {} ADD CONSTRAINT {name} {} USING INDEX {name}{};\n{}",
                        node.key,
                        owner.kind,
                        owner.tail,
                        attach(&name),
                        name = ident(&name),
                    ),
                    None => attach(&name),
                }));
            }
            whole.insert(&node.key, index);
        }
        for (parent, at) in last {
            if let Some(step) = steps.get_mut(at) {
                *step = lock_above(step.clone(), tree, parent);
            }
        }
        Ok(steps)
    }

    /// The steps for partitions that came while the migration was under way.
    pub fn missing(&self, facts: &dyn Facts) -> Result<Vec<Step>> {
        let tree = facts.partitions(&self.table)?;
        no_foreign_tables("the index", &tree)?;
        let steps = self.parts(facts, &mut Taken::new(), &tree)?;
        if !steps.is_empty() {
            return Ok(steps);
        }
        // Every part is there, but the last one to miss was detached: attaching another one again
        // has PostgreSQL look anew.
        let invalid = tree.iter().rev().find_map(|node| {
            node.indexes
                .iter()
                .find(|index| {
                    !index.valid && self.is_whole(node, &index.name, index.part_of.is_some())
                })
                .map(|index| (node, qualified(&node.schema, &index.name)))
        });
        let Some((node, index)) = invalid else {
            return Ok(Vec::new());
        };
        let part = tree
            .iter()
            .filter(|below| below.parent.as_deref() == Some(node.key.as_str()))
            .find_map(|below| {
                below
                    .indexes
                    .iter()
                    .find(|part| part.valid && part.part_of.as_deref() == Some(index.as_str()))
                    .map(|part| (below, qualified(&below.schema, &part.name)))
            });
        match part {
            Some((below, part)) => {
                let step = ddl(
                    Phase::Migrate,
                    &below.key,
                    Lock::AccessExclusive,
                    format!("ALTER INDEX {index} ATTACH PARTITION {part}"),
                )
                .only()
                .of_partition(&node.key);
                Ok(vec![lock_above(step, &tree, &node.key)])
            }
            None => Err(Fault::wrong_state(format!("index {index} was left invalid"))
                .detail(format!("All partitions of {} were detached while it was built.", node.key))
                .hint("CALL migrate.downgrade('-1') takes the migration back; then apply it again.")),
        }
    }

    /// Whether an index of a partitioned table is the whole, or a part that has parts.
    fn is_whole(&self, node: &Partition, name: &str, is_part: bool) -> bool {
        node.kind == "p"
            && (qualified(&node.schema, name) == self.index
                || (is_part
                    && node
                        .indexes
                        .iter()
                        .any(|index| index.name == name && index.definition == self.definition)))
    }
}

fn is_primary(node: &Partition, constraint: Option<&str>) -> bool {
    node.constraints
        .iter()
        .any(|found| found.kind == "p" && Some(found.name.as_str()) == constraint)
}

/// The step that attaches the last part that the index of `table` misses: PostgreSQL then looks at the
/// indexes above it, under ACCESS EXCLUSIVE on their tables. Who writes through those locks them
/// before the partition, and so must the step, the topmost first.
fn lock_above(step: Step, tree: &[Partition], table: &str) -> Step {
    let parent = |key: &str| {
        let node = tree.iter().find(|node| node.key == key)?;
        node.parent.as_deref()
    };
    let above = std::iter::successors(parent(table), |key| parent(key));
    (1..).zip(above).fold(step, |step, (rank, table)| {
        step.also(AlsoLock::of(table, Lock::AccessExclusive).at(rank).only())
    })
}
