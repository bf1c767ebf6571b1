//! Type changes that come before what an earlier operation makes on their columns: an index or a
//! constraint is made once, on the column that lasts.

use super::Planner;
use crate::document::model::{AlterColumn, Operation};
use crate::fault::Result;
use crate::recipe::constraint::mentioned;
use crate::recipe::facts::Table;
use crate::recipe::index;
use crate::recipe::table::check_text;

/// Whether it makes constraints on its column and nothing else.
pub fn only_constrains(op: &AlterColumn) -> bool {
    let bare = AlterColumn {
        unique: None,
        check: None,
        references: None,
        ..op.clone()
    };
    let constrains = op.unique.is_some() || op.check.is_some() || op.references.is_some();
    constrains && !bare.needs_column()
}

/// The columns of the table on which the operation makes an index or constraints; `None`: it makes
/// something else.
fn holds(operation: &Operation, table: &Table) -> Option<Vec<String>> {
    match operation {
        Operation::CreateIndex(op) => Some(mentioned(table, &index::definition(op))),
        Operation::CreateConstraint(op)
            if matches!(op.kind.as_str(), "unique" | "check" | "foreign_key") =>
        {
            let mut columns = op.columns.clone();
            if let Some(check) = &op.check {
                columns.extend(mentioned(table, &check_text(check, op.no_inherit)));
            }
            Some(columns)
        }
        Operation::AddForeignKey(op) => Some(op.columns.clone()),
        Operation::AlterColumn(op) if only_constrains(op) => {
            let mut columns = vec![op.column.clone()];
            if let Some(check) = &op.check {
                columns.extend(mentioned(table, &check.constraint));
            }
            Some(columns)
        }
        _ => None,
    }
}

impl Planner<'_> {
    /// Plans later operations of this migration that change the type of columns on which this one
    /// makes something, as far as nothing between them stands in the way.
    pub fn types_first(&mut self, operation: &Operation) -> Result<()> {
        let Some(name) = operation.table() else {
            return Ok(());
        };
        let Some((key, table)) = self.known_table(name)? else {
            return Ok(());
        };
        let (false, Some(columns)) = (table.fresh, holds(operation, &table)) else {
            return Ok(());
        };
        let here = self.at;
        for number in here + 1..self.operations.len() {
            let Some(later) = self.operations.get(number) else {
                break;
            };
            let there = match later.table() {
                Some(name) => self.known_table(name)?.map(|(key, _)| key),
                None => None,
            };
            if there.as_ref() != Some(&key) {
                if matches!(later, Operation::Sql(_)) {
                    break;
                }
                continue;
            }
            match later {
                Operation::AlterColumn(op) if op.data_type.is_some() => {
                    let known = table.column(&op.column).is_some();
                    if known && columns.contains(&op.column) && !self.done_ahead.contains(&number) {
                        let later = later.clone();
                        self.turn(number, &later)?;
                        self.done_ahead.insert(number);
                        self.at = here;
                    }
                }
                _ if holds(later, &table).is_some() => {}
                _ => break,
            }
        }
        Ok(())
    }
}
