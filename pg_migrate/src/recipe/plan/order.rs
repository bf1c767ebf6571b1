//! Which changes of one migration may follow each other on the same table or column.

use super::Planner;
use crate::fault::{Fault, Result, state};
use crate::recipe::step::Phase;

impl Planner<'_> {
    /// The column must not be in the middle of another change of the same migration.
    pub fn settled(&self, table: &str, column: &str) -> Result<()> {
        let moving = self
            .renamings
            .iter()
            .any(|found| found.table == table && (found.new == column || found.old == column))
            || self
                .plan
                .touches
                .iter()
                .any(|t| t.table == table && t.column == column);
        if moving {
            return Err(changing(table, column));
        }
        Ok(())
    }

    /// What is done to a column that a type change replaces would leave with it.
    pub fn not_replaced(&self, table: &str, column: &str) -> Result<()> {
        match self.replacing(table, column) {
            Some(_) => Err(changing(table, column)),
            None => Ok(()),
        }
    }

    /// The type of the column that comes in its place at contract, if one does.
    pub fn replacing(&self, table: &str, column: &str) -> Option<String> {
        self.replaced
            .get(&(table.to_owned(), column.to_owned()))
            .cloned()
    }

    /// The phase in which a setting of the column is changed: of one that is replaced, when the
    /// new one has its name.
    pub fn now_for(&self, table: &str, column: &str) -> Phase {
        match self.replacing(table, column) {
            Some(_) => Phase::Contract,
            None => self.now(),
        }
    }

    /// From now on the table (`column`: its column) is one that leaves at contract.
    pub fn leaves(&mut self, key: &str, column: Option<&str>) {
        self.leaving
            .insert((key.to_owned(), column.map(str::to_owned)));
    }

    /// An error if an earlier operation of this migration drops what has this name.
    pub fn not_leaving(&self, key: &str, column: Option<&str>) -> Result<()> {
        let place = (key.to_owned(), column.map(str::to_owned));
        if !self.leaving.contains(&place) {
            return Ok(());
        }
        let what = match column {
            Some(column) => format!("column \"{column}\" of {key}"),
            None => format!("table {key}"),
        };
        Err(Fault::new(
            state::FEATURE_NOT_SUPPORTED,
            format!("{what} cannot be dropped and made again in one migration"),
        )
        .detail("What is dropped leaves at contract, after everything else; until then its name is taken.")
        .hint("Put them in two migrations, and contract the first before the second is applied."))
    }
}

fn changing(table: &str, column: &str) -> Fault {
    Fault::new(
        state::FEATURE_NOT_SUPPORTED,
        format!("column \"{column}\" of {table} is already being changed by an earlier operation"),
    )
    .hint("Put this operation in a migration of its own, after the first.")
}
