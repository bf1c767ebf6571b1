//! set_not_null, drop_not_null: by way of a CHECK, so that no scan runs under a strong lock.

use crate::document::model::{ColumnOf, Operation};
use crate::fault::Result;
use crate::recipe::facts::Table;
use crate::recipe::plan::{Planner, ddl, validate};
use crate::recipe::quote::{ident, name_with_suffix};
use crate::recipe::step::{Lock, Phase};

impl Planner<'_> {
    pub fn set_not_null(&mut self, op: &ColumnOf) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let physical = self.lasting(&key, &op.column);
        let column = self.column(&key, &table, &physical)?;
        if column.not_null {
            return Ok(());
        }
        let phase = if table.fresh {
            self.now()
        } else {
            Phase::Migrate
        };
        self.plan.inverse.push(Operation::DropNotNull(op.clone()));
        if table.fresh || table.empty || proven(&table, &physical) {
            let step = ddl(
                phase,
                &key,
                Lock::AccessExclusive,
                format!(
                    "ALTER TABLE {key} ALTER COLUMN {} SET NOT NULL",
                    ident(&physical)
                ),
            );
            self.push(step.undo(format!(
                "ALTER TABLE {key} ALTER COLUMN {} DROP NOT NULL",
                ident(&physical)
            )));
        } else {
            self.not_null_steps(phase, &key, &physical, None)?;
        }
        self.change(&key, |table| {
            if let Some(column) = table.columns.iter_mut().find(|c| c.name == physical) {
                column.not_null = true;
            }
        });
        Ok(())
    }

    /// CHECK NOT VALID → VALIDATE → SET NOT NULL, proven by the CHECK and so without a scan.
    /// `named`: what NOT NULL is to be called, where it has a name; `None`: as PostgreSQL does.
    pub fn not_null_steps(
        &mut self,
        phase: Phase,
        key: &str,
        column: &str,
        named: Option<&str>,
    ) -> Result<()> {
        let (key, table) = self.table(key)?;
        let bare = name_with_suffix(&format!("{}_{column}", table.name), "_pgm_not_null");
        let check = ident(&bare);
        let name = ident(column);
        let set = match named {
            Some(constraint) => format!("ADD CONSTRAINT {} NOT NULL {name}", ident(constraint)),
            None => format!("ALTER COLUMN {name} SET NOT NULL"),
        };
        self.push(
            ddl(
                phase,
                &key,
                Lock::AccessExclusive,
                format!(
                    "ALTER TABLE {key} ADD CONSTRAINT {check} CHECK ({name} IS NOT NULL) NOT VALID"
                ),
            )
            .undo(format!(
                "ALTER TABLE {key} DROP CONSTRAINT IF EXISTS {check}"
            )),
        );
        if table.kind == "p" {
            self.validate_parts(phase, &key, &bare)?;
        }
        self.push(validate(
            phase,
            &key,
            format!("ALTER TABLE {key} VALIDATE CONSTRAINT {check}"),
        ));
        self.push(
            ddl(
                phase,
                &key,
                Lock::AccessExclusive,
                format!("ALTER TABLE {key} {set};\nALTER TABLE {key} DROP CONSTRAINT {check}"),
            )
            .undo(format!(
                "ALTER TABLE {key} ALTER COLUMN {name} DROP NOT NULL"
            )),
        );
        Ok(())
    }

    pub fn drop_not_null(&mut self, op: &ColumnOf) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let column = self.physical(&key, &op.column);
        if !self.column(&key, &table, &column)?.not_null && !table.fresh {
            return Ok(());
        }
        let name = ident(&column);
        self.plan.inverse.push(Operation::SetNotNull(op.clone()));
        let phase = self.now_for(&key, &column);
        self.push(
            ddl(
                phase,
                &key,
                Lock::AccessExclusive,
                format!("ALTER TABLE {key} ALTER COLUMN {name} DROP NOT NULL"),
            )
            .undo(format!(
                "ALTER TABLE {key} ALTER COLUMN {name} SET NOT NULL"
            )),
        );
        self.change(&key, |table| {
            if let Some(found) = table.columns.iter_mut().find(|c| c.name == column) {
                found.not_null = false;
            }
        });
        Ok(())
    }
}

/// A validated CHECK proves that the column holds no null.
pub fn proven(table: &Table, column: &str) -> bool {
    let wanted = format!("CHECK (({} IS NOT NULL))", ident(column));
    table
        .constraints
        .iter()
        .any(|c| c.kind == "c" && c.validated && c.definition == wanted)
}
