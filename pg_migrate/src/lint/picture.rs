//! A table's facts as they are after a change.

use super::rules::rewrites::is_serial;
use super::world::MOST;
use crate::pg::parser::tree::{Change, Column, CommandKind, Constraint, ConstraintKind};
use crate::recipe::facts;
use crate::recipe::names;
use crate::recipe::quote::ident;
use crate::recipe::types::rename_identifier;
use crate::recipe::written::{label, sql};

pub fn rename_column(table: &mut facts::Table, from: &str, to: &str) {
    let rename = |names: &mut Vec<String>| {
        for name in names {
            if name == from {
                to.clone_into(name);
            }
        }
    };
    for column in &mut table.columns {
        if column.name == from {
            to.clone_into(&mut column.name);
        }
    }
    for index in &mut table.indexes {
        rename(&mut index.columns);
    }
    for constraint in &mut table.constraints {
        rename(&mut constraint.columns);
        constraint.definition = rename_identifier(&constraint.definition, from, to);
    }
}

pub fn add_column(table: &mut facts::Table, column: &Column) {
    if table.columns.len() >= MOST || table.column(&column.name).is_some() {
        return;
    }
    let primary = column
        .constraints
        .iter()
        .any(|made| made.kind == ConstraintKind::PrimaryKey);
    let serial = is_serial(&column.data_type);
    table.columns.push(facts::Column {
        name: column.name.clone(),
        data_type: match (serial, column.data_type.trim().to_lowercase().as_str()) {
            (false, _) => column.data_type.clone(),
            (_, "bigserial" | "serial8") => "bigint".into(),
            (_, "smallserial" | "serial2") => "smallint".into(),
            _ => "integer".into(),
        },
        not_null: column.not_null || primary || serial || column.identity.is_some(),
        default: column.default.clone(),
        generated: column.generated.clone(),
        identity: column.identity.as_ref().map(|_| "d".to_owned()),
        ..facts::Column::default()
    });
    for made in &column.constraints {
        add_constraint(table, made);
    }
}

/// A CHECK that says no more than that a column is not null reads as PostgreSQL prints it.
fn definition(made: &Constraint) -> String {
    if let (ConstraintKind::Check, [column], Some(expression)) =
        (made.kind, made.columns.as_slice(), &made.expression)
    {
        let words: Vec<&str> = expression
            .trim()
            .trim_start_matches('(')
            .trim_end_matches(')')
            .split_whitespace()
            .collect();
        if let [_, is, not, null] = words.as_slice()
            && is.eq_ignore_ascii_case("is")
            && not.eq_ignore_ascii_case("not")
            && null.eq_ignore_ascii_case("null")
        {
            return format!("CHECK (({} IS NOT NULL))", ident(column));
        }
        return format!("CHECK ({expression})");
    }
    made.definition.clone()
}

pub fn add_constraint(table: &mut facts::Table, made: &Constraint) {
    if table.constraints.len() >= MOST {
        return;
    }
    let name = made.name.clone().unwrap_or_else(|| {
        (0..)
            .map(|pass| names::constraint(&table.name, &made.columns, label(made.kind), pass))
            .take(20)
            .find(|name| !table.constraints.iter().any(|found| found.name == *name))
            .unwrap_or_default()
    });
    let kind = match made.kind {
        ConstraintKind::Check => "c",
        ConstraintKind::Unique => "u",
        ConstraintKind::PrimaryKey => "p",
        ConstraintKind::ForeignKey => "f",
        ConstraintKind::Exclude => "x",
    };
    let mut columns = made.columns.clone();
    if let Some(index) = &made.index {
        let found = table.indexes.iter().find(|found| found.name == *index);
        columns = found.map(|found| found.columns.clone()).unwrap_or_default();
    }
    if made.kind == ConstraintKind::PrimaryKey {
        for column in &mut table.columns {
            column.not_null |= columns.contains(&column.name);
        }
    }
    table.constraints.push(facts::Constraint {
        name,
        kind: kind.to_owned(),
        definition: definition(made),
        columns,
        validated: !made.not_valid,
        references: made.references.as_ref().map(|found| sql(&found.table)),
        ..facts::Constraint::default()
    });
}

fn set_not_null(table: &mut facts::Table, name: &str, not_null: bool) {
    let room = table.columns.len() < MOST;
    match table.columns.iter_mut().find(|column| column.name == name) {
        Some(column) => column.not_null = not_null,
        None if not_null && room => table.columns.push(facts::Column {
            name: name.to_owned(),
            not_null,
            ..facts::Column::default()
        }),
        None => {}
    }
}

pub fn change_table(table: &mut facts::Table, change: &Change) {
    match (&change.kind, change.what) {
        (CommandKind::DropColumn { column, .. }, _) => {
            table.columns.retain(|found| found.name != *column);
            table
                .indexes
                .retain(|found| !found.columns.contains(column));
            table
                .constraints
                .retain(|found| !found.columns.contains(column));
        }
        (
            CommandKind::SetType {
                column, data_type, ..
            },
            _,
        ) => {
            if let Some(found) = table.columns.iter_mut().find(|found| found.name == *column) {
                found.data_type.clone_from(data_type);
                found.collation = None;
            }
        }
        (CommandKind::SetDefault { column, default }, _) => {
            if let Some(found) = table.columns.iter_mut().find(|found| found.name == *column) {
                found.default.clone_from(default);
            }
        }
        (CommandKind::SetNotNull(column), _) => set_not_null(table, column, true),
        (CommandKind::DropNotNull(column), _) => set_not_null(table, column, false),
        (CommandKind::AddConstraint(made), _) => add_constraint(table, made),
        (CommandKind::DropConstraint { name, .. }, _) => {
            table.constraints.retain(|found| found.name != *name);
            table.indexes.retain(|found| found.name != *name);
        }
        (_, "VALIDATE CONSTRAINT") => {
            for found in &mut table.constraints {
                if Some(&found.name) == change.name.as_ref() {
                    found.validated = true;
                }
            }
        }
        _ => {}
    }
}
