//! drop_constraint and drop_multicolumn_constraint: at contract, since the old application may rely
//! on the constraint until then.

use super::clause_of;
use crate::document::model::{
    CreateConstraint, DropConstraint, DropMulticolumnConstraint, Operation, Values,
};
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::{Constraint, Table};
use crate::recipe::plan::{Planner, ddl, unlocked};
use crate::recipe::quote::{ident, qualified};
use crate::recipe::remarks;
use crate::recipe::shadow::translated;
use crate::recipe::step::{Lock, Phase, Step};

impl Planner<'_> {
    pub fn drop_constraint(&mut self, op: &DropConstraint) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let Some(constraint) = self.constraint_to_drop(&key, &table, &op.name, op.if_exists)?
        else {
            return Ok(());
        };
        let both = [("up", &op.up), ("down", &op.down)];
        let mut values = [Values::new(), Values::new()];
        for ((field, text), values) in both.iter().zip(&mut values) {
            let Some(text) = text else { continue };
            // One that only names a column changes nothing, whichever it is.
            let itself = Values::from_iter(
                constraint
                    .columns
                    .iter()
                    .map(|column| (column.clone(), text.clone())),
            );
            if translated(&itself, &Values::new()).len() < constraint.columns.len() {
                continue;
            }
            let [column] = constraint.columns.as_slice() else {
                return Err(Fault::invalid(format!(
                    "{field} does not say which column it is for: constraint \"{}\" of {key} has {}",
                    op.name,
                    match constraint.columns.len() {
                        0 => "none".to_owned(),
                        _ => constraint.columns.join(", "),
                    }
                ))
                .hint("Use drop_multicolumn_constraint, with a value for each column."));
            };
            values.insert(column.clone(), text.clone());
        }
        let [up, down] = values;
        self.drop_translated(&key, &constraint, &up, &down, op.immediately)
    }

    pub fn drop_multicolumn_constraint(&mut self, op: &DropMulticolumnConstraint) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let Some(constraint) = self.constraint_to_drop(&key, &table, &op.name, false)? else {
            return Ok(());
        };
        for (field, values) in [("up", &op.up), ("down", &op.down)] {
            for column in values.keys() {
                self.column(&key, &table, column)?;
                if !constraint.columns.contains(column) {
                    return Err(Fault::invalid(format!(
                        "{field} has a value for \"{column}\", which is not among the columns of constraint \"{}\"",
                        op.name
                    ))
                    .hint(format!("Its columns: {}.", constraint.columns.join(", "))));
                }
            }
        }
        self.drop_translated(&key, &constraint, &op.up, &op.down, false)
    }

    /// The constraint of that name; `None`: there is nothing more to do.
    fn constraint_to_drop(
        &mut self,
        key: &str,
        table: &Table,
        name: &str,
        if_exists: bool,
    ) -> Result<Option<Constraint>> {
        let found = table.constraints.iter().find(|found| found.name == name);
        if let Some(found) = found {
            return Ok(Some(found.clone()));
        }
        if if_exists && !table.fresh {
            return Ok(None);
        }
        if table.fresh {
            let only = if if_exists { "IF EXISTS " } else { "" };
            let sql = format!("ALTER TABLE {key} DROP CONSTRAINT {only}{}", ident(name));
            let phase = self.now();
            self.push(unlocked(phase, sql));
            return Ok(None);
        }
        Err(self.no_constraint(key, table, name))
    }

    /// The error that a table has no constraint of that name.
    pub fn no_constraint(&self, key: &str, table: &Table, name: &str) -> Fault {
        let names = table.constraints.iter().map(|found| found.name.as_str());
        let fault = Fault::new(
            state::UNDEFINED_OBJECT,
            format!("constraint \"{name}\" of table {key} does not exist"),
        );
        match crate::document::nearest(name, names) {
            Some(near) => fault.hint(format!("Did you mean \"{near}\"?")),
            None => fault,
        }
    }

    fn drop_translated(
        &mut self,
        key: &str,
        constraint: &Constraint,
        up: &Values,
        down: &Values,
        immediately: bool,
    ) -> Result<()> {
        let table = self.table(key)?.1;
        self.nothing_rests_on(key, &table, constraint)?;
        let mut back = clause_of(key, &table, constraint);
        if table.kind == "p" && matches!(constraint.kind.as_str(), "p" | "u") {
            let index = qualified(&table.schema, &constraint.name);
            back.partitions = self.parts_of_index(key, &index)?;
        }
        let beside = !table.fresh && !translated(up, down).is_empty();
        let sooner = match immediately {
            true => Some(None),
            false if table.fresh => Some(None),
            false => self.needed_gone(key, &table, constraint)?.map(Some),
        };
        let sql = format!(
            "ALTER TABLE {key} DROP CONSTRAINT {}",
            ident(&constraint.name)
        );
        let phase = match &sooner {
            Some(_) if !beside => self.now(),
            _ => Phase::Contract,
        };
        let mut step = ddl(phase, key, Lock::AccessExclusive, sql);
        if let Some(target) = &constraint.references {
            step = step.also_locks(target, Lock::AccessExclusive);
        }
        if matches!(constraint.kind.as_str(), "p" | "u" | "x") {
            step = step.warn("the constraint's index goes with it");
        }
        if let (Some(Some(why)), false) = (&sooner, beside) {
            step = step.warn(format!(
                "dropped at expand, for old and new application at once: {why}"
            ));
        }
        self.gone.insert(qualified(&table.schema, &constraint.name));
        self.drops(key, &constraint.name, phase);
        self.twins
            .retain(|twin| twin.table != *key || twin.name != constraint.name);
        self.change(key, |table| {
            table.constraints.retain(|c| c.name != constraint.name);
            table
                .indexes
                .retain(|index| index.constraint.as_ref() != Some(&constraint.name));
        });
        let said = remarks::of_constraint(key, &table, constraint);
        if phase < Phase::Contract {
            step = self.with_undo(step, &back)?;
            for sql in &said {
                step = step.undo(sql);
            }
        }
        self.push(step);
        self.plan.inverse.extend(remarks::operations(said));
        if !beside {
            self.plan.inverse.push(Operation::CreateConstraint(back));
            return Ok(());
        }
        // The way back puts the constraint on shadows in its turn: it needs no other.
        let mark = self.plan.inverse.len();
        let without = self.table(key)?.1;
        self.shadows(key, &without, up, down)?;
        self.plan.inverse.truncate(mark);
        self.plan
            .inverse
            .push(Operation::CreateConstraint(CreateConstraint {
                up: down.clone(),
                down: up.clone(),
                ..back
            }));
        Ok(())
    }

    /// Undo is the same recipe as adding it: long work never under a strong lock.
    fn with_undo(&mut self, mut step: Step, back: &CreateConstraint) -> Result<Step> {
        let mark = self.plan.steps.len();
        let pictured = self.table(&back.table)?;
        let twins = self.twins.clone();
        self.constraint_steps(back)?;
        for back in self.plan.steps.split_off(mark) {
            step = step.undo_as(back.kind, back.sql);
        }
        self.remember(pictured.0, pictured.1);
        self.twins = twins;
        Ok(step)
    }

    /// Foreign keys need the key they reference.
    fn nothing_rests_on(&self, key: &str, table: &Table, constraint: &Constraint) -> Result<()> {
        if table.fresh || !matches!(constraint.kind.as_str(), "p" | "u") {
            return Ok(());
        }
        let resting: Vec<String> = self
            .facts
            .foreign_keys_on(key, &constraint.name)?
            .into_iter()
            .filter(|found| {
                let at = (found.table.clone(), found.name.clone());
                !self.dropped.contains_key(&at)
            })
            .map(|found| format!("foreign key \"{}\" of {}", found.name, found.table))
            .collect();
        if resting.is_empty() {
            return Ok(());
        }
        Err(Fault::new(
            state::DEPENDENT_OBJECTS,
            format!(
                "constraint \"{}\" of {key} cannot be dropped because foreign keys rest on it",
                constraint.name
            ),
        )
        .detail(resting.join("; "))
        .hint(
            "Drop them first, in this migration or an earlier one; nothing is dropped by CASCADE.",
        ))
    }

    /// Why a later operation of this migration cannot wait until contract for the constraint to go.
    fn needed_gone(
        &self,
        key: &str,
        table: &Table,
        constraint: &Constraint,
    ) -> Result<Option<String>> {
        let indexed = matches!(constraint.kind.as_str(), "p" | "u" | "x");
        for later in self.following() {
            if let Operation::Sql(sql) = later {
                if !sql.on_complete && sql.up.to_lowercase().contains(&table.name.to_lowercase()) {
                    let first = sql.up.lines().next().unwrap_or_default();
                    return Ok(Some(format!("a later statement may need that: {first}")));
                }
                continue;
            }
            let Some(named) = later.table() else { continue };
            let (schema, bare) = self.landing(named)?;
            if qualified(&schema, &bare) != *key {
                continue;
            }
            let made = later.constraint_names();
            if made.contains(&constraint.name.as_str()) {
                return Ok(Some(format!("{} makes one of that name", later.kind())));
            }
            let why = match later {
                Operation::CreateIndex(op) if indexed && op.name == constraint.name => {
                    "create_index takes its name"
                }
                Operation::CreateConstraint(op)
                    if constraint.kind == "p" && op.kind == "primary_key" =>
                {
                    "create_constraint makes another primary key"
                }
                Operation::AddColumn(op) if constraint.kind == "p" && op.column.pk => {
                    "add_column makes another primary key"
                }
                Operation::AlterColumn(op)
                    if op.data_type.is_some() && constraint.columns.contains(&op.column) =>
                {
                    "alter_column changes the type of its column"
                }
                Operation::AlterColumn(op)
                    if constraint.kind == "p"
                        && op.nullable == Some(true)
                        && constraint.columns.contains(&op.column) =>
                {
                    "alter_column makes its column nullable"
                }
                Operation::DropNotNull(op)
                    if constraint.kind == "p" && constraint.columns.contains(&op.column) =>
                {
                    "drop_not_null makes its column nullable"
                }
                Operation::Backfill(op)
                    if constraint.columns.iter().any(|c| op.set.contains_key(c)) =>
                {
                    "backfill changes its column"
                }
                Operation::RenameTable(_) => "rename_table takes the table's name",
                _ => continue,
            };
            return Ok(Some(why.to_owned()));
        }
        Ok(None)
    }
}
