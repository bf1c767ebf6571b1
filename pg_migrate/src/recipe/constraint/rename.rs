//! rename_constraint.

use super::index_name_taken;
use crate::document::model::{Operation, RenameConstraint};
use crate::fault::Result;
use crate::recipe::plan::{Planner, ddl};
use crate::recipe::quote::ident;
use crate::recipe::step::{Lock, Phase};

impl Planner<'_> {
    /// At contract: until then the old application may name it in `ON CONFLICT ON CONSTRAINT`.
    pub fn rename_constraint(&mut self, op: &RenameConstraint) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let known = table.constraints.iter().any(|found| found.name == op.from);
        if !known && !table.fresh {
            return Err(self.no_constraint(&key, &table, &op.from));
        }
        self.new_constraint_name(&key, &table, &op.to)?;
        let indexed = table
            .indexes
            .iter()
            .any(|index| index.constraint.as_ref() == Some(&op.from));
        if indexed && self.facts.relation_exists(&table.schema, &op.to)? {
            return Err(index_name_taken(&table.schema, &op.to));
        }
        let rename = |from: &str, to: &str| {
            let (from, to) = (ident(from), ident(to));
            format!("ALTER TABLE {key} RENAME CONSTRAINT {from} TO {to}")
        };
        let sooner = table.fresh || self.named_later(&key, &table)?;
        let phase = if sooner { self.now() } else { Phase::Contract };
        let mut step = ddl(phase, &key, Lock::AccessExclusive, rename(&op.from, &op.to));
        if phase < Phase::Contract {
            step = step.undo(rename(&op.to, &op.from));
        }
        self.push(step);
        self.plan
            .inverse
            .push(Operation::RenameConstraint(RenameConstraint {
                table: key.clone(),
                from: op.to.clone(),
                to: op.from.clone(),
            }));
        self.change(&key, |table| {
            for found in &mut table.constraints {
                if found.name == op.from {
                    found.name.clone_from(&op.to);
                }
            }
            for index in &mut table.indexes {
                if index.constraint.as_ref() == Some(&op.from) {
                    index.name.clone_from(&op.to);
                    index.constraint = Some(op.to.clone());
                }
            }
        });
        Ok(())
    }
}
