//! Which tables can be split, by which key, and which columns can move.

use crate::document::model::SplitTable;
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::{self, Table};
use crate::recipe::plan::Planner;
use crate::recipe::quote::{ident, idents};

impl Planner<'_> {
    pub fn can_be_split(&self, key: &str, table: &Table) -> Result<()> {
        let refused = |why: String| Err(Fault::new(state::FEATURE_NOT_SUPPORTED, why));
        if table.fresh {
            return refused(format!(
                "{key} is made by this migration, and cannot be split by it"
            ))
            .map_err(|fault| fault.hint("Make both tables as they are to be: create_table."));
        }
        self.syncable(key, table)?;
        if table.kind == "p" {
            return refused(format!("partitioned table {key} cannot be split")).map_err(|fault| {
                fault
                    .detail("The rows of a partition that is attached while it is split would have no row in the new table.")
                    .hint("Make the new table with create_table and fill it in a migration of its own; drop the columns in a later one.")
            });
        }
        if table.row_security {
            return refused(format!("table {key} has row level security, and cannot be split"))
                .map_err(|fault| {
                    fault
                        .detail("Its policies would not hold for the columns in the new table.")
                        .hint("Make the new table with its policies, and move the values in a migration of its own.")
                });
        }
        Ok(())
    }

    /// The columns by which rows of both tables belong together.
    pub fn key_of(&self, op: &SplitTable, key: &str, table: &Table) -> Result<Vec<String>> {
        if op.key.is_empty() {
            let primary = table.constraints.iter().find(|found| found.kind == "p");
            return match primary {
                Some(primary) => Ok(primary.columns.clone()),
                None => Err(Fault::new(
                    state::FEATURE_NOT_SUPPORTED,
                    format!("table {key} has no primary key, and cannot be split by it"),
                )
                .hint("Give key: the columns of a unique index, none of which may be null.")),
            };
        }
        for column in &op.key {
            let column = self.column(key, table, column)?;
            if !column.not_null {
                return Err(Fault::invalid(format!(
                    "column \"{}\" of {key} may be null, and tells no row from another",
                    column.name
                ))
                .hint("SET NOT NULL first, in a migration before this one."));
            }
        }
        if table
            .indexes
            .iter()
            .any(|index| is_key(table, index, &op.key))
        {
            return Ok(op.key.clone());
        }
        Err(Fault::invalid(format!(
            "no unique index of {key} is over {}",
            idents(&op.key)
        ))
        .detail("It must be over these columns and no others, whole, and not deferrable.")
        .hint("Make it first, in a migration before this one."))
    }
}

/// Whether the index tells rows apart by these columns and no others.
fn is_key(table: &Table, index: &facts::Index, key: &[String]) -> bool {
    let deferrable = |name: &String| {
        let found = table.constraints.iter().find(|found| found.name == *name);
        found.is_some_and(|found| found.deferrable)
    };
    let listed = index.definition.strip_prefix("USING btree (");
    let mut keys: Vec<&str> = match listed.and_then(|list| list.strip_suffix(')')) {
        Some(list) => list.split(", ").collect(),
        None => return false,
    };
    keys.sort_unstable();
    let mut wanted: Vec<String> = key.iter().map(|column| ident(column)).collect();
    wanted.sort_unstable();
    index.unique
        && index.valid
        && !index.constraint.as_ref().is_some_and(deferrable)
        && keys == wanted
}

pub fn can_move(key: &str, column: &facts::Column, keys: &[String]) -> Result<()> {
    let name = &column.name;
    let counted = column.identity.is_some()
        || column
            .default
            .as_deref()
            .is_some_and(|default| default.contains("nextval("));
    let why = if keys.contains(name) {
        "it is part of the key, which both tables have"
    } else if column.generated.is_some() {
        "it is generated"
    } else if counted {
        "its values are counted by a sequence"
    } else {
        return Ok(());
    };
    Err(Fault::new(
        state::FEATURE_NOT_SUPPORTED,
        format!("column \"{name}\" of {key} cannot move to another table: {why}"),
    )
    .hint("Leave it out of columns."))
}
