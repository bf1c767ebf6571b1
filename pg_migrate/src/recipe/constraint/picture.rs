//! Constraints of this migration as the catalog will have them, for the operations behind.

use super::index_of::index_of;
use crate::document::model::{CreateConstraint, TableConstraint, TableReferences};
use crate::fault::Result;
use crate::recipe::facts::{self, Table};
use crate::recipe::table::constraint_clause;
use crate::recipe::types::rename_identifier;

/// A constraint, and its index, as they will be found in the catalog.
pub fn pictured(
    table: &Table,
    of: &TableConstraint,
) -> Result<(facts::Constraint, Option<facts::Index>)> {
    let kind = match of.kind.as_str() {
        "check" => "c",
        "foreign_key" => "f",
        "primary_key" => "p",
        "unique" => "u",
        _ => "x",
    };
    // One that is given by its definition says the rest there.
    let definition = constraint_clause(of).unwrap_or_default();
    let mut columns = of.columns.clone();
    if columns.is_empty() {
        columns = mentioned(table, &definition);
    }
    let index = matches!(kind, "p" | "u" | "x").then(|| facts::Index {
        name: of.name.clone(),
        definition: format!("USING btree {}", index_of(&definition).0),
        columns: mentioned(table, &definition),
        unique: kind != "x",
        valid: true,
        constraint: Some(of.name.clone()),
        ..facts::Index::default()
    });
    let made = facts::Constraint {
        name: of.name.clone(),
        kind: kind.to_owned(),
        definition,
        columns,
        validated: true,
        deferrable: of.deferrable,
        deferred: of.initially_deferred,
        references: of.references.as_ref().map(|to| to.table.clone()),
        ..facts::Constraint::default()
    };
    Ok((made, index))
}

/// A foreign key as the catalog will have it: a later type change carries it.
pub fn pictured_key(
    key: &str,
    op: &CreateConstraint,
    references: &TableReferences,
    target: &str,
    found: &Table,
) -> facts::ForeignKey {
    let mut referenced = references.columns.clone();
    if referenced.is_empty() {
        let primary = found.constraints.iter().find(|c| c.kind == "p");
        referenced = primary.map(|c| c.columns.clone()).unwrap_or_default();
    }
    let full = |word: &String| word.eq_ignore_ascii_case("full");
    let action = |word: &Option<String>| {
        let word = word.as_ref().map(|word| word.to_uppercase());
        word.filter(|word| word != "NO ACTION")
    };
    facts::ForeignKey {
        name: op.name.clone(),
        table: key.to_owned(),
        columns: op.columns.clone(),
        references: target.to_owned(),
        referenced,
        match_full: references.match_type.as_ref().is_some_and(full),
        on_update: action(&references.on_update),
        on_delete: action(&references.on_delete),
        set_columns: references.on_delete_set_columns.clone(),
        deferrable: op.deferrable,
        deferred: op.initially_deferred,
        validated: true,
        ..facts::ForeignKey::default()
    }
}

/// The columns of the table that a definition may mention, more rather than fewer.
pub fn mentioned(table: &Table, definition: &str) -> Vec<String> {
    table
        .columns
        .iter()
        .filter(|column| {
            rename_identifier(definition, &column.name, "pg_migrate_other") != definition
        })
        .map(|column| column.name.clone())
        .collect()
}
