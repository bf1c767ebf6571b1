//! The planner: walks the operations of one migration over the facts, keeps an overlay of what
//! earlier operations of the same migration will have changed, and collects steps, the way back
//! and the columns touched. One file per family of operations adds methods to it.

mod build;
mod order;

pub use build::{concurrent, ddl, unlocked, validate, verify};

use crate::document::model::Operation;
use crate::document::nearest;
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::{Column, Dependent, Facts, Table};
use crate::recipe::quote;
use crate::recipe::step::{Kind, Phase, Step};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A column whose shape a migration changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    pub table: String,
    pub column: String,
}

/// Everything the engine needs to run a migration and to take it back.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// Operations that take the applied migration back, in the order to run them.
    pub inverse: Vec<Operation>,
    /// Why there is no way back, if there is none.
    pub irreversible: Option<String>,
    pub touches: Vec<Touch>,
}

/// A rename in flight: until contract the data lives under `old`.
#[derive(Debug, Clone)]
pub struct Renaming {
    pub table: String,
    pub old: String,
    pub new: String,
    /// Indexes on `new` that serve the new application until contract.
    pub helpers: Vec<String>,
}

pub struct Planner<'a> {
    pub facts: &'a dyn Facts,
    pub revision: &'a str,
    tables: BTreeMap<String, Table>,
    pub renamings: Vec<Renaming>,
    /// Relations that leave at once (views, indexes of constraints): their names are free again.
    pub gone: BTreeSet<String>,
    /// Tables (no column) and columns that leave at contract: until then their names are taken.
    leaving: BTreeSet<(String, Option<String>)>,
    /// Columns (with their tables) in whose place one of another type comes at contract, and that
    /// type.
    pub replaced: BTreeMap<(String, String), String>,
    pub plan: Plan,
}

/// Plans the operations of one migration. Errors name the operation by its number and kind.
pub fn plan(operations: &[Operation], facts: &dyn Facts, revision: &str) -> Result<Plan> {
    let mut planner = Planner {
        facts,
        revision,
        tables: BTreeMap::new(),
        renamings: Vec::new(),
        gone: BTreeSet::new(),
        leaving: BTreeSet::new(),
        replaced: BTreeMap::new(),
        plan: Plan::default(),
    };
    for (number, operation) in operations.iter().enumerate() {
        planner.operation(operation).map_err(|fault| {
            let place = format!("operations[{number}].{}", operation.kind());
            Fault {
                detail: Some(match fault.detail {
                    Some(detail) => format!("{detail} (in {place})"),
                    None => format!("In {place}."),
                }),
                ..fault
            }
        })?;
    }
    planner.verify_renamings();
    planner.plan.inverse.reverse();
    // Within a phase the document's order holds, but nothing is dropped before all is verified.
    planner.plan.steps.sort_by_key(|step| {
        (
            step.phase,
            step.phase == Phase::Contract && step.kind != Kind::Verify,
        )
    });
    Ok(planner.plan)
}

impl Planner<'_> {
    fn operation(&mut self, operation: &Operation) -> Result<()> {
        match operation {
            Operation::CreateTable(op) => self.create_table(op),
            Operation::DropTable(op) => self.drop_table(op),
            Operation::RenameTable(op) => self.rename_table(op),
            Operation::AddColumn(op) => self.add_column(op),
            Operation::DropColumn(op) => self.drop_column(op),
            Operation::RenameColumn(op) => self.rename_column(op),
            Operation::AlterColumn(op) => self.alter_column(op),
            Operation::CreateIndex(op) => self.create_index(op),
            Operation::DropIndex(op) => self.drop_index(op),
            Operation::CreateConstraint(op) => self.create_constraint(op),
            Operation::DropConstraint(op) => self.drop_constraint(op),
            Operation::Sql(op) => self.sql(op),
            Operation::Backfill(op) => self.backfill(op),
            Operation::AddForeignKey(op) => self.add_foreign_key(op),
            Operation::SetNotNull(op) => self.set_not_null(op),
            Operation::DropNotNull(op) => self.drop_not_null(op),
            Operation::TouchColumn(op) => self.touch_column(op),
            Operation::UntouchColumn(op) => self.untouch_column(op),
            Operation::Restore(op) => self.restore(op),
        }
    }

    /// The copy that a rename drops at contract must carry nothing but our own helpers.
    fn verify_renamings(&mut self) {
        for found in std::mem::take(&mut self.renamings) {
            let helpers: Vec<_> = found
                .helpers
                .iter()
                .map(|name| quote::literal(name))
                .collect();
            let step = verify(
                &found.table,
                format!(
                    "SELECT count(*) FROM migrate.unexpected_dependents({}, {}, ARRAY[{}]::text[])",
                    quote::literal(&found.table),
                    quote::literal(&found.new),
                    helpers.join(", ")
                ),
                &format!(
                    "objects made meanwhile on column \"{}\" of {} would be lost: drop them, and make them again after the contract",
                    found.new, found.table
                ),
            );
            self.push(step);
        }
    }

    /// The table an operation names: from the overlay, else from the catalog. Gives the key under
    /// which it is known (qualified and quoted) and a copy of its facts.
    pub fn table(&mut self, name: &str) -> Result<(String, Table)> {
        let (schema, bare) = self.facts.landing(name)?;
        let landing = quote::qualified(&schema, &bare);
        if let Some(table) = self.tables.get(&landing) {
            return Ok((landing, table.clone()));
        }
        let Some(table) = self.facts.table(name)? else {
            let mut fault = Fault::new(
                state::UNDEFINED_TABLE,
                format!("table {name} does not exist"),
            );
            if let Some(similar) = self.facts.similar_table(name)? {
                fault = fault.hint(format!("Did you mean {similar}?"));
            }
            return Err(fault);
        };
        let key = quote::qualified(&table.schema, &table.name);
        let table = self.tables.entry(key.clone()).or_insert(table).clone();
        let wrong = |what: &str| {
            Err(Fault::new(
                state::WRONG_OBJECT_TYPE,
                format!("{name} is {what}, not a table"),
            )
            .hint("Name a table; for anything else use the sql operation."))
        };
        match table.kind.as_str() {
            _ if table.system => wrong("a system relation"),
            _ if table.temporary => wrong("a temporary table"),
            "r" | "p" => Ok((key, table)),
            "v" => wrong("a view"),
            "m" => wrong("a materialized view"),
            "f" => wrong("a foreign table"),
            "S" => wrong("a sequence"),
            "i" | "I" => wrong("an index"),
            _ => wrong("another kind of relation"),
        }
    }

    /// The table's columns can be kept in sync: every row it shows goes through its triggers.
    pub fn syncable(&self, key: &str, table: &Table) -> Result<()> {
        if let Some(parent) = &table.partition_of {
            return Err(Fault::new(
                state::WRONG_OBJECT_TYPE,
                format!("{key} is a partition of {parent}"),
            )
            .hint(format!("Change {parent}: its partitions follow.")));
        }
        if table.inherited {
            return Err(Fault::new(
                state::FEATURE_NOT_SUPPORTED,
                format!("other tables inherit from {key}, and their rows do not go through its triggers"),
            )
            .hint("Write the statement with -- migrate:as-written: old and new application cannot run side by side."));
        }
        Ok(())
    }

    /// Whether a table of that name exists now or will by then.
    pub fn has_table(&self, name: &str) -> Result<bool> {
        let (schema, bare) = self.facts.landing(name)?;
        Ok(self.tables.contains_key(&quote::qualified(&schema, &bare))
            || self.facts.relation_exists(&schema, &bare)?)
    }

    /// What hangs on a column (on the table: `None`) and will still be there when this operation's
    /// turn comes.
    pub fn dependents(&self, key: &str, column: Option<&str>) -> Result<Vec<Dependent>> {
        let mut found = match column {
            Some(column) => self.facts.column_dependents(key, column)?,
            None => self.facts.table_dependents(key)?,
        };
        found.retain(|dependent| {
            dependent
                .relation
                .as_ref()
                .is_none_or(|relation| !self.gone.contains(relation))
        });
        Ok(found)
    }

    /// An index's text after `ON table` as it reads when `from` is called `to`.
    pub fn index_renamed(&self, key: &str, text: &str, from: &str, to: &str) -> Result<String> {
        let columns = self.tables.get(key).map_or(&[][..], |table| &table.columns);
        self.facts
            .index_with_column_renamed(key, columns, text, from, to)
    }

    /// A constraint's definition as it reads when `from` is called `to`.
    pub fn constraint_renamed(
        &self,
        key: &str,
        text: &str,
        from: &str,
        to: &str,
    ) -> Result<String> {
        let columns = self.tables.get(key).map_or(&[][..], |table| &table.columns);
        self.facts
            .constraint_with_column_renamed(key, columns, text, from, to)
    }

    /// A column of a table, or an error with the nearest name.
    pub fn column(&self, key: &str, table: &Table, name: &str) -> Result<Column> {
        if let Some(column) = table.column(name) {
            return Ok(column.clone());
        }
        if table.fresh && table.columns.is_empty() {
            return Ok(Column {
                name: name.to_owned(),
                ..Column::default()
            });
        }
        let fault = Fault::new(
            state::UNDEFINED_COLUMN,
            format!("column \"{name}\" of table {key} does not exist"),
        );
        let names = table.columns.iter().map(|column| column.name.as_str());
        Err(match nearest(name, names) {
            Some(near) => fault.hint(format!("Did you mean \"{near}\"?")),
            None => fault,
        })
    }

    /// Changes the overlay's picture of a table.
    pub fn change(&mut self, key: &str, change: impl FnOnce(&mut Table)) {
        if let Some(table) = self.tables.get_mut(key) {
            change(table);
        }
    }

    pub fn change_column(&mut self, key: &str, name: &str, change: impl FnOnce(&mut Column)) {
        self.change(key, |table| {
            if let Some(column) = table.columns.iter_mut().find(|c| c.name == name) {
                change(column);
            }
        });
    }

    pub fn remember(&mut self, key: String, table: Table) {
        self.tables.insert(key, table);
    }

    pub fn touch(&mut self, table: &str, column: &str) {
        self.plan.touches.push(Touch {
            table: table.to_owned(),
            column: column.to_owned(),
        });
    }

    /// The name under which the data of `column` is until contract, if a rename is in flight.
    pub fn physical(&self, table: &str, column: &str) -> String {
        self.renaming_to(table, column)
            .map_or_else(|| column.to_owned(), |found| found.old.clone())
    }

    pub fn renaming_to(&self, table: &str, column: &str) -> Option<&Renaming> {
        self.renamings
            .iter()
            .find(|found| found.table == table && found.new == column)
    }

    /// The phase of a step that must see what earlier operations did.
    pub fn now(&self) -> Phase {
        let migrating = self
            .plan
            .steps
            .iter()
            .any(|step| step.phase == Phase::Migrate);
        if migrating {
            Phase::Migrate
        } else {
            Phase::Expand
        }
    }

    pub fn irreversible(&mut self, why: impl Into<String>) {
        self.plan.irreversible.get_or_insert(why.into());
    }

    pub fn push(&mut self, step: Step) {
        self.plan.steps.push(step);
    }

    /// A name for a helper relation, free in the schema.
    pub fn free_name(&self, schema: &str, base: &str, suffix: &str) -> Result<String> {
        for number in 0..100 {
            let suffix = if number == 0 {
                suffix.to_owned()
            } else {
                format!("{suffix}{number}")
            };
            let name = quote::name_with_suffix(base, &suffix);
            if !self.facts.relation_exists(schema, &name)? {
                return Ok(name);
            }
        }
        Err(Fault::internal(format!("no free name like {base}{suffix}")))
    }
}
