//! create_constraint, add_foreign_key; below it, dropping and renaming.

mod drop;
mod index_of;
mod online;
mod picture;
mod rename;

use crate::document::model::{
    AddForeignKey, ColumnOf, CreateConstraint, CreateIndex, DropConstraint, Operation,
    TableConstraint, TableReferences,
};
use crate::fault::{Fault, Result};
use crate::recipe::facts::{self, Table};
use crate::recipe::names;
use crate::recipe::plan::Planner;
use crate::recipe::quote::{ident, idents, qualified};
use crate::recipe::shadow::translated;
use crate::recipe::table::{check_text, constraint_clause};
pub use index_of::index_of;
use picture::pictured_key;
pub use picture::{mentioned, pictured};

/// The constraint's index needs a name that is not free.
fn index_name_taken(schema: &str, name: &str) -> Fault {
    Fault::new(
        "42P07",
        format!("relation \"{name}\" already exists in schema {schema}"),
    )
    .hint("The constraint's index needs that name: choose another.")
}

/// The operation that makes a constraint as it is now.
pub fn clause_of(key: &str, table: &Table, constraint: &facts::Constraint) -> CreateConstraint {
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
        // What is referenced is locked too; the definition says the rest.
        references: constraint.references.as_ref().map(|table| TableReferences {
            table: table.clone(),
            ..TableReferences::default()
        }),
        definition: Some(whole_definition(table, constraint)),
        ..CreateConstraint::default()
    }
}

/// With the storage parameters of its index, which `pg_get_constraintdef` leaves out.
fn whole_definition(table: &Table, constraint: &facts::Constraint) -> String {
    let definition = &constraint.definition;
    let index = table
        .indexes
        .iter()
        .find(|index| index.constraint.as_ref() == Some(&constraint.name));
    let parameters = index.and_then(|index| {
        let (_, rest) = index.definition.rsplit_once(" WITH (")?;
        rest.strip_suffix(')')
    });
    match parameters {
        Some(parameters) if matches!(constraint.kind.as_str(), "u" | "p") => {
            let at = definition.find(" DEFERRABLE").unwrap_or(definition.len());
            let (head, tail) = definition.split_at(at);
            format!("{head} WITH ({parameters}){tail}")
        }
        _ => definition.clone(),
    }
}

/// The definition after `CONSTRAINT name`.
fn definition(op: &CreateConstraint) -> Result<String> {
    match &op.definition {
        Some(definition) => Ok(definition.clone()),
        None => constraint_clause(&as_of_table(op)),
    }
}

fn as_of_table(op: &CreateConstraint) -> TableConstraint {
    TableConstraint {
        name: op.name.clone(),
        kind: op.kind.clone(),
        columns: op.columns.clone(),
        check: op.check.clone(),
        no_inherit: op.no_inherit,
        references: op.references.clone(),
        exclude: op.exclude.clone(),
        index_parameters: op.index_parameters.clone(),
        nulls_not_distinct: op.nulls_not_distinct,
        deferrable: op.deferrable,
        initially_deferred: op.initially_deferred,
    }
}

/// Whether the index finds the rows that have given values in these columns.
fn serves(index: &facts::Index, columns: &[String]) -> bool {
    let Some((_, rest)) = index.definition.split_once('(') else {
        return false;
    };
    let keys = rest.split_once(')').map_or(rest, |(keys, _)| keys);
    let first: Vec<&str> = keys
        .split(',')
        .map(|key| key.trim().split(' ').next().unwrap_or_default())
        .take(columns.len())
        .collect();
    index.valid
        && !index.definition.contains(" WHERE ")
        && columns
            .iter()
            .all(|column| first.contains(&ident(column).as_str()))
}

impl Planner<'_> {
    pub fn create_constraint(&mut self, op: &CreateConstraint) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        if !table.fresh && !translated(&op.up, &op.down).is_empty() {
            let shadows = self.shadows(&key, &table, &op.up, &op.down)?;
            return self.constrain(op, &shadows);
        }
        let followed = matches!(op.kind.as_str(), "unique" | "check" | "foreign_key");
        if followed && !table.fresh {
            let check = op.check.as_deref().unwrap_or_default();
            let shadows = self.shadows_of(&key, &op.columns, check);
            if !shadows.is_empty() {
                return self.constrain(op, &shadows);
            }
        }
        self.new_constraint_name(&key, &table, &op.name)?;
        if op.kind == "primary_key" && !table.fresh {
            // PostgreSQL leaves NOT NULL behind when a primary key goes.
            for column in &op.columns {
                let physical = self.physical(&key, column);
                if !self.column(&key, &table, &physical)?.not_null {
                    self.plan.inverse.push(Operation::DropNotNull(ColumnOf {
                        table: key.clone(),
                        column: column.clone(),
                    }));
                }
            }
        }
        // On a table of this migration it leaves with its table.
        if !table.fresh {
            if op.kind == "primary_key" {
                self.nullable_again(&key, &table, &op.columns);
            }
            self.plan
                .inverse
                .push(Operation::DropConstraint(DropConstraint {
                    table: key,
                    name: op.name.clone(),
                    immediately: true,
                    ..DropConstraint::default()
                }));
        }
        self.constraint_steps(op)
    }

    pub fn add_foreign_key(&mut self, op: &AddForeignKey) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let served =
            table.fresh || table.empty || table.indexes.iter().any(|i| serves(i, &op.columns));
        if op.index && !table.indexes.iter().any(|i| serves(i, &op.columns)) {
            self.create_index(&CreateIndex {
                name: names::index(&table.name, &op.columns),
                table: key.clone(),
                columns: op
                    .columns
                    .iter()
                    .map(|column| column.as_str().into())
                    .collect(),
                ..CreateIndex::default()
            })?;
        }
        let mark = self.plan.steps.len();
        self.create_constraint(&CreateConstraint {
            name: op.name.clone(),
            table: op.table.clone(),
            kind: "foreign_key".into(),
            columns: op.columns.clone(),
            references: Some(op.references.clone()),
            deferrable: op.deferrable,
            initially_deferred: op.initially_deferred,
            ..CreateConstraint::default()
        })?;
        let built = self.plan.steps[..mark].iter().any(|step| {
            step.relation.as_deref() == Some(key.as_str())
                && step.sql.contains("INDEX")
                && step.sql.contains(&format!("({}", idents(&op.columns)))
        });
        if !served
            && !built
            && let Some(step) = self.plan.steps.get_mut(mark)
        {
            step.warning.get_or_insert(format!(
                "no index of {key} begins with ({}): each DELETE and key UPDATE in {} reads all of it; \"index\": true builds one",
                op.columns.join(", "),
                op.references.table
            ));
        }
        Ok(())
    }

    /// On the way back the columns of a primary key may hold null again, where they could before.
    fn nullable_again(&mut self, key: &str, table: &Table, columns: &[String]) {
        for name in columns {
            if table.column(name).is_some_and(|column| !column.not_null) {
                self.plan.inverse.push(Operation::DropNotNull(ColumnOf {
                    table: key.to_owned(),
                    column: name.clone(),
                }));
            }
        }
    }

    /// The steps alone, without an inverse.
    pub fn constraint_steps(&mut self, op: &CreateConstraint) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let mut op = self.over_physical(&key, &table, op)?;
        if let Some(references) = &mut op.references {
            self.refer_to_lasting(references)?;
        }
        self.steps_of(&key, &table, &op)?;
        self.remember_constraint(&key, &table, &op)
    }

    /// A foreign key to columns whose type changes is one to those that take their place.
    fn refer_to_lasting(&mut self, references: &mut TableReferences) -> Result<()> {
        let (target, found) = self.table(&references.table)?;
        let mut columns = references.columns.clone();
        if columns.is_empty() {
            let primary = found.constraints.iter().find(|c| c.kind == "p");
            columns = primary.map_or_else(Vec::new, |c| c.columns.clone());
        }
        if columns.iter().any(|c| self.replacing(&target, c).is_some()) {
            references.columns = columns.iter().map(|c| self.lasting(&target, c)).collect();
        }
        Ok(())
    }

    /// What comes after this operation finds the constraint.
    fn remember_constraint(
        &mut self,
        key: &str,
        table: &Table,
        op: &CreateConstraint,
    ) -> Result<()> {
        let (mut made, index) = pictured(table, &as_of_table(op))?;
        if let Some(definition) = &op.definition {
            made.definition.clone_from(definition);
        }
        if let Some(references) = &op.references {
            let (target, found) = self.table(&references.table)?;
            if op.definition.is_none() {
                self.twins
                    .push(pictured_key(key, op, references, &target, &found));
            }
            made.references = Some(target);
        }
        let name = ident(&op.name);
        self.made
            .insert(format!("constraint {name} on table {key}"));
        if index.is_some() {
            let index = qualified(&table.schema, &op.name);
            self.made.insert(format!("index {index}"));
        }
        let primary = op.kind == "primary_key";
        self.change(key, |table| {
            table.constraints.push(made);
            table.indexes.extend(index);
            for column in &mut table.columns {
                column.not_null |= primary && op.columns.contains(&column.name);
            }
        });
        Ok(())
    }

    /// The constraint over the columns where the data is, while renames are in flight.
    fn over_physical(
        &self,
        key: &str,
        table: &Table,
        op: &CreateConstraint,
    ) -> Result<CreateConstraint> {
        let mut op = op.clone();
        for column in &mut op.columns {
            let physical = self.physical(key, column);
            if physical != *column {
                op.definition = op
                    .definition
                    .as_deref()
                    .map(|text| self.constraint_renamed(key, text, column, &physical))
                    .transpose()?;
                *column = physical;
            }
            self.column(key, table, column)?;
            self.not_replaced(key, column)?;
        }
        if let Some(references) = &mut op.references {
            for column in &mut references.on_delete_set_columns {
                *column = self.physical(key, column);
            }
        }
        if let (Some(check), false) = (&op.check, table.fresh) {
            let renaming = self
                .renamings
                .iter()
                .find(|found| found.table == *key)
                .cloned();
            if let Some(found) = renaming {
                let text = check_text(check, op.no_inherit);
                match self.constraint_renamed(key, &text, &found.new, &found.old) {
                    Ok(renamed) => op.definition = Some(renamed),
                    Err(fault) if fault.is_interruption() => return Err(fault),
                    // It is about other columns, or wrong: the statement itself will say so.
                    Err(_) => {}
                }
            }
        }
        Ok(op)
    }
}
