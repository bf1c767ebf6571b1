//! Objects other than tables: types, views, functions, triggers, privileges, schemas; reindex.
//!
//! Their statements are brief and lock no table for long; what the recipes add is the way back,
//! which is what was there before and not blindly the opposite statement.

mod enums;
mod function;
mod materialized;
mod privileges;
mod reindex;
mod schema;
mod trigger;
mod types;
mod view;

pub use types::set_aside_type;

use crate::document::model::{Operation, Sql};
use crate::fault::{Fault, Result};
use crate::recipe::plan::{Planner, unlocked};
use crate::recipe::quote::qualified;
use crate::recipe::step::{Lock, Phase, Step};
use crate::recipe::types::rename_identifier;
use std::collections::{BTreeMap, BTreeSet};

/// What earlier operations of the same migration do to objects that the catalog does not know of.
#[derive(Debug, Default)]
pub struct Objects {
    /// Values added to enums that exist.
    labels: BTreeSet<String>,
    /// Types, views, sequences and schemas that are made, qualified and quoted.
    made: BTreeSet<String>,
    /// Views that are replaced, and the columns they read afterwards.
    replaced: BTreeMap<String, Vec<(String, String)>>,
}

impl Objects {
    pub fn makes(&mut self, key: impl Into<String>) {
        self.made.insert(key.into());
    }

    pub fn is_made(&self, key: &str) -> bool {
        self.made.contains(key)
    }

    /// Whether an operation so far makes any object of these kinds.
    pub fn makes_nothing(&self) -> bool {
        self.made.is_empty()
    }

    /// Whether the view no longer reads the column (`None`: anything of the table).
    pub fn lets_go(&self, view: &str, table: &str, column: Option<&str>) -> bool {
        self.replaced.get(view).is_some_and(|reads| {
            !reads
                .iter()
                .any(|(t, c)| t == table && column.is_none_or(|column| c == column))
        })
    }

    /// Whether the text mentions a value that is not there before its step has committed.
    pub fn mentions_label(&self, text: &str) -> bool {
        self.labels
            .iter()
            .any(|label| text.contains(&format!("'{}'", label.replace('\'', "''"))))
    }

    /// An error about a value of an enum that this migration adds says what to do.
    pub fn too_early(&self, fault: Fault) -> Fault {
        let about = |label: &String| fault.message.contains(&format!("\"{label}\""));
        if fault.sqlstate == "22P02" && self.labels.iter().any(about) {
            return fault.hint(
                "A value that this migration adds is there once its step has committed: use it in a migration of its own, after this one.",
            );
        }
        fault
    }
}

/// A brief step whose statement takes its lock itself, on something that LOCK TABLE is not for.
fn brief(phase: Phase, lock: Lock, sql: impl Into<String>) -> Step {
    Step {
        lock: Some(lock),
        ..unlocked(phase, sql)
    }
}

impl Planner<'_> {
    pub fn object(&mut self, operation: &Operation) -> Result<()> {
        match operation {
            Operation::AddEnumValue(op) => self.add_enum_value(op),
            Operation::RenameEnumValue(op) => self.rename_enum_value(op),
            Operation::SetSchema(op) => self.set_schema(op),
            Operation::CreateView(op) => self.create_view(op),
            Operation::ReplaceView(op) => self.replace_view(op),
            Operation::DropView(op) => self.drop_view(op),
            Operation::CreateMaterializedView(op) => self.create_materialized_view(op),
            Operation::RefreshMaterializedView(op) => self.refresh_materialized_view(op),
            Operation::CreateType(op) => self.create_type(op),
            Operation::CreateFunction(op) => self.create_function(op),
            Operation::CreateTrigger(op) => self.create_trigger(op),
            Operation::DropTrigger(op) => self.drop_trigger(op),
            Operation::Grant(op) => self.privileges(op, true),
            Operation::Revoke(op) => self.privileges(op, false),
            Operation::Reindex(op) => self.reindex(op),
            other => Err(Fault::internal(format!(
                "{} is no operation on an object",
                other.kind()
            ))),
        }
    }

    /// The answer, or nothing where it depends on what this migration makes first.
    fn known_now<T>(&self, answer: Result<T>) -> Result<Option<T>> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(fault) if fault.is_interruption() || self.plan.steps.is_empty() => Err(fault),
            Err(_) => Ok(None),
        }
    }

    /// Whether the type, or that of its elements, is made by this migration.
    pub fn makes_type(&self, data_type: &str) -> bool {
        let base = data_type
            .split(['(', '['])
            .next()
            .unwrap_or_default()
            .trim();
        self.landing(base)
            .is_ok_and(|(schema, name)| self.objects.made.contains(&qualified(&schema, &name)))
    }

    /// A table one of whose columns the text mentions that another one replaces at contract.
    fn swapped(&self, text: &str) -> Option<String> {
        let mentions = |column: &str| rename_identifier(text, column, "pg_migrate other") != text;
        self.renamings
            .iter()
            .find(|found| mentions(&found.new))
            .map(|found| found.table.clone())
            .or_else(|| {
                self.replaced
                    .keys()
                    .find(|(_, column)| mentions(column))
                    .map(|(table, _)| table.clone())
            })
    }

    /// The way back is plain statements.
    fn inverse_sql(&mut self, up: String, down: &str) {
        self.plan.inverse.push(Operation::Sql(Sql {
            up,
            down: Some(down.to_owned()),
            ..Sql::default()
        }));
    }
}
