//! What a table must have, like the partitioned one, before it becomes a partition of it.

use super::super::index::{IndexTask, Owner, names_of};
use super::super::part_name;
use super::{Back, afterwards};
use crate::fault::Result;
use crate::recipe::constraint::{clause_of, index_of};
use crate::recipe::facts::{Constraint, Index, Partition, Table};
use crate::recipe::plan::{Planner, concurrent, ddl};
use crate::recipe::quote::{ident, qualified};
use crate::recipe::step::{Kind, Lock, Phase, Step};

impl Planner<'_> {
    /// NOT NULL, CHECKs, indexes and foreign keys that a partition of the table must have.
    pub fn prepare(
        &mut self,
        key: &str,
        table: &Table,
        part_key: &str,
        part: &Table,
        back: &mut Back,
    ) -> Result<()> {
        for column in table.columns.iter().filter(|column| column.not_null) {
            if part.column(&column.name).is_some_and(|own| !own.not_null) {
                self.not_null_steps(Phase::Migrate, part_key, &column.name, None)?;
                back.push(afterwards(
                    format!(
                        "ALTER TABLE {part_key} ALTER COLUMN {} DROP NOT NULL",
                        ident(&column.name)
                    ),
                    false,
                ));
            }
        }
        for constraint in table
            .constraints
            .iter()
            .filter(|c| c.kind == "c" || c.kind == "f")
        {
            self.constraint_like(part_key, part, constraint, back)?;
        }
        let tree = self.facts.partitions(part_key)?;
        for index in table.indexes.iter().filter(|index| !is_exclusion(index)) {
            self.index_like((key, table), part_key, &tree, index, back)?;
        }
        Ok(())
    }

    fn constraint_like(
        &mut self,
        part_key: &str,
        part: &Table,
        wanted: &Constraint,
        back: &mut Back,
    ) -> Result<()> {
        let own = part.constraints.iter().find(|own| {
            own.kind == wanted.kind
                && (own.name == wanted.name
                    || (own.kind == "f" && own.definition == wanted.definition))
        });
        match own {
            Some(own) if own.validated => Ok(()),
            Some(own) => {
                self.validate_parts(Phase::Migrate, part_key, &own.name)?;
                self.push(crate::recipe::plan::validate(
                    Phase::Migrate,
                    part_key,
                    format!(
                        "ALTER TABLE {part_key} VALIDATE CONSTRAINT {}",
                        ident(&own.name)
                    ),
                ));
                Ok(())
            }
            None => {
                back.push(afterwards(
                    format!(
                        "ALTER TABLE {part_key} DROP CONSTRAINT {}",
                        ident(&wanted.name)
                    ),
                    false,
                ));
                self.constraint_steps(&clause_of(part_key, part, wanted))
            }
        }
    }

    /// The index that ATTACH will look for: one that is there, or a new one under the name that
    /// PostgreSQL would give it.
    fn index_like(
        &mut self,
        (key, table): (&str, &Table),
        part_key: &str,
        tree: &[Partition],
        index: &Index,
        back: &mut Back,
    ) -> Result<()> {
        let Some(root) = tree.first() else {
            return Ok(());
        };
        let owner = table
            .constraints
            .iter()
            .find(|constraint| Some(&constraint.name) == index.constraint.as_ref())
            .map(|constraint| Owner {
                name: constraint.name.clone(),
                kind: if constraint.kind == "p" {
                    "PRIMARY KEY"
                } else {
                    "UNIQUE"
                }
                .into(),
                definition: constraint.definition.clone(),
                tail: index_of(&constraint.definition).1,
            });
        let shape = self
            .facts
            .index_shape(key, &table.columns, &index.definition)?;
        let mut task = IndexTask {
            table: part_key.to_owned(),
            unique: index.unique,
            body: index.definition.clone(),
            definition: index.definition.clone(),
            keys: names_of(&shape),
            constraint: owner,
            ..IndexTask::default()
        };
        if task.fitting(root).is_some() {
            return Ok(());
        }
        let mut taken = std::mem::take(&mut self.taken);
        let name = part_name(
            self.facts,
            &mut taken,
            &task.names,
            root,
            &task.keys,
            task.label(),
        );
        self.taken = taken;
        let name = name?;
        task.index = qualified(&root.schema, &name);
        if let Some(owner) = &mut task.constraint {
            owner.name.clone_from(&name);
        }
        let (sql, alone) = match &task.constraint {
            Some(_) => (
                format!("ALTER TABLE {part_key} DROP CONSTRAINT {}", ident(&name)),
                false,
            ),
            None if root.kind == "p" => (format!("DROP INDEX {}", task.index), false),
            None => (format!("DROP INDEX CONCURRENTLY {}", task.index), true),
        };
        back.push(afterwards(sql, alone));
        if root.kind == "p" {
            return self.partition_parts(task, &name, tree);
        }
        for step in lone(&task, part_key, &name) {
            self.push(step);
        }
        Ok(())
    }
}

fn is_exclusion(index: &Index) -> bool {
    index.constraint.is_some() && !index.unique
}

/// An index of a table that has no partitions, as a part that is attached later.
fn lone(task: &IndexTask, key: &str, name: &str) -> Vec<Step> {
    let unique = if task.unique { "UNIQUE " } else { "" };
    let mut steps = vec![
        concurrent(
            Phase::Migrate,
            key,
            Some(&task.index),
            format!(
                "CREATE {unique}INDEX CONCURRENTLY {} ON {key} {}",
                ident(name),
                task.body
            ),
        )
        .undo_as(
            Kind::Concurrent,
            format!("DROP INDEX CONCURRENTLY IF EXISTS {}", task.index),
        ),
    ];
    if let Some(owner) = &task.constraint {
        steps.push(
            ddl(
                Phase::Migrate,
                key,
                Lock::AccessExclusive,
                format!(
                    "ALTER TABLE {key} ADD CONSTRAINT {name} {} USING INDEX {name}{}",
                    owner.kind,
                    owner.tail,
                    name = ident(name)
                ),
            )
            .undo(format!(
                "ALTER TABLE {key} DROP CONSTRAINT IF EXISTS {}",
                ident(name)
            )),
        );
    }
    steps
}
