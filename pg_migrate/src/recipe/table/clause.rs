//! The clauses of columns and table constraints, as they stand in CREATE TABLE and ALTER TABLE.

use crate::document::model::{
    Check, Column, Exclude, Generated, IndexParameters, References, TableConstraint,
    TableReferences,
};
use crate::fault::{Fault, Result, state};
use crate::recipe::facts;
use crate::recipe::names;
use crate::recipe::quote::{ident, idents};

/// ` MATCH FULL ON DELETE … ON UPDATE …`.
fn referential_clauses(references: &TableReferences) -> String {
    let mut text = String::new();
    if let Some(word) = &references.match_type
        && !word.eq_ignore_ascii_case("simple")
    {
        text.push_str(&format!(" MATCH {}", word.to_uppercase()));
    }
    if let Some(action) = &references.on_delete {
        text.push_str(&format!(" ON DELETE {}", action.to_uppercase()));
        if !references.on_delete_set_columns.is_empty() {
            let columns = idents(&references.on_delete_set_columns);
            text.push_str(&format!(" ({columns})"));
        }
    }
    if let Some(action) = &references.on_update {
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
        referential_clauses(references)
    )
}

impl From<&References> for TableReferences {
    fn from(one: &References) -> Self {
        TableReferences {
            table: one.table.clone(),
            columns: vec![one.column.clone()],
            match_type: one.match_type.clone(),
            on_delete: one.on_delete.clone(),
            on_update: one.on_update.clone(),
            on_delete_set_columns: Vec::new(),
        }
    }
}

pub fn check_clause(check: &Check) -> String {
    format!(
        "CONSTRAINT {} {}",
        ident(&check.name),
        check_text(&check.constraint, check.no_inherit)
    )
}

/// `CHECK (…) NO INHERIT`.
pub fn check_text(expression: &str, no_inherit: bool) -> String {
    let no_inherit = if no_inherit { " NO INHERIT" } else { "" };
    format!("CHECK ({expression}){no_inherit}")
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
        .unwrap_or("ALWAYS")
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
            " CONSTRAINT {} REFERENCES {} ({}){}{}",
            ident(&references.name),
            references.table,
            ident(&references.column),
            referential_clauses(&references.into()),
            deferral(references.deferrable, references.initially_deferred)
        ));
    }
    Ok(sql)
}

/// Notes on the picture of a table the constraints that stand in a column's clause.
pub fn inline_constraints(table: &mut facts::Table, column: &Column) {
    let columns = || vec![column.name.clone()];
    let mut add = |kind: &str, name: String, definition: String, references: Option<String>| {
        if matches!(kind, "u" | "p") {
            table.indexes.push(facts::Index {
                name: name.clone(),
                definition: format!("USING btree ({})", ident(&column.name)),
                columns: columns(),
                unique: true,
                valid: true,
                constraint: Some(name.clone()),
                ..facts::Index::default()
            });
        }
        table.constraints.push(facts::Constraint {
            name,
            kind: kind.to_owned(),
            definition,
            columns: columns(),
            validated: true,
            references,
            ..facts::Constraint::default()
        });
    };
    let list = columns();
    let bare = table.name.clone();
    if column.unique {
        let name = names::constraint(&bare, &list, "key", 0);
        add("u", name, format!("UNIQUE ({})", idents(&list)), None);
    }
    if column.pk {
        let name = names::constraint(&bare, &list, "pkey", 0);
        add("p", name, format!("PRIMARY KEY ({})", idents(&list)), None);
    }
    if let Some(check) = &column.check {
        let text = check_text(&check.constraint, check.no_inherit);
        add("c", check.name.clone(), text, None);
    }
    if let Some(references) = &column.references {
        let text = foreign_key(&list, &references.into());
        let target = Some(references.table.clone());
        add("f", references.name.clone(), text, target);
    }
}

/// A table constraint's definition, after `CONSTRAINT name`.
pub fn constraint_clause(constraint: &TableConstraint) -> Result<String> {
    let nulls = if constraint.nulls_not_distinct {
        " NULLS NOT DISTINCT"
    } else {
        ""
    };
    let parameters = constraint
        .index_parameters
        .as_ref()
        .map(index_parameters)
        .unwrap_or_default();
    let columns = idents(&constraint.columns);
    let body = match constraint.kind.as_str() {
        "unique" => format!("UNIQUE{nulls} ({columns}){parameters}"),
        "primary_key" => format!("PRIMARY KEY ({columns}){parameters}"),
        "check" => check_text(
            constraint.check.as_deref().unwrap_or_default(),
            constraint.no_inherit,
        ),
        "exclude" => match &constraint.exclude {
            Some(exclude) => exclusion(exclude, &parameters),
            None => return Err(Fault::invalid("an exclusion constraint needs exclude")),
        },
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

/// ` INCLUDE (…) WITH (…) USING INDEX TABLESPACE …`.
fn index_parameters(parameters: &IndexParameters) -> String {
    let mut text = String::new();
    if !parameters.include_columns.is_empty() {
        let columns = idents(&parameters.include_columns);
        text.push_str(&format!(" INCLUDE ({columns})"));
    }
    if let Some(storage) = &parameters.storage_parameters {
        text.push_str(&format!(" WITH ({storage})"));
    }
    if let Some(space) = &parameters.tablespace {
        text.push_str(&format!(" USING INDEX TABLESPACE {}", ident(space)));
    }
    text
}

fn exclusion(exclude: &Exclude, parameters: &str) -> String {
    let method = exclude
        .index_method
        .as_ref()
        .map(|method| format!(" USING {}", ident(method)))
        .unwrap_or_default();
    let predicate = exclude
        .predicate
        .as_ref()
        .map(|text| format!(" WHERE ({text})"))
        .unwrap_or_default();
    let elements = exclude.elements.as_deref().unwrap_or_default();
    format!("EXCLUDE{method} ({elements}){parameters}{predicate}")
}
