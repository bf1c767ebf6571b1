//! Constraints that come or go while the two applications see different values: until contract the
//! old one keeps its column as it is, the new one has a shadow beside it, and `up` and `down`
//! translate. The shadow is that of a type change, to the same type.

use super::{SHADOW, column_type};
use crate::document::model::{AlterColumn, CreateConstraint, DropConstraint, Operation, Values};
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::{Column, Table};
use crate::recipe::plan::Planner;
use crate::recipe::quote::{ident, idents, name_with_suffix};
use crate::recipe::table::check_text;
use crate::recipe::types;

/// A column and the shadow that takes its place at contract.
#[derive(Debug, Clone)]
pub struct Shadow {
    pub column: String,
    pub name: String,
}

/// With the default it has, not one cast to the type it has already.
fn as_it_was(op: &AlterColumn, column: &Column, new_type: &str) -> AlterColumn {
    let default = match (&op.default, &column.default) {
        (None, Some(default)) if new_type == column_type(column) => Some(Some(default.clone())),
        (asked, _) => asked.clone(),
    };
    AlterColumn {
        default,
        ..op.clone()
    }
}

/// What `column` is called until contract on the new side.
fn shadow_of(column: &str) -> String {
    name_with_suffix(column, SHADOW)
}

/// Whether the expression is just the column itself.
pub fn is_itself(column: &str, expression: &str) -> bool {
    let text = expression.trim();
    text == column
        || text == ident(column)
        || text == format!("\"{}\"", column.replace('"', "\"\""))
}

/// The expression, where it changes the column's value.
pub fn changing<'a>(column: &str, expression: Option<&'a String>) -> Option<&'a String> {
    expression.filter(|text| !is_itself(column, text))
}

/// The columns that one of the two maps gives another value.
pub fn translated<'a>(up: &'a Values, down: &'a Values) -> Vec<&'a str> {
    let mut columns: Vec<&str> = up
        .iter()
        .chain(down)
        .filter(|(column, text)| !is_itself(column, text))
        .map(|(column, _)| column.as_str())
        .collect();
    columns.sort_unstable();
    columns.dedup();
    columns
}

impl Planner<'_> {
    /// Puts a shadow of the same type beside each column that `up` or `down` translates. `up` reads
    /// the row as the old application writes it, `down` as the new one does.
    pub fn shadows(
        &mut self,
        key: &str,
        table: &Table,
        up: &Values,
        down: &Values,
    ) -> Result<Vec<Shadow>> {
        let shadows: Vec<Shadow> = translated(up, down)
            .into_iter()
            .map(|column| Shadow {
                column: column.to_owned(),
                name: shadow_of(column),
            })
            .collect();
        let mut asked = Vec::new();
        for shadow in &shadows {
            let column = self.column(key, table, &shadow.column)?;
            let op = AlterColumn {
                table: key.to_owned(),
                column: column.name.clone(),
                up: changing(&column.name, up.get(&column.name)).cloned(),
                down: changing(&column.name, down.get(&column.name)).cloned(),
                ..AlterColumn::default()
            };
            let data_type = column_type(&column);
            asked.push((as_it_was(&op, &column, &data_type), column, data_type));
        }
        self.change_together(key, table, &asked)?;
        Ok(shadows)
    }

    /// One shadow by the recipe of a type change; constraints of `op` follow separately.
    pub fn shadow(
        &mut self,
        op: &AlterColumn,
        key: &str,
        table: &Table,
        column: &Column,
        new_type: &str,
    ) -> Result<Vec<Shadow>> {
        let bare = AlterColumn {
            unique: None,
            check: None,
            references: None,
            ..as_it_was(op, column, new_type)
        };
        self.change_type(&bare, key, table, column, new_type)?;
        Ok(vec![Shadow {
            column: column.name.clone(),
            name: shadow_of(&column.name),
        }])
    }

    /// The shadows that type changes of this migration have put beside columns that the text mentions
    /// or that are among `columns`.
    pub fn shadows_of(&self, key: &str, columns: &[String], text: &str) -> Vec<Shadow> {
        let replaced = self.replaced.keys().filter(|(table, _)| table == key);
        replaced
            .filter(|(_, column)| {
                columns.contains(column)
                    || types::rename_identifier(text, column, "pg_migrate_other") != text
            })
            .map(|(_, column)| Shadow {
                column: column.clone(),
                name: shadow_of(column),
            })
            .collect()
    }

    /// An index's text after `ON table` as it reads over the shadows.
    pub fn index_on_shadows(&self, key: &str, body: String) -> Result<String> {
        let shadows = self.shadows_of(key, &[], &body);
        shadows.iter().try_fold(body, |body, shadow| {
            self.index_renamed(key, &body, &shadow.column, &shadow.name)
        })
    }

    /// Adds the constraint to the shadows, under its own name: it follows them when they take their
    /// names.
    pub fn constrain(&mut self, op: &CreateConstraint, shadows: &[Shadow]) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        self.new_constraint_name(&key, &table, &op.name)?;
        self.plan
            .inverse
            .push(Operation::DropConstraint(DropConstraint {
                table: key.clone(),
                name: op.name.clone(),
                immediately: true,
                ..DropConstraint::default()
            }));
        let mut op = self.on_shadows(&key, op, shadows)?;
        op.up.clear();
        op.down.clear();
        self.constraint_steps(&op)
    }

    /// The constraint as it reads over the shadows.
    fn on_shadows(
        &self,
        key: &str,
        op: &CreateConstraint,
        shadows: &[Shadow],
    ) -> Result<CreateConstraint> {
        let moved = |column: &String| {
            let found = shadows.iter().find(|shadow| shadow.column == *column);
            found.map_or_else(|| column.clone(), |shadow| shadow.name.clone())
        };
        let mut made = op.clone();
        made.columns = op.columns.iter().map(moved).collect();
        if let Some(references) = &mut made.references {
            let set = &mut references.on_delete_set_columns;
            *set = set.iter().map(moved).collect();
        }
        if let Some(parameters) = &mut made.index_parameters {
            let include = &mut parameters.include_columns;
            *include = include.iter().map(moved).collect();
        }
        let text = match (&op.check, &op.definition) {
            (_, Some(definition)) => Some(definition.clone()),
            (Some(check), None) => Some(check_text(check, op.no_inherit)),
            (None, None) => None,
        };
        made.check = None;
        made.no_inherit = false;
        made.definition = match text {
            Some(text) if op.kind == "foreign_key" => Some(foreign_key_moved(
                &text,
                &op.columns,
                &made.columns,
                shadows,
            )),
            Some(text) => {
                let mut text = text;
                for shadow in shadows {
                    text = self.constraint_renamed(key, &text, &shadow.column, &shadow.name)?;
                }
                Some(text)
            }
            None => None,
        };
        Ok(made)
    }

    /// An error if the table has, or will have, a constraint of that name.
    pub fn new_constraint_name(&self, key: &str, table: &Table, name: &str) -> Result<()> {
        if !table.constraints.iter().any(|found| found.name == name) {
            return Ok(());
        }
        Err(Fault::new(
            state::DUPLICATE_OBJECT,
            format!("constraint \"{name}\" of table {key} already exists"),
        )
        .hint("Choose another name, or stamp the revision if this migration ran before."))
    }
}

/// A foreign key's definition, as PostgreSQL prints it, over other columns of its own table.
fn foreign_key_moved(text: &str, from: &[String], to: &[String], shadows: &[Shadow]) -> String {
    let head = |columns: &[String]| format!("FOREIGN KEY ({})", idents(columns));
    let text = text.replacen(&head(from), &head(to), 1);
    for action in [" ON DELETE SET NULL (", " ON DELETE SET DEFAULT ("] {
        let Some((before, rest)) = text.split_once(action) else {
            continue;
        };
        let Some((columns, after)) = rest.split_once(')') else {
            continue;
        };
        let columns = shadows.iter().fold(columns.to_owned(), |columns, shadow| {
            types::rename_identifier(&columns, &shadow.column, &shadow.name)
        });
        return format!("{before}{action}{columns}){after}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_itself() {
        for text in ["a", " a ", "\"a\""] {
            assert!(is_itself("a", text), "{text}");
        }
        for text in ["b", "a + 0", "A", "(SELECT a)"] {
            assert!(!is_itself("a", text), "{text}");
        }
        assert!(is_itself("Total", "\"Total\"") && is_itself("x\"y", "\"x\"\"y\""));
    }

    #[test]
    fn a_foreign_key_moves_to_other_columns() {
        let shadows = [Shadow {
            column: "a".into(),
            name: "a_pgm_new".into(),
        }];
        let moved = foreign_key_moved(
            "FOREIGN KEY (a, b) REFERENCES o(a, b) ON DELETE SET NULL (a) DEFERRABLE",
            &["a".into(), "b".into()],
            &["a_pgm_new".into(), "b".into()],
            &shadows,
        );
        assert_eq!(
            moved,
            "FOREIGN KEY (a_pgm_new, b) REFERENCES o(a, b) ON DELETE SET NULL (a_pgm_new) DEFERRABLE"
        );
    }
}
