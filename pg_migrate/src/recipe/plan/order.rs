//! Which changes of one migration may follow each other on the same table or column.

use super::Planner;
use crate::document::model::Operation;
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::Table;
use crate::recipe::quote::qualified;
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

    /// Whether an operation behind this one changes the table, or may.
    pub fn named_later(&self, key: &str, table: &Table) -> Result<bool> {
        for later in self.following() {
            let named = match later {
                Operation::Sql(sql) => {
                    !sql.on_complete && sql.up.to_lowercase().contains(&table.name.to_lowercase())
                }
                _ => match later.table() {
                    Some(named) => {
                        let (schema, bare) = self.facts.landing(named)?;
                        qualified(&schema, &bare) == *key
                    }
                    None => false,
                },
            };
            if named {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// From now on the table (`column`: its column) is one that leaves at contract.
    pub fn leaves(&mut self, key: &str, column: Option<&str>) {
        self.leaving
            .insert((key.to_owned(), column.map(str::to_owned)));
    }

    /// Whether an earlier operation drops the relation of this name; from now on it does not.
    pub fn takes_over(&mut self, key: &str) -> bool {
        self.leaving.remove(&(key.to_owned(), None))
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

/// Of a way back: what it drops goes before the columns of the same table change, which would carry
/// it along.
pub fn drops_first(operations: &mut [Operation]) {
    for number in 1..operations.len() {
        let mut at = number;
        while at > 0 && goes_before(&operations[at], &operations[at - 1]) {
            operations.swap(at - 1, at);
            at -= 1;
        }
    }
}

fn goes_before(drop: &Operation, change: &Operation) -> bool {
    match (drop, change) {
        (Operation::DropConstraint(drop), Operation::AlterColumn(change)) => {
            drop.table == change.table
        }
        // An index is in the schema of its table: another table's is not in the way either.
        (Operation::DropIndex(_), Operation::AlterColumn(_)) => true,
        _ => false,
    }
}

fn changing(table: &str, column: &str) -> Fault {
    Fault::new(
        state::FEATURE_NOT_SUPPORTED,
        format!("column \"{column}\" of {table} is already being changed by an earlier operation"),
    )
    .hint("Put this operation in a migration of its own, after the first.")
}
