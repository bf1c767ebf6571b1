//! Which columns a migration holds on to and how, so that two in flight do not pull at one.

use super::Planner;
use crate::document::model::{AlterColumn, Column, CreateConstraint, Operation, TableReferences};
use crate::fault::Result;
use crate::recipe::facts::Table;
use crate::recipe::index;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a migration does with a column until its contract.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// It gets another name or type, or leaves.
    #[default]
    Change,
    /// It is a copy that leaves at the contract, when another column takes its name.
    Copy,
    /// A trigger fills it.
    Fill,
    /// An index or a constraint is made on it.
    Hold,
    /// Something else about it is set or leaves.
    Use,
    /// An expression reads it, by its name.
    Read,
}

impl How {
    /// Whether two migrations cannot be in flight that do these to one column.
    pub fn clashes(self, other: How) -> bool {
        match (self, other) {
            (How::Change, _) | (_, How::Change) => true,
            (How::Copy, How::Read) | (How::Read, How::Copy) => false,
            (How::Copy, _) | (_, How::Copy) => true,
            (How::Fill, How::Fill) => true,
            _ => false,
        }
    }
}

/// A column (`*`: the whole table) and what a migration does with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    pub table: String,
    pub column: String,
    #[serde(default)]
    pub how: How,
}

impl Touch {
    /// Whether a migration that does the one keeps another from doing the other.
    pub fn clashes(&self, other: &Touch) -> bool {
        let same = self.column == other.column || self.column == "*" || other.column == "*";
        self.table == other.table && same && self.how.clashes(other.how)
    }
}

impl Planner<'_> {
    pub fn touch(&mut self, table: &str, column: &str) {
        self.touch_as(table, column, How::Change);
    }

    pub fn touch_as(&mut self, table: &str, column: &str, how: How) {
        self.plan.touches.push(Touch {
            table: table.to_owned(),
            column: column.to_owned(),
            how,
        });
    }

    /// Takes down the columns that the operation uses and reads beside those it changes. What is
    /// wrong with the operation is for its recipe to say: here it is passed over.
    pub fn note_uses(&mut self, operation: &Operation) -> Result<()> {
        match operation {
            Operation::CreateIndex(op) => {
                let text = index::definition(op);
                let listed = op.columns.iter().map(|column| column.column.clone());
                let mut columns: Vec<String> = listed.collect();
                if let Some((key, table)) = self.known_table(&op.table)? {
                    columns.extend(self.mentioned(&key, &table, &text)?);
                }
                self.uses(&op.table, &columns, How::Hold)
            }
            Operation::CreateConstraint(op) => self.constraint_uses(op),
            Operation::AddForeignKey(op) => {
                self.uses(&op.table, &op.columns, How::Hold)?;
                self.referenced(&op.references)
            }
            Operation::SetNotNull(op) | Operation::DropNotNull(op) => {
                self.uses(&op.table, std::slice::from_ref(&op.column), How::Use)
            }
            Operation::TouchColumn(op) | Operation::UntouchColumn(op) => {
                self.uses(&op.table, std::slice::from_ref(&op.column), How::Use)
            }
            Operation::AlterColumn(op) => self.altered(op),
            Operation::AddColumn(op) => {
                self.read(&op.table, op.up.as_deref())?;
                self.column_references(&op.column)
            }
            Operation::DropColumn(op) => {
                self.read(&op.table, op.down.as_deref())?;
                self.uses_with(&op.table, &op.column)
            }
            Operation::RenameColumn(op) => self.uses_with(&op.table, &op.from),
            Operation::Backfill(op) => {
                let columns: Vec<String> = op.set.keys().cloned().collect();
                self.uses(&op.table, &columns, How::Use)?;
                for text in op.set.values().filter_map(Value::as_str) {
                    self.read(&op.table, Some(text))?;
                }
                self.read(&op.table, op.predicate.as_deref())
            }
            Operation::DropConstraint(op) => {
                let Some((_, table)) = self.known_table(&op.table)? else {
                    return Ok(());
                };
                let mut found = table.constraints.into_iter();
                match found.find(|constraint| constraint.name == op.name) {
                    Some(constraint) => self.uses(&op.table, &constraint.columns, How::Use),
                    None => Ok(()),
                }
            }
            Operation::DropIndex(op) => {
                let (Some(on), Ok((_, bare))) =
                    (self.facts.table_of_index(&op.name)?, self.landing(&op.name))
                else {
                    return Ok(());
                };
                let Some((_, table)) = self.known_table(&on)? else {
                    return Ok(());
                };
                match table.indexes.into_iter().find(|index| index.name == bare) {
                    Some(index) => self.uses(&on, &index.columns, How::Use),
                    None => Ok(()),
                }
            }
            Operation::SplitTable(op) => {
                for column in &op.columns {
                    self.uses_with(&op.table, column)?;
                }
                self.uses(&op.table, &op.key, How::Hold)
            }
            Operation::CreateTable(op) => {
                for column in &op.columns {
                    self.column_references(column)?;
                }
                for constraint in &op.constraints {
                    if let Some(references) = &constraint.references {
                        self.referenced(references)?;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn altered(&mut self, op: &AlterColumn) -> Result<()> {
        let made = op.unique.is_some() || op.check.is_some() || op.references.is_some();
        let how = if made { How::Hold } else { How::Use };
        self.uses(&op.table, std::slice::from_ref(&op.column), how)?;
        self.read(&op.table, op.up.as_deref())?;
        if op.data_type.is_some() {
            self.uses_with(&op.table, &op.column)?;
        }
        if let Some(check) = &op.check {
            self.held_by_check(&op.table, &check.constraint)?;
        }
        match &op.references {
            Some(references) => {
                let column = std::slice::from_ref(&references.column);
                self.uses(&references.table, column, How::Use)
            }
            None => Ok(()),
        }
    }

    fn constraint_uses(&mut self, op: &CreateConstraint) -> Result<()> {
        self.uses(&op.table, &op.columns, How::Hold)?;
        if let Some(check) = &op.check {
            self.held_by_check(&op.table, check)?;
        }
        match &op.references {
            Some(references) => self.referenced(references),
            None => Ok(()),
        }
    }

    fn column_references(&mut self, column: &Column) -> Result<()> {
        match &column.references {
            Some(references) => {
                let column = std::slice::from_ref(&references.column);
                self.uses(&references.table, column, How::Use)
            }
            None => Ok(()),
        }
    }

    fn referenced(&mut self, references: &TableReferences) -> Result<()> {
        self.uses(&references.table, &references.columns, How::Hold)
    }

    fn held_by_check(&mut self, table: &str, check: &str) -> Result<()> {
        let columns = self.columns_read(table, Some(check))?;
        self.uses(table, &columns, How::Hold)
    }

    fn read(&mut self, table: &str, expression: Option<&str>) -> Result<()> {
        let columns = self.columns_read(table, expression)?;
        self.uses(table, &columns, How::Read)
    }

    fn columns_read(&mut self, table: &str, expression: Option<&str>) -> Result<Vec<String>> {
        let (Some(text), Some((key, _))) = (expression, self.known_table(table)?) else {
            return Ok(Vec::new());
        };
        match self.facts.columns_read(&key, text) {
            Err(fault) if fault.is_interruption() => Err(fault),
            found => Ok(found.unwrap_or_default()),
        }
    }

    fn uses(&mut self, table: &str, columns: &[String], how: How) -> Result<()> {
        let Some((key, _)) = self.known_table(table)? else {
            return Ok(());
        };
        for column in columns {
            self.plan.uses.push(Touch {
                table: key.clone(),
                column: column.clone(),
                how,
            });
        }
        Ok(())
    }

    /// The columns that share an index or a constraint with one that changes: both are written down
    /// with their names.
    fn uses_with(&mut self, table: &str, column: &str) -> Result<()> {
        let Some((_, found)) = self.known_table(table)? else {
            return Ok(());
        };
        let indexes = found.indexes.iter().map(|index| &index.columns);
        let constraints = found
            .constraints
            .iter()
            .map(|constraint| &constraint.columns);
        let shared: Vec<String> = indexes
            .chain(constraints)
            .filter(|columns| columns.iter().any(|name| name == column))
            .flatten()
            .filter(|name| *name != column)
            .cloned()
            .collect();
        self.uses(table, &shared, How::Use)
    }

    /// A table that others can see already.
    pub fn known_table(&mut self, name: &str) -> Result<Option<(String, Table)>> {
        match self.table(name) {
            Err(fault) if fault.is_interruption() => Err(fault),
            Ok((key, table)) if !table.fresh => Ok(Some((key, table))),
            _ => Ok(None),
        }
    }

    /// The columns of the table that the text of an index (after `ON table`) mentions.
    fn mentioned(&self, key: &str, table: &Table, text: &str) -> Result<Vec<String>> {
        let folded = text.to_lowercase();
        let mut found = Vec::new();
        for column in &table.columns {
            if !folded.contains(&column.name.to_lowercase()) {
                continue;
            }
            let renamed = |to: &str| self.index_renamed(key, text, &column.name, to);
            match (renamed("pg_migrate_this"), renamed("pg_migrate_other")) {
                (Err(fault), _) | (_, Err(fault)) if fault.is_interruption() => return Err(fault),
                (Ok(this), Ok(other)) if this != other => found.push(column.name.clone()),
                _ => {}
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::How;

    #[test]
    fn what_clashes() {
        use How::{Change, Copy, Fill, Hold, Read, Use};
        for (one, other, clash) in [
            (Change, Read, true),
            (Change, Use, true),
            (Change, Fill, true),
            (Change, Hold, true),
            (Copy, Hold, true),
            (Fill, Hold, false),
            (Copy, Use, true),
            (Copy, Read, false),
            (Copy, Copy, true),
            (Fill, Fill, true),
            (Fill, Use, false),
            (Fill, Read, false),
            (Use, Use, false),
            (Use, Read, false),
        ] {
            assert_eq!(one.clashes(other), clash, "{one:?} {other:?}");
            assert_eq!(other.clashes(one), clash, "{other:?} {one:?}");
        }
    }
}
