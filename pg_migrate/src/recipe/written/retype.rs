//! What another type of a column means for its table and for those that have the column from it.

use super::changes::{REWRITES, SCANS};
use super::effect::Effect;
use super::scene::{Known, Scene};
use super::statements::Work;
use crate::fault::Result;
use crate::pg::parser::tree::{Change, CommandKind};
use crate::recipe::facts::Table;

impl dyn Scene + '_ {
    pub fn set_type_written(
        &mut self,
        effect: &mut Effect,
        change: &Change,
        known: &Known,
    ) -> Result<()> {
        let CommandKind::SetType {
            column,
            data_type,
            using,
        } = &change.kind
        else {
            return Ok(());
        };
        if !known.filled() {
            return Ok(());
        }
        let mut work = self.retyping(known, column, data_type, using.as_deref())?;
        for child in self.children_apart(known)? {
            work = work.max(self.retyping(&child, column, data_type, using.as_deref())?);
        }
        if work > effect.work {
            effect.work = work;
            effect.answer = match work {
                Work::Rewrites => REWRITES,
                _ => SCANS,
            };
        }
        Ok(())
    }

    fn retyping(
        &self,
        known: &Known,
        column: &String,
        data_type: &str,
        using: Option<&str>,
    ) -> Result<Work> {
        let done = self
            .facts()
            .retyped(&known.table, column, data_type, using)?;
        // Its indexes are not those of the tables that inherit from it.
        let rebuilds = done.rebuilds && !known.table.hollow;
        Ok(if done.rewrites || rebuilds {
            Work::Rewrites
        } else if rechecked(&known.table, column)
            || (done.rechecks_keys && self.has_keys(known, column)?)
        {
            Work::Scans
        } else {
            Work::Brief
        })
    }

    /// Partitions and tables that inherit, with rows, that have indexes or CHECKs of their own.
    fn children_apart(&mut self, known: &Known) -> Result<Vec<Known>> {
        let mut found = Vec::new();
        if known.table.oid == 0 || !(known.table.kind == "p" || known.table.inherited) {
            return Ok(found);
        }
        for child in self.facts().partitions(&known.key)? {
            let apart = child.parent.is_some()
                && (child.indexes.iter().any(|index| index.part_of.is_none())
                    || child
                        .constraints
                        .iter()
                        .any(|constraint| constraint.kind == "c" && !constraint.inherited));
            if apart {
                found.extend(self.known(&child.key)?.filter(Known::filled));
            }
        }
        Ok(found)
    }

    /// Whether a validated foreign key is on the column, at either of its ends.
    fn has_keys(&self, known: &Known, column: &String) -> Result<bool> {
        let own = known.table.constraints.iter().any(|constraint| {
            constraint.kind == "f" && constraint.validated && constraint.columns.contains(column)
        });
        if own || known.table.oid == 0 {
            return Ok(own);
        }
        let keys = self.facts().foreign_keys(&known.key)?;
        Ok(keys.iter().any(|key| {
            key.validated && key.references == known.key && key.referenced.contains(column)
        }))
    }
}

/// Whether a constraint is checked anew when the column's type changes.
fn rechecked(table: &Table, column: &str) -> bool {
    table.constraints.iter().any(|constraint| {
        constraint.kind == "c"
            && constraint.validated
            && constraint.columns.iter().any(|name| name == column)
    })
}
