//! How a constraint is made without holding a lock for long.

use super::{definition, index_name_taken, index_of};
use crate::document::model::CreateConstraint;
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::{self, Table};
use crate::recipe::plan::{Planner, concurrent, ddl, unlocked, validate};
use crate::recipe::quote::{ident, qualified};
use crate::recipe::step::{Kind, Lock, Phase};

impl Planner<'_> {
    pub fn steps_of(&mut self, key: &str, table: &Table, op: &CreateConstraint) -> Result<()> {
        if table.fresh || (table.empty && op.kind != "foreign_key") {
            let sql = format!(
                "ALTER TABLE {key} ADD CONSTRAINT {} {}",
                ident(&op.name),
                definition(op)?
            );
            let phase = self.now();
            let mut step = if table.fresh {
                unlocked(phase, sql)
            } else {
                ddl(phase, key, Lock::AccessExclusive, sql)
            };
            if let Some(references) = &op.references {
                let (target, found) = self.table(&references.table)?;
                if !found.fresh {
                    step = step.also_locks(&target, Lock::ShareRowExclusive);
                }
            }
            step = step.undo(format!(
                "ALTER TABLE {key} DROP CONSTRAINT IF EXISTS {}",
                ident(&op.name)
            ));
            for column in &op.columns {
                let nullable = table.column(column).is_some_and(|column| !column.not_null);
                if op.kind == "primary_key" && nullable && !table.fresh {
                    let name = ident(column);
                    step = step.undo(format!(
                        "ALTER TABLE {key} ALTER COLUMN {name} DROP NOT NULL"
                    ));
                }
            }
            self.push(step);
            return Ok(());
        }
        let temporal = op.definition.as_deref().is_some_and(facts::is_temporal);
        match op.kind.as_str() {
            "check" => self.not_valid(key, op, None),
            "foreign_key" => {
                let target = match &op.references {
                    Some(references) => Some(self.table(&references.table)?.0),
                    None => None,
                };
                if table.kind == "p"
                    && !self.facts.foreign_keys_not_valid_on_partitioned()
                    && let Some(target) = &target
                {
                    let definition = definition(op)?;
                    return self.partitioned_foreign_key(key, target, &op.name, &definition);
                }
                self.not_valid(key, op, target)
            }
            "unique" | "primary_key" if !temporal => self.unique(key, table, op),
            other => Err(self.without_online_way(key, table, other)?),
        }
    }

    /// Of an exclusion or a temporal constraint.
    fn without_online_way(&self, key: &str, table: &Table, kind: &str) -> Result<Fault> {
        let size = match self.facts.size(key)? {
            // Each row is looked for among the others: that costs what filling it would.
            Some(size) => size.to_fill(),
            None => table.size(),
        };
        Ok(Fault::new(
            state::FEATURE_NOT_SUPPORTED,
            format!("a constraint of type \"{kind}\" cannot be added to {key} online"),
        )
        .detail(format!(
            "PostgreSQL can neither build its index concurrently, nor take over an index for it, nor add it NOT VALID: \
             nobody could read or write the {} rows ({size}) meanwhile.",
            table.row_count()
        ))
        .hint("Write the statement with -- migrate:as-written to accept that; or make a new table with the constraint, and move the rows there."))
    }

    /// NOT VALID under a brief lock, then VALIDATE in a transaction of its own.
    pub fn not_valid(
        &mut self,
        key: &str,
        op: &CreateConstraint,
        target: Option<String>,
    ) -> Result<()> {
        let name = ident(&op.name);
        let lock = if target.is_some() {
            Lock::ShareRowExclusive
        } else {
            Lock::AccessExclusive
        };
        let phase = self.now();
        let definition = definition(op)?;
        let enforced = !facts::is_not_enforced(&definition);
        let not_valid = if enforced { " NOT VALID" } else { "" };
        let mut step = ddl(
            phase,
            key,
            lock,
            format!("ALTER TABLE {key} ADD CONSTRAINT {name} {definition}{not_valid}"),
        )
        .undo(format!(
            "ALTER TABLE {key} DROP CONSTRAINT IF EXISTS {name}"
        ));
        let check = target.is_none();
        if let Some(target) = target {
            step = step.also_locks(&target, Lock::ShareRowExclusive);
        }
        self.push(step);
        if enforced {
            if check && self.is_partitioned(key) {
                self.validate_parts(Phase::Migrate, key, &op.name)?;
            }
            self.push(validate(
                Phase::Migrate,
                key,
                format!("ALTER TABLE {key} VALIDATE CONSTRAINT {name}"),
            ));
        }
        Ok(())
    }

    /// A unique index built concurrently, then taken over by the constraint.
    fn unique(&mut self, key: &str, table: &Table, op: &CreateConstraint) -> Result<()> {
        let index = qualified(&table.schema, &op.name);
        if !self.gone.contains(&index) && self.facts.relation_exists(&table.schema, &op.name)? {
            return Err(index_name_taken(&table.schema, &op.name));
        }
        let primary = op.kind == "primary_key";
        let name = ident(&op.name);
        let (body, tail) = index_of(&definition(op)?);
        if table.kind == "p" {
            let whole = definition(op)?;
            return self.partitioned_unique(key, table, op, (&body, &tail, &whole));
        }
        self.push(
            concurrent(
                Phase::Migrate,
                key,
                Some(&index),
                format!("CREATE UNIQUE INDEX CONCURRENTLY {name} ON {key} {body}"),
            )
            .undo_as(
                Kind::Concurrent,
                format!("DROP INDEX CONCURRENTLY IF EXISTS {index}"),
            ),
        );
        let kind = if primary { "PRIMARY KEY" } else { "UNIQUE" };
        self.push(
            ddl(
                Phase::Migrate,
                key,
                Lock::AccessExclusive,
                format!("ALTER TABLE {key} ADD CONSTRAINT {name} {kind} USING INDEX {name}{tail}"),
            )
            .undo(format!(
                "ALTER TABLE {key} DROP CONSTRAINT IF EXISTS {name}"
            )),
        );
        Ok(())
    }
}
