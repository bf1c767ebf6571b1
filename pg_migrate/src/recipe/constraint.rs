//! create_constraint, drop_constraint, add_foreign_key.

mod index_of;

use crate::document::model::{
    AddForeignKey, CreateConstraint, DropConstraint, Operation, TableConstraint,
};
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::{self, Table};
use crate::recipe::plan::{Planner, concurrent, ddl, unlocked, validate};
use crate::recipe::quote::{ident, idents, qualified};
use crate::recipe::step::{Kind, Lock, Phase};
use crate::recipe::table::{constraint_clause, deferral};
use index_of::index_of;

/// The operation that makes a constraint as it is now.
pub fn clause_of(key: &str, constraint: &facts::Constraint) -> CreateConstraint {
    let kind = match constraint.kind.as_str() {
        "c" => "check",
        "f" => "foreign_key",
        "p" => "primary_key",
        "u" => "unique",
        _ => "exclude",
    };
    CreateConstraint {
        name: constraint.name.clone(),
        table: key.to_owned(),
        kind: kind.to_owned(),
        columns: constraint.columns.clone(),
        deferrable: constraint.deferrable,
        initially_deferred: constraint.deferred,
        definition: Some(constraint.definition.clone()),
        ..CreateConstraint::default()
    }
}

/// The definition after `CONSTRAINT name`.
fn definition(op: &CreateConstraint) -> Result<String> {
    match &op.definition {
        Some(definition) => Ok(definition.clone()),
        None => constraint_clause(&TableConstraint {
            name: op.name.clone(),
            kind: op.kind.clone(),
            columns: op.columns.clone(),
            check: op.check.clone(),
            references: op.references.clone(),
            nulls_not_distinct: op.nulls_not_distinct,
            deferrable: op.deferrable,
            initially_deferred: op.initially_deferred,
        }),
    }
}

impl Planner<'_> {
    pub fn create_constraint(&mut self, op: &CreateConstraint) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        if table
            .constraints
            .iter()
            .any(|constraint| constraint.name == op.name)
        {
            return Err(Fault::new(
                state::DUPLICATE_OBJECT,
                format!("constraint \"{}\" of table {key} already exists", op.name),
            )
            .hint("Choose another name, or stamp the revision if this migration ran before."));
        }
        // On a table of this migration it leaves with its table.
        if !table.fresh {
            self.plan
                .inverse
                .push(Operation::DropConstraint(DropConstraint {
                    table: key,
                    name: op.name.clone(),
                    if_exists: false,
                }));
        }
        self.constraint_steps(op)
    }

    pub fn add_foreign_key(&mut self, op: &AddForeignKey) -> Result<()> {
        self.create_constraint(&CreateConstraint {
            name: op.name.clone(),
            table: op.table.clone(),
            kind: "foreign_key".into(),
            columns: op.columns.clone(),
            references: Some(op.references.clone()),
            deferrable: op.deferrable,
            initially_deferred: op.initially_deferred,
            ..CreateConstraint::default()
        })
    }

    /// The steps alone, without an inverse.
    pub fn constraint_steps(&mut self, op: &CreateConstraint) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let mut op = op.clone();
        for column in &mut op.columns {
            let physical = self.physical(&key, column);
            if physical != *column {
                op.definition = op
                    .definition
                    .as_deref()
                    .map(|text| self.constraint_renamed(&key, text, column, &physical))
                    .transpose()?;
                *column = physical;
            }
            self.column(&key, &table, column)?;
            self.not_replaced(&key, column)?;
        }
        if let (Some(check), false) = (&op.check, table.fresh) {
            let renaming = self
                .renamings
                .iter()
                .find(|found| found.table == key)
                .cloned();
            if let Some(found) = renaming {
                let text = format!("CHECK ({check})");
                match self.constraint_renamed(&key, &text, &found.new, &found.old) {
                    Ok(renamed) => op.definition = Some(renamed),
                    Err(fault) if fault.is_interruption() => return Err(fault),
                    // It is about other columns, or wrong: the statement itself will say so.
                    Err(_) => {}
                }
            }
        }
        if table.fresh || (table.empty && op.kind != "foreign_key") {
            let sql = format!(
                "ALTER TABLE {key} ADD CONSTRAINT {} {}",
                ident(&op.name),
                definition(&op)?
            );
            let phase = self.now();
            let mut step = if table.fresh {
                unlocked(phase, sql)
            } else {
                ddl(phase, &key, Lock::AccessExclusive, sql)
            };
            if let Some(references) = &op.references {
                let (target, found) = self.table(&references.table)?;
                if !found.fresh {
                    step = step.also_locks(&target, Lock::ShareRowExclusive);
                }
            }
            self.push(step.undo(format!(
                "ALTER TABLE {key} DROP CONSTRAINT IF EXISTS {}",
                ident(&op.name)
            )));
            return Ok(());
        }
        let temporal = op.definition.as_deref().is_some_and(facts::is_temporal);
        match op.kind.as_str() {
            "check" => self.not_valid(&key, &op, None),
            "foreign_key" => {
                let target = match &op.references {
                    Some(references) => Some(self.table(&references.table)?.0),
                    None => None,
                };
                if table.kind == "p" {
                    return Err(Fault::new(
                        state::FEATURE_NOT_SUPPORTED,
                        format!("a foreign key on partitioned table {key} cannot be added NOT VALID"),
                    )
                    .hint("Add it to each partition, or write the statement with -- migrate:as-written to accept the scan under a lock."));
                }
                self.not_valid(&key, &op, target)
            }
            "unique" | "primary_key" if !temporal => self.unique(&key, &table, &op),
            other => Err(Fault::new(
                state::FEATURE_NOT_SUPPORTED,
                format!("a constraint of type \"{other}\" cannot be added to {key} online"),
            )
            .hint("Write the statement with -- migrate:as-written to accept the scan under ACCESS EXCLUSIVE.")),
        }
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
        if let Some(target) = target {
            step = step.also_locks(&target, Lock::ShareRowExclusive);
        }
        self.push(step);
        if enforced {
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
        if table.kind == "p" {
            return Err(Fault::new(
                state::FEATURE_NOT_SUPPORTED,
                format!("a unique constraint on partitioned table {key} cannot be built online"),
            )
            .hint(
                "Write the statement with -- migrate:as-written to accept the build under a lock.",
            ));
        }
        let index = qualified(&table.schema, &op.name);
        if !self.gone.contains(&index) && self.facts.relation_exists(&table.schema, &op.name)? {
            return Err(Fault::new(
                "42P07",
                format!(
                    "relation \"{}\" already exists in schema {}",
                    op.name, table.schema
                ),
            )
            .hint("The constraint's index needs that name: choose another."));
        }
        let primary = op.kind == "primary_key";
        if primary {
            for column in &op.columns {
                if !self.column(key, table, column)?.not_null {
                    self.not_null_steps(Phase::Migrate, key, column, None)?;
                }
            }
        }
        let name = ident(&op.name);
        let (body, tail) = match &op.definition {
            Some(definition) => index_of(definition),
            None => (
                format!(
                    "({}){}",
                    idents(&op.columns),
                    if op.nulls_not_distinct {
                        " NULLS NOT DISTINCT"
                    } else {
                        ""
                    }
                ),
                deferral(op.deferrable, op.initially_deferred).to_owned(),
            ),
        };
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

    pub fn drop_constraint(&mut self, op: &DropConstraint) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let name = ident(&op.name);
        let sql = format!("ALTER TABLE {key} DROP CONSTRAINT {name}");
        let found = table
            .constraints
            .iter()
            .find(|constraint| constraint.name == op.name)
            .cloned();
        let Some(constraint) = found else {
            if op.if_exists {
                return Ok(());
            }
            if table.fresh {
                let phase = self.now();
                self.push(unlocked(phase, sql));
                return Ok(());
            }
            let names = table
                .constraints
                .iter()
                .map(|constraint| constraint.name.as_str());
            let fault = Fault::new(
                state::UNDEFINED_OBJECT,
                format!("constraint \"{}\" of table {key} does not exist", op.name),
            );
            return Err(match crate::document::nearest(&op.name, names) {
                Some(near) => fault.hint(format!("Did you mean \"{near}\"?")),
                None => fault,
            });
        };
        let back = clause_of(&key, &constraint);
        self.plan
            .inverse
            .push(Operation::CreateConstraint(back.clone()));
        let phase = self.now();
        let mut step = ddl(phase, &key, Lock::AccessExclusive, sql);
        // Undo is the same recipe as adding it: long work never under a strong lock.
        let mark = self.plan.steps.len();
        self.gone.insert(qualified(&table.schema, &op.name));
        self.change(&key, |table| {
            table.constraints.retain(|c| c.name != op.name)
        });
        self.constraint_steps(&CreateConstraint {
            name: op.name.clone(),
            ..back
        })?;
        for back in self.plan.steps.split_off(mark) {
            step = step.undo_as(back.kind, back.sql);
        }
        if let Some(target) = &constraint.references {
            step = step.also_locks(target, Lock::AccessExclusive);
        }
        if matches!(constraint.kind.as_str(), "p" | "u" | "x") {
            step = step.warn("the constraint's index goes with it");
        }
        self.push(step);
        Ok(())
    }
}
