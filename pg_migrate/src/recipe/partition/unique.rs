//! Unique and primary key constraints on a partitioned table.

use super::index::{IndexTask, Owner, names_of};
use super::{key_covers, no_foreign_tables};
use crate::document::model::CreateConstraint;
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::Table;
use crate::recipe::plan::Planner;
use crate::recipe::quote::qualified;
use crate::recipe::step::Phase;

impl Planner<'_> {
    /// ALTER TABLE ONLY the parents, a unique index CONCURRENTLY on each leaf, USING INDEX, ATTACH.
    /// `body`, `tail`: of the index, and the constraint's deferral. `definition`: all after
    /// `CONSTRAINT name`.
    pub fn partitioned_unique(
        &mut self,
        key: &str,
        table: &Table,
        op: &CreateConstraint,
        (body, tail, definition): (&str, &str, &str),
    ) -> Result<()> {
        let tree = self.facts.partitions(key)?;
        let primary = op.kind == "primary_key";
        let what = if primary {
            "primary key"
        } else {
            "unique constraint"
        };
        let what = format!("{what} \"{}\"", op.name);
        let shape = self.facts.index_shape(key, &table.columns, body)?;
        let columns: Vec<String> = shape
            .keys
            .iter()
            .filter(|key| !key.included)
            .map(|key| key.name.clone())
            .collect();
        key_covers(&what, key, &tree, &columns)?;
        no_foreign_tables(&what, &tree)?;
        if primary {
            let other = tree.iter().find_map(|node| {
                let found = node
                    .constraints
                    .iter()
                    .find(|c| c.kind == "p" && !c.inherited)?;
                let index = node
                    .indexes
                    .iter()
                    .find(|i| i.constraint.as_ref() == Some(&found.name))?;
                (index.definition != shape.definition).then_some(node)
            });
            if let Some(node) = other {
                return Err(Fault::new(
                    state::FEATURE_NOT_SUPPORTED,
                    format!("{} has another primary key already", node.key),
                )
                .hint("Drop it first, in an earlier migration."));
            }
            for column in columns {
                if !self.column(key, table, &column)?.not_null {
                    self.not_null_steps(Phase::Migrate, key, &column, None)?;
                }
            }
        }
        let task = IndexTask {
            table: key.to_owned(),
            index: qualified(&table.schema, &op.name),
            unique: true,
            body: body.to_owned(),
            definition: shape.definition.clone(),
            keys: names_of(&shape),
            constraint: Some(Owner {
                name: op.name.clone(),
                kind: if primary { "PRIMARY KEY" } else { "UNIQUE" }.into(),
                definition: definition.to_owned(),
                tail: tail.to_owned(),
            }),
            names: op.partitions.clone(),
        };
        self.partition_parts(task, &op.name, &tree)
    }
}
