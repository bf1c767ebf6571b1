//! rename_column: a copy under the new name until contract; the old column is the one that lasts.

use super::{column_type, disagreements, helper_build, same};
use crate::document::model::{Operation, RenameColumn};
use crate::fault::{Fault, Result, state};
use crate::recipe::column::{carry_attributes, drop_sync_trigger, sync_backfill, sync_trigger};
use crate::recipe::facts::Column;
use crate::recipe::plan::{How, Planner, Renaming, ddl, unlocked, verify};
use crate::recipe::quote::ident;
use crate::recipe::step::{Lock, Phase};
use std::collections::BTreeMap;

impl Planner<'_> {
    pub fn rename_column(&mut self, op: &RenameColumn) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let column = self.column(&key, &table, &op.from)?;
        self.not_leaving(&key, Some(&op.to))?;
        if table.column(&op.to).is_some() {
            return Err(Fault::new(
                state::DUPLICATE_COLUMN,
                format!("column \"{}\" of table {key} already exists", op.to),
            )
            .hint("Choose another name, or drop that column in an earlier migration."));
        }
        self.settled(&key, &op.from)?;
        self.plan
            .inverse
            .push(Operation::RenameColumn(RenameColumn {
                table: key.clone(),
                from: op.to.clone(),
                to: op.from.clone(),
            }));
        let (old, new) = (ident(&op.from), ident(&op.to));
        if table.fresh {
            let phase = self.now();
            self.push(
                unlocked(
                    phase,
                    format!("ALTER TABLE {key} RENAME COLUMN {old} TO {new}"),
                )
                .undo(format!("ALTER TABLE {key} RENAME COLUMN {new} TO {old}")),
            );
            self.change(&key, |table| {
                if let Some(column) = table.columns.iter_mut().find(|c| c.name == op.from) {
                    column.name.clone_from(&op.to);
                }
            });
            return Ok(());
        }
        self.syncable(&key, &table)?;
        if column.generated.is_some() {
            return Err(Fault::new(
                state::FEATURE_NOT_SUPPORTED,
                format!("column \"{}\" of {key} is generated and cannot be kept in sync", op.from),
            )
            .hint("Write the statement with -- migrate:as-written: old and new application cannot run side by side."));
        }
        self.push(
            ddl(
                Phase::Expand,
                &key,
                Lock::AccessExclusive,
                format!(
                    "ALTER TABLE {key} ADD COLUMN {new} {}",
                    column_type(&column)
                ),
            )
            .undo(format!("ALTER TABLE {key} DROP COLUMN {new}")),
        );
        for sql in carry_attributes(&key, &column, &op.to) {
            self.push(ddl(Phase::Expand, &key, Lock::AccessExclusive, sql));
        }
        self.push(
            ddl(
                Phase::Expand,
                &key,
                Lock::ShareRowExclusive,
                sync_trigger(&key, &op.from, &op.to, None, None),
            )
            .undo(drop_sync_trigger(&key, &op.from, &op.to)),
        );
        self.push(sync_backfill(
            &key,
            &op.from,
            &op.to,
            &old,
            &format!("{new} IS NULL AND {old} IS NOT NULL"),
        ));
        let mut helpers = Vec::new();
        // The new application's queries need their indexes while both names exist.
        for index in table
            .indexes
            .iter()
            .filter(|index| index.valid && index.columns.contains(&op.from))
        {
            if index.constraint.is_some() && !index.unique {
                continue; // an exclusion constraint: enforced on the old column, not worth a copy
            }
            let name = self.free_name(&table.schema, &index.name, "_pgm_new")?;
            let body = self.index_renamed(&key, &index.definition, &op.from, &op.to)?;
            helpers.push(name.clone());
            if table.kind == "p" {
                let mut wider = table.clone();
                wider.columns.push(Column {
                    name: op.to.clone(),
                    ..column.clone()
                });
                let keys = self.facts.partitions(&key)?;
                let of_key = keys.iter().any(|node| node.columns.contains(&op.from));
                // The copy of a key column is none: its index cannot be unique.
                let unique = index.unique && !of_key;
                self.partitioned_index(&key, &wider, &name, unique, &body, &BTreeMap::new())?;
                continue;
            }
            self.push(helper_build(
                &key,
                &table.schema,
                &name,
                index.unique,
                &body,
            ));
        }
        self.push(verify(
            &key,
            disagreements(&key, &table, &same(&new, &old, &column.data_type)),
            &format!(
                "rows of {key} in which \"{}\" and \"{}\" disagree",
                op.from, op.to
            ),
        ));
        let (off, on) = self.touch_moves(&key, &op.from, Some(&op.to))?;
        let swap = [
            drop_sync_trigger(&key, &op.from, &op.to),
            format!("ALTER TABLE {key} DROP COLUMN {new}"),
            format!("ALTER TABLE {key} RENAME COLUMN {old} TO {new}"),
        ];
        for sql in off.into_iter().chain(swap).chain(on) {
            self.push(ddl(Phase::Contract, &key, Lock::AccessExclusive, sql));
        }
        self.renamings.push(Renaming {
            table: key.clone(),
            old: op.from.clone(),
            new: op.to.clone(),
            helpers,
        });
        self.touch(&key, &op.from);
        self.touch_as(&key, &op.to, How::Copy);
        let copy = Column {
            name: op.to.clone(),
            not_null: false,
            ..column
        };
        self.change(&key, |table| table.columns.push(copy));
        Ok(())
    }
}
