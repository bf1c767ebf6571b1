//! The clauses of columns and table constraints, as they stand in CREATE TABLE and ALTER TABLE.

use crate::document::model::{
    Check, Column, Generated, References, TableConstraint, TableReferences,
};
use crate::fault::{Fault, Result, state};
use crate::recipe::quote::{ident, idents};

/// ` ON DELETE … ON UPDATE …`.
pub fn referential_actions(on_delete: Option<&str>, on_update: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(action) = on_delete {
        text.push_str(&format!(" ON DELETE {}", action.to_uppercase()));
    }
    if let Some(action) = on_update {
        text.push_str(&format!(" ON UPDATE {}", action.to_uppercase()));
    }
    text
}

pub fn deferral(deferrable: bool, deferred: bool) -> &'static str {
    match (deferrable, deferred) {
        (_, true) => " DEFERRABLE INITIALLY DEFERRED",
        (true, false) => " DEFERRABLE",
        _ => "",
    }
}

pub fn foreign_key(columns: &[String], references: &TableReferences) -> String {
    let target = if references.columns.is_empty() {
        String::new()
    } else {
        format!(" ({})", idents(&references.columns))
    };
    format!(
        "FOREIGN KEY ({}) REFERENCES {}{target}{}",
        idents(columns),
        references.table,
        referential_actions(
            references.on_delete.as_deref(),
            references.on_update.as_deref()
        )
    )
}

impl From<&References> for TableReferences {
    fn from(one: &References) -> Self {
        TableReferences {
            table: one.table.clone(),
            columns: vec![one.column.clone()],
            on_delete: one.on_delete.clone(),
            on_update: one.on_update.clone(),
        }
    }
}

pub fn check_clause(check: &Check) -> String {
    format!(
        "CONSTRAINT {} CHECK ({})",
        ident(&check.name),
        check.constraint
    )
}

fn generated_clause(generated: &Generated) -> Result<String> {
    if let Some(expression) = &generated.expression {
        return Ok(format!(" GENERATED ALWAYS AS ({expression}) STORED"));
    }
    let Some(identity) = &generated.identity else {
        return Err(Fault::invalid("generated needs expression or identity"));
    };
    let options = identity
        .sequence_options
        .as_ref()
        .map(|options| format!(" ({options})"))
        .unwrap_or_default();
    let when = identity
        .user_specified_values
        .as_deref()
        .unwrap_or("BY DEFAULT")
        .to_uppercase();
    Ok(format!(" GENERATED {when} AS IDENTITY{options}"))
}

/// A column as it stands in CREATE TABLE or, on a table without rows, ADD COLUMN.
pub fn column_clause(column: &Column, inline_pk: bool) -> Result<String> {
    let mut sql = format!("{} {}", ident(&column.name), column.data_type);
    if let Some(generated) = &column.generated {
        sql.push_str(&generated_clause(generated)?);
    }
    if let Some(default) = &column.default {
        sql.push_str(&format!(" DEFAULT {default}"));
    }
    if !column.nullable {
        sql.push_str(" NOT NULL");
    }
    if column.pk && inline_pk {
        sql.push_str(" PRIMARY KEY");
    }
    if column.unique {
        sql.push_str(" UNIQUE");
    }
    if let Some(check) = &column.check {
        sql.push_str(&format!(" {}", check_clause(check)));
    }
    if let Some(references) = &column.references {
        sql.push_str(&format!(
            " CONSTRAINT {} REFERENCES {} ({}){}",
            ident(&references.name),
            references.table,
            ident(&references.column),
            referential_actions(
                references.on_delete.as_deref(),
                references.on_update.as_deref()
            )
        ));
    }
    Ok(sql)
}

/// A table constraint's definition, after `CONSTRAINT name`.
pub fn constraint_clause(constraint: &TableConstraint) -> Result<String> {
    let nulls = if constraint.nulls_not_distinct {
        " NULLS NOT DISTINCT"
    } else {
        ""
    };
    let body = match constraint.kind.as_str() {
        "unique" => format!("UNIQUE{nulls} ({})", idents(&constraint.columns)),
        "primary_key" => format!("PRIMARY KEY ({})", idents(&constraint.columns)),
        "check" => format!(
            "CHECK ({})",
            constraint.check.as_deref().unwrap_or_default()
        ),
        "foreign_key" => match &constraint.references {
            Some(references) => foreign_key(&constraint.columns, references),
            None => return Err(Fault::invalid("a foreign key needs references")),
        },
        other => {
            return Err(Fault::new(
                state::FEATURE_NOT_SUPPORTED,
                format!("constraint type \"{other}\" is not supported here"),
            )
            .hint("Write it as SQL: {\"sql\": {\"up\": \"ALTER TABLE … ADD CONSTRAINT …\"}}."));
        }
    };
    Ok(format!(
        "{body}{}",
        deferral(constraint.deferrable, constraint.initially_deferred)
    ))
}
