//! A column that a migration adds and renames: until contract nobody knows its first name, so all is
//! made under the last one, but for the statement that adds it, from which PostgreSQL derives other
//! names.

use super::Planner;
use crate::document::model::{Column, Operation, Sql, TableReferences, Values};
use crate::fault::{Fault, Result, state};
use crate::recipe::quote::ident;
use crate::recipe::types::rename_identifier;
use serde_json::{Map, Value};

/// A name that an added column has until the operation of that number.
#[derive(Debug, Clone)]
pub struct Former {
    table: String,
    name: String,
    until: usize,
    last: String,
}

/// What an operation says of one column, under its last name.
struct Renamer<'a> {
    former: &'a Former,
}

impl Renamer<'_> {
    fn name(&self, column: &mut String) {
        if *column == self.former.name {
            column.clone_from(&self.former.last);
        }
    }

    fn text(&self, sql: &mut String) {
        *sql = rename_identifier(sql, &self.former.name, &self.former.last);
    }

    fn texts<'a>(&self, all: impl IntoIterator<Item = &'a mut String>) {
        all.into_iter().for_each(|sql| self.text(sql));
    }

    fn values(&self, values: &mut Values) {
        let renamed = std::mem::take(values).into_iter();
        *values = renamed
            .map(|(mut column, mut value)| {
                self.name(&mut column);
                self.text(&mut value);
                (column, value)
            })
            .collect();
    }

    fn set(&self, set: &mut Map<String, Value>) {
        let renamed = std::mem::take(set).into_iter();
        *set = renamed
            .map(|(mut column, mut value)| {
                self.name(&mut column);
                if let Value::String(sql) = &mut value {
                    self.text(sql);
                }
                (column, value)
            })
            .collect();
    }

    fn column(&self, column: &mut Column) {
        self.texts(column.check.as_mut().map(|check| &mut check.constraint));
        let generated = column.generated.as_mut();
        self.texts(generated.and_then(|generated| generated.expression.as_mut()));
    }

    fn referenced(&self, references: &mut TableReferences) {
        references.columns.iter_mut().for_each(|c| self.name(c));
    }

    /// A comment on the column is written anew.
    fn comment(&self, op: &mut Sql) {
        let Some(comments) = &mut op.comments else {
            return;
        };
        if comments.kind != "column" || comments.part.as_ref() != Some(&self.former.name) {
            return;
        }
        comments.part = Some(self.former.last.clone());
        let text = comments.text.as_deref();
        op.up = format!(
            "COMMENT ON COLUMN {}.{} IS {}",
            comments.relation,
            ident(&self.former.last),
            crate::recipe::quote::literal_or_null(text)
        );
    }

    /// In what is said of the column's own table.
    fn own(&self, operation: &mut Operation) {
        match operation {
            Operation::AddColumn(op) => {
                self.column(&mut op.column);
                self.texts(&mut op.up);
            }
            Operation::AlterColumn(op) => {
                self.name(&mut op.column);
                self.texts(op.check.as_mut().map(|check| &mut check.constraint));
                self.texts(op.up.iter_mut().chain(&mut op.down));
            }
            Operation::SetNotNull(op)
            | Operation::DropNotNull(op)
            | Operation::TouchColumn(op)
            | Operation::UntouchColumn(op) => self.name(&mut op.column),
            Operation::CreateIndex(op) => {
                op.columns
                    .iter_mut()
                    .for_each(|key| self.name(&mut key.column));
                self.texts(op.predicate.iter_mut().chain(&mut op.definition));
            }
            Operation::CreateConstraint(op) => {
                op.columns.iter_mut().for_each(|column| self.name(column));
                self.texts(op.check.iter_mut().chain(&mut op.definition));
                self.values(&mut op.up);
                self.values(&mut op.down);
            }
            Operation::AddForeignKey(op) => {
                op.columns.iter_mut().for_each(|column| self.name(column));
            }
            Operation::Backfill(op) => {
                self.set(&mut op.set);
                self.texts(&mut op.predicate);
                op.down.iter_mut().for_each(|down| self.set(down));
            }
            Operation::DropConstraint(op) => self.texts(op.up.iter_mut().chain(&mut op.down)),
            _ => {}
        }
    }
}

/// Whether a text in the value is or mentions the name. `last`: a text that is this is a name too, and
/// not SQL.
fn is_in(name: &str, last: &str, value: &Value) -> bool {
    match value {
        Value::String(text) if text == last => false,
        Value::String(text) => {
            text == name || rename_identifier(text, name, "pg_migrate other") != *text
        }
        Value::Array(list) => list.iter().any(|one| is_in(name, last, one)),
        Value::Object(fields) => fields
            .iter()
            .any(|(field, one)| field == name || is_in(name, last, one)),
        _ => false,
    }
}

/// The name of a table without its schema, from its key.
fn bare(key: &str) -> String {
    let last = key.rsplit('.').next().unwrap_or(key);
    last.trim_matches('"').replace("\"\"", "\"")
}

impl Planner<'_> {
    /// The name that later operations of this migration give to a column that the one being planned
    /// adds to `table`; the renamings count as planned. `None`: it keeps its own.
    pub fn last_name(&mut self, key: &str, first: &str) -> Result<Option<String>> {
        let mut names: Vec<(String, usize)> = Vec::new();
        let mut name = first.to_owned();
        for number in self.at + 1..self.operations.len() {
            let Some(Operation::RenameColumn(op)) = self.operations.get(number) else {
                continue;
            };
            if op.from != name || !self.is_table(&op.table, key)? {
                continue;
            }
            let taken = self
                .overlay(key)
                .is_some_and(|t| t.column(&op.to).is_some());
            if taken {
                break;
            }
            names.push((std::mem::replace(&mut name, op.to.clone()), number));
        }
        if names.is_empty() {
            return Ok(None);
        }
        self.not_leaving(key, Some(&name))?;
        for (former, until) in names {
            self.done_ahead.insert(until);
            self.former.push(Former {
                table: key.to_owned(),
                name: former,
                until,
                last: name.clone(),
            });
        }
        Ok(Some(name))
    }

    fn is_table(&mut self, name: &str, key: &str) -> Result<bool> {
        match self.table(name) {
            Err(fault) if fault.is_interruption() => Err(fault),
            found => Ok(found.is_ok_and(|(found, _)| found == key)),
        }
    }

    /// The operation of that number with the last names of columns that this migration adds and
    /// renames. Errors where it mentions such a column in a way that is not understood.
    pub fn under_last_names(&mut self, number: usize, operation: &Operation) -> Result<Operation> {
        let mut operation = operation.clone();
        // Of several names of one column the earliest counts that it still has.
        let mut done = Vec::new();
        for former in self.former.clone() {
            let place = (former.table.clone(), former.last.clone());
            if number >= former.until || done.contains(&place) {
                continue;
            }
            done.push(place);
            let renamer = Renamer { former: &former };
            let own = match operation.table() {
                Some(table) => Some(self.is_table(table, &former.table)?),
                None => None,
            };
            if own == Some(true) {
                renamer.own(&mut operation);
            }
            match &mut operation {
                Operation::CreateConstraint(op) => {
                    if let Some(references) = &mut op.references
                        && self.is_table(&references.table, &former.table)?
                    {
                        renamer.referenced(references);
                    }
                }
                Operation::AddForeignKey(op)
                    if self.is_table(&op.references.table, &former.table)? =>
                {
                    renamer.referenced(&mut op.references);
                }
                Operation::Sql(op) => {
                    if let Some(comments) = &op.comments
                        && self.is_table(&comments.relation, &former.table)?
                    {
                        renamer.comment(op);
                    }
                }
                _ => {}
            }
            let said = match &operation {
                Operation::Sql(op) => Value::String(op.up.clone()),
                other => named_values(other)?,
            };
            // Another table's columns may have the same name.
            let about = own != Some(false) || is_in(&bare(&former.table), "", &said);
            if about && is_in(&former.name, &former.last, &said) {
                return Err(unknown(&former));
            }
        }
        Ok(operation)
    }
}

/// What the operation says, but for the names of what it makes, which may be like a column's.
fn named_values(operation: &Operation) -> Result<Value> {
    let mut value =
        serde_json::to_value(operation).map_err(|err| Fault::internal(err.to_string()))?;
    if let Value::Object(kinds) = &mut value {
        for fields in kinds.values_mut().filter_map(Value::as_object_mut) {
            fields.remove("name");
            fields.remove("table");
        }
    }
    Ok(value)
}

fn unknown(former: &Former) -> Fault {
    Fault::new(
        state::FEATURE_NOT_SUPPORTED,
        format!(
            "an operation between the one that adds column \"{}\" to {} and the one that renames it to \"{}\" cannot be carried over to the new name",
            former.name, former.table, former.last
        ),
    )
    .detail("The column is made with its last name at once, and what the operation says of it is not understood here.")
    .hint(format!(
        "Add the column as \"{}\" and leave the renaming out.",
        former.last
    ))
}
