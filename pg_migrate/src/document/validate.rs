//! Whether the fields of an operation go together, as far as the document alone can tell.

mod constraint;
mod object;
mod partition;

use super::model::{
    AlterColumn, Backfill, Column, CreateIndex, CreateTable, Operation, SetReplicaIdentity,
    SplitTable, Values,
};
use super::names;
use super::text::did_you_mean;
use crate::fault::{Fault, Result};
use constraint::{
    Parts, column_check, constraint, create_constraint, deferral, foreign_key, references,
};
use std::collections::HashSet;

/// Checks a list of operations found at `place` in the document.
pub fn operations(place: &str, operations: &[Operation]) -> Result<()> {
    for (number, operation) in operations.iter().enumerate() {
        let place = Place(format!("{place}[{number}].{}", operation.kind()));
        check(&place, operation)?;
    }
    Ok(())
}

/// Where in the document a value is.
struct Place(String);

impl Place {
    fn field(&self, name: &str) -> Place {
        Place(format!("{}.{name}", self.0))
    }

    fn item(&self, name: &str, number: usize) -> Place {
        Place(format!("{}.{name}[{number}]", self.0))
    }

    fn wrong(&self, message: impl Into<String>) -> Fault {
        Fault::invalid(message).detail(format!("At {}.", self.0))
    }

    /// Adds the place to an error that does not know it.
    fn tell(&self, fault: Fault) -> Fault {
        let detail = match &fault.detail {
            Some(detail) => format!("At {}. {detail}", self.0),
            None => format!("At {}.", self.0),
        };
        fault.detail(detail)
    }

    fn name(&self, field: &str, name: &str) -> Result<()> {
        names::bare(name).map_err(|fault| self.field(field).tell(fault))
    }

    /// A name as SQL text, as that of a table is.
    fn sql_name(&self, field: &str, name: &str) -> Result<()> {
        names::sql(name).map_err(|fault| self.field(field).tell(fault))
    }

    fn names(&self, field: &str, names: &[String]) -> Result<()> {
        let mut seen = HashSet::new();
        for (number, name) in names.iter().enumerate() {
            let place = self.item(field, number);
            names::bare(name).map_err(|fault| place.tell(fault))?;
            if !seen.insert(name) {
                return Err(place.wrong(format!("column \"{name}\" is named twice")));
            }
        }
        Ok(())
    }

    /// Text that must say something where it is given: an expression, a type.
    fn text(&self, field: &str, text: Option<&str>) -> Result<()> {
        match text {
            Some(text) if text.trim().is_empty() => {
                Err(self.field(field).wrong(format!("{field} is empty")))
            }
            _ => Ok(()),
        }
    }

    /// One of the words, in any case.
    fn word(&self, field: &str, word: Option<&str>, words: &[&str]) -> Result<()> {
        match word {
            Some(word) if !words.iter().any(|known| known.eq_ignore_ascii_case(word)) => Err(self
                .field(field)
                .wrong(format!("{field} cannot be \"{word}\""))
                .hint(did_you_mean(word, words))),
            _ => Ok(()),
        }
    }

    fn renamed(&self, what: &str, from: &str, to: &str) -> Result<()> {
        if from == to {
            return Err(self
                .field("to")
                .wrong(format!("the {what} is called \"{to}\" already")));
        }
        Ok(())
    }
}

fn check(place: &Place, operation: &Operation) -> Result<()> {
    match operation {
        Operation::CreateTable(op) => create_table(place, op),
        Operation::DropTable(op) => place.sql_name("name", &op.name),
        Operation::RenameTable(op) => {
            place.sql_name("from", &op.from)?;
            place.name("to", &op.to)?;
            place.renamed("table", &op.from, &op.to)
        }
        Operation::AddColumn(op) => {
            place.sql_name("table", &op.table)?;
            place.text("up", op.up.as_deref())?;
            if op.up.is_some() && op.column.generated.is_some() {
                return Err(place
                    .field("up")
                    .wrong("a generated column takes no value, so up cannot be given"));
            }
            column(&place.field("column"), &op.column)
        }
        Operation::DropColumn(op) => {
            place.sql_name("table", &op.table)?;
            place.name("column", &op.column)?;
            place.text("down", op.down.as_deref())
        }
        Operation::RenameColumn(op) => {
            place.sql_name("table", &op.table)?;
            place.name("from", &op.from)?;
            place.name("to", &op.to)?;
            place.renamed("column", &op.from, &op.to)
        }
        Operation::AlterColumn(op) => alter_column(place, op),
        Operation::CreateIndex(op) => create_index(place, op),
        Operation::DropIndex(op) => place.sql_name("name", &op.name),
        Operation::CreateConstraint(op) => create_constraint(place, op),
        Operation::DropConstraint(op) => {
            place.sql_name("table", &op.table)?;
            place.name("name", &op.name)?;
            place.text("up", op.up.as_deref())?;
            place.text("down", op.down.as_deref())
        }
        Operation::DropMulticolumnConstraint(op) => {
            place.sql_name("table", &op.table)?;
            place.name("name", &op.name)?;
            values(place, "up", &op.up, &[])?;
            values(place, "down", &op.down, &[])
        }
        Operation::RenameConstraint(op) => {
            place.sql_name("table", &op.table)?;
            place.name("from", &op.from)?;
            place.name("to", &op.to)?;
            place.renamed("constraint", &op.from, &op.to)
        }
        Operation::SetReplicaIdentity(op) => replica_identity(place, op),
        Operation::SplitTable(op) => split_table(place, op),
        Operation::Statement(op) => operations(&place.0, &op.operations),
        Operation::Sql(op) => {
            place.text("up", Some(&op.up))?;
            place.text("down", op.down.as_deref())
        }
        Operation::Backfill(op) => backfill(place, op),
        Operation::AddForeignKey(op) => {
            place.sql_name("table", &op.table)?;
            place.name("name", &op.name)?;
            deferral(place, op.deferrable, op.initially_deferred)?;
            foreign_key(place, &op.columns, &op.references)
        }
        Operation::SetNotNull(op)
        | Operation::DropNotNull(op)
        | Operation::TouchColumn(op)
        | Operation::UntouchColumn(op) => {
            place.sql_name("table", &op.table)?;
            place.name("column", &op.column)
        }
        Operation::AttachPartition(op) | Operation::CreatePartition(op) => {
            partition::attach(place, op)
        }
        Operation::DetachPartition(op) => partition::detach(place, op),
        Operation::Restore(op) => {
            place.sql_name("table", &op.table)?;
            if let Some(column) = &op.column {
                place.name("column", column)?;
            }
            place.text("fill", op.fill.as_deref())?;
            operations(&place.field("operations").0, &op.operations)
        }
        other => object::object(place, other),
    }
}

fn create_table(place: &Place, op: &CreateTable) -> Result<()> {
    place.sql_name("name", &op.name)?;
    let mut seen = HashSet::new();
    for (number, each) in op.columns.iter().enumerate() {
        let place = place.item("columns", number);
        column(&place, each)?;
        if !seen.insert(each.name.as_str()) {
            return Err(place.wrong(format!("column \"{}\" is there twice", each.name)));
        }
    }
    let mut constraints = HashSet::new();
    let mut primary = op.columns.iter().any(|column| column.pk);
    for (number, each) in op.constraints.iter().enumerate() {
        let place = place.item("constraints", number);
        place.name("name", &each.name)?;
        if !constraints.insert(each.name.as_str()) {
            return Err(place.wrong(format!("constraint \"{}\" is there twice", each.name)));
        }
        constraint(&place, &Parts::of_table(each))?;
        if each.kind == "primary_key" && std::mem::replace(&mut primary, true) {
            return Err(place.wrong("the table has a primary key already"));
        }
        let names: Vec<&str> = op
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        let included = each.index_parameters.iter().flat_map(|of| {
            let place = place.field("index_parameters");
            let all = of.include_columns.iter().enumerate();
            all.map(move |(number, name)| (place.item("include_columns", number), name))
        });
        let keys = each.columns.iter().enumerate();
        let keys = keys.map(|(number, name)| (place.item("columns", number), name));
        for (place, name) in keys.chain(included) {
            if !names.contains(&name.as_str()) {
                return Err(place
                    .wrong(format!("the table has no column \"{name}\""))
                    .hint(did_you_mean(name, &names)));
            }
        }
    }
    Ok(())
}

fn split_table(place: &Place, op: &SplitTable) -> Result<()> {
    place.sql_name("table", &op.table)?;
    place.sql_name("into", &op.into)?;
    place.names("key", &op.key)?;
    place.names("columns", &op.columns)?;
    if let Some(references) = &op.references {
        place.field("references").name("name", &references.name)?;
    }
    if op.columns.is_empty() {
        return Err(place.field("columns").wrong("no column is to move").hint(
            "Write {\"split_table\": {\"table\": \"users\", \"into\": \"user_profiles\", \"columns\": [\"bio\"]}}.",
        ));
    }
    match op.columns.iter().find(|column| op.key.contains(column)) {
        Some(column) => Err(place.field("columns").wrong(format!(
            "column \"{column}\" is part of the key, which both tables have"
        ))),
        None => Ok(()),
    }
}

/// A value for each column. `columns`: those it may be for; none: not known here.
fn values(place: &Place, field: &str, values: &Values, columns: &[String]) -> Result<()> {
    let place = place.field(field);
    for (column, value) in values {
        place.name(column, column)?;
        place.text(column, Some(value))?;
        if !columns.is_empty() && !columns.contains(column) {
            let known: Vec<&str> = columns.iter().map(String::as_str).collect();
            return Err(place
                .field(column)
                .wrong(format!(
                    "\"{column}\" is not among the constraint's columns"
                ))
                .hint(did_you_mean(column, &known)));
        }
    }
    Ok(())
}

fn replica_identity(place: &Place, op: &SetReplicaIdentity) -> Result<()> {
    place.sql_name("table", &op.table)?;
    let place = place.field("identity");
    let kind = op.identity.kind.as_str();
    place.word("type", Some(kind), &["nothing", "default", "full", "index"])?;
    let index = op.identity.index.as_deref().filter(|name| !name.is_empty());
    match (kind.eq_ignore_ascii_case("index"), index) {
        (true, Some(index)) => place.name("index", index),
        (true, None) => Err(place.field("index").wrong("the index is missing")),
        (false, None) => Ok(()),
        (false, Some(_)) => Err(place
            .field("index")
            .wrong(format!("replica identity {kind} takes no index"))),
    }
}

fn column(place: &Place, column: &Column) -> Result<()> {
    place.name("name", &column.name)?;
    place.text("type", Some(&column.data_type))?;
    place.text("default", column.default.as_deref())?;
    if column.pk && column.nullable {
        return Err(place
            .field("nullable")
            .wrong("a column of the primary key cannot be nullable"));
    }
    if let Some(check) = &column.check {
        column_check(&place.field("check"), check)?;
    }
    if let Some(found) = &column.references {
        references(&place.field("references"), found)?;
    }
    let Some(generated) = &column.generated else {
        return Ok(());
    };
    let generated_place = place.field("generated");
    if column.default.is_some() {
        return Err(place
            .field("default")
            .wrong("a generated column has no default"));
    }
    generated_place.text("expression", generated.expression.as_deref())?;
    match (&generated.expression, &generated.identity) {
        (Some(_), Some(_)) => {
            Err(generated_place.wrong("expression and identity exclude each other"))
        }
        (None, None) => Err(generated_place.wrong("generated needs expression or identity")),
        (Some(_), None) => Ok(()),
        (None, Some(identity)) => {
            if column.nullable {
                return Err(place
                    .field("nullable")
                    .wrong("an identity column cannot be nullable"));
            }
            let place = generated_place.field("identity");
            place.text("sequence_options", identity.sequence_options.as_deref())?;
            let word = identity.user_specified_values.as_deref();
            place.word("user_specified_values", word, &["ALWAYS", "BY DEFAULT"])
        }
    }
}

fn alter_column(place: &Place, op: &AlterColumn) -> Result<()> {
    place.sql_name("table", &op.table)?;
    place.name("column", &op.column)?;
    place.text("type", op.data_type.as_deref())?;
    place.text("up", op.up.as_deref())?;
    place.text("down", op.down.as_deref())?;
    if let Some(Some(default)) = &op.default
        && default.trim().is_empty()
    {
        return Err(place
            .field("default")
            .wrong("default is empty")
            .hint("null drops the default; the empty string is \"''\", with the quotes of SQL."));
    }
    if let Some(unique) = &op.unique {
        place.field("unique").name("name", &unique.name)?;
    }
    if let Some(check) = &op.check {
        column_check(&place.field("check"), check)?;
    }
    if let Some(found) = &op.references {
        references(&place.field("references"), found)?;
    }
    let changes = op.data_type.is_some()
        || op.nullable.is_some()
        || op.default.is_some()
        || op.comment.is_some()
        || op.unique.is_some()
        || op.check.is_some()
        || op.references.is_some();
    if !changes {
        return Err(place.wrong("the operation changes nothing").hint(
            "Give one of type, nullable, default, comment, unique, check, references; backfill changes values alone.",
        ));
    }
    Ok(())
}

fn create_index(place: &Place, op: &CreateIndex) -> Result<()> {
    place.name("name", &op.name)?;
    place.sql_name("table", &op.table)?;
    place.text("predicate", op.predicate.as_deref())?;
    place.text("storage_parameters", op.storage_parameters.as_deref())?;
    place.text("definition", op.definition.as_deref())?;
    if let Some(method) = &op.method {
        place.name("method", method)?;
    }
    if op.definition.is_some() {
        let other = [
            ("columns", !op.columns.is_empty()),
            ("method", op.method.is_some()),
            ("predicate", op.predicate.is_some()),
            ("storage_parameters", op.storage_parameters.is_some()),
        ];
        return match other.iter().find(|(_, given)| *given) {
            Some((field, _)) => Err(place.field(field).wrong(format!(
                "definition says it all, so {field} cannot be given too"
            ))),
            None => Ok(()),
        };
    }
    if op.columns.is_empty() {
        return Err(place.wrong("an index needs columns or a definition").hint(
            "Write \"columns\": [{\"column\": \"email\"}], or \"definition\": \"USING btree (lower(email))\".",
        ));
    }
    for (number, key) in op.columns.iter().enumerate() {
        let place = place.item("columns", number);
        place.name("column", &key.column)?;
        place.text("collate", key.collate.as_deref())?;
        place.text("opclass", key.opclass.as_deref())?;
        place.word("sort", key.sort.as_deref(), &["ASC", "DESC"])?;
        place.word("nulls", key.nulls.as_deref(), &["FIRST", "LAST"])?;
    }
    Ok(())
}

fn backfill(place: &Place, op: &Backfill) -> Result<()> {
    place.sql_name("table", &op.table)?;
    place.text("where", op.predicate.as_deref())?;
    if op.set.is_empty() {
        return Err(place
            .field("set")
            .wrong("a backfill needs at least one column to set")
            .hint("Write \"set\": {\"total_cents\": \"total * 100\"}."));
    }
    for (field, set) in [("set", Some(&op.set)), ("down", op.down.as_ref())] {
        for (column, value) in set.into_iter().flatten() {
            let place = place.field(field);
            place.name(column, column)?;
            let Some(expression) = value.as_str() else {
                return Err(place
                    .field(column)
                    .wrong(format!(
                        "the value of \"{column}\" is not an SQL expression"
                    ))
                    .hint(format!(
                        "Write it as a string: {{\"{column}\": \"{value}\"}}."
                    )));
            };
            place.text(column, Some(expression))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
