//! Which changes of one migration may follow each other on the same table or column.

use super::{How, Planner};
use crate::document::model::Operation;
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::{Column, Table};
use crate::recipe::quote::{name_with_suffix, qualified};
use crate::recipe::shadow::SHADOW;
use crate::recipe::step::Phase;
use std::collections::BTreeSet;

/// Where the plan stood before an operation.
pub struct Mark {
    steps: usize,
    touches: usize,
    uses: usize,
    inverse: usize,
    /// What had been dropped by then.
    leaving: BTreeSet<(String, Option<String>)>,
    /// The operation is on a table of the same migration: it leaves with the table.
    fresh: bool,
}

impl Planner<'_> {
    pub fn mark(&self, operation: &Operation) -> Result<Mark> {
        let table = match operation {
            Operation::AddColumn(op) => Some(&op.table),
            Operation::DropColumn(op) => Some(&op.table),
            Operation::RenameColumn(op) => Some(&op.table),
            Operation::AlterColumn(op) => Some(&op.table),
            Operation::SetNotNull(op) | Operation::DropNotNull(op) => Some(&op.table),
            Operation::TouchColumn(op) | Operation::UntouchColumn(op) => Some(&op.table),
            _ => None,
        };
        let fresh = match table {
            Some(table) => {
                let (schema, name) = self.landing(table)?;
                let known = self.tables.get(&qualified(&schema, &name));
                known.is_some_and(|table| table.fresh)
            }
            None => false,
        };
        Ok(Mark {
            steps: self.plan.steps.len(),
            touches: self.plan.touches.len(),
            uses: self.plan.uses.len(),
            inverse: self.plan.inverse.len(),
            leaving: self.leaving.clone(),
            fresh,
        })
    }

    /// An error if the operation uses a column that an earlier one drops.
    pub fn uses_what_stays(&self, before: &Mark) -> Result<()> {
        for used in self.plan.uses.get(before.uses..).unwrap_or_default() {
            let place = (used.table.clone(), Some(used.column.clone()));
            if before.leaving.contains(&place) {
                return Err(dropped(&format!(
                    "column \"{}\" of {}",
                    used.column, used.table
                )));
            }
        }
        Ok(())
    }

    /// An error if what the operation changes does not go with what earlier ones did; forgets the
    /// way back of what leaves with its table.
    pub fn in_order(&mut self, before: &Mark) -> Result<()> {
        if before.fresh {
            self.plan.inverse.truncate(before.inverse);
        }
        // An operation may take the place of an earlier one's steps.
        for step in self.plan.steps.get(before.steps..).unwrap_or_default() {
            let Some(key) = &step.relation else { continue };
            if self.tables.contains_key(key) && before.leaving.contains(&(key.clone(), None)) {
                return Err(dropped(&format!("table {key}")));
            }
        }
        for touch in self.plan.touches.get(before.touches..).unwrap_or_default() {
            if touch.how != How::Change {
                continue;
            }
            let earlier = self
                .plan
                .steps
                .get(..before.steps)
                .unwrap_or(&self.plan.steps);
            let long_work = earlier.iter().any(|step| {
                step.relation.as_ref() == Some(&touch.table) && step.phase != Phase::Expand
            });
            if touch.column == "*"
                && long_work
                && !self.leaving.contains(&(touch.table.clone(), None))
            {
                return Err(too_late(&format!("table {}", touch.table)));
            }
            // The old column is the one that lasts.
            let lasts = self
                .renamings
                .iter()
                .any(|found| found.table == touch.table && found.old == touch.column);
            let held = self.plan.uses[..before.uses].iter().any(|used| {
                used.how == How::Hold && used.table == touch.table && used.column == touch.column
            });
            if held && !lasts {
                return Err(too_late(&format!(
                    "column \"{}\" of {}",
                    touch.column, touch.table
                )));
            }
        }
        Ok(())
    }

    /// Whether a foreign key (as `pg_describe_object` prints it) of another table has left by then,
    /// alone or with its table.
    pub fn lets_go(&self, relation: &str, what: &str) -> bool {
        if !what.starts_with("constraint ") {
            return false;
        }
        let stays = |table: &Table| {
            table
                .constraints
                .iter()
                .any(|c| what.starts_with(&format!("constraint {} on table ", c.name)))
        };
        self.leaving.contains(&(relation.to_owned(), None))
            || self.tables.get(relation).is_some_and(|table| !stays(table))
    }

    /// A table that is missing may have got its name by an earlier operation.
    pub fn under_its_old_name(&self, fault: Fault) -> Fault {
        let renamed = self.plan.touches.iter().any(|touch| touch.column == "*");
        if fault.sqlstate != state::UNDEFINED_TABLE || !renamed {
            return fault;
        }
        fault.hint(
            "A table that this migration renames has its old name until then: put the operation before the renaming, or in a migration of its own.",
        )
    }

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

    /// The column on which to make what is to outlast the contract: where the data is while a rename
    /// is in flight, the new one while the type changes.
    pub fn lasting(&self, table: &str, column: &str) -> String {
        match self.replacing(table, column) {
            Some(_) => name_with_suffix(column, SHADOW),
            None => self.physical(table, column),
        }
    }

    /// The columns of the table with the types they have at the end: in those, what later operations
    /// say of them is meant.
    pub fn new_columns(&self, key: &str) -> Vec<Column> {
        let known = self.tables.get(key);
        let mut columns = known.map_or_else(Vec::new, |table| table.columns.clone());
        for column in &mut columns {
            if let Some(data_type) = self.replacing(key, &column.name) {
                column.data_type = data_type;
            }
        }
        columns
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
                        let (schema, bare) = self.landing(named)?;
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

fn dropped(what: &str) -> Fault {
    Fault::new(
        state::FEATURE_NOT_SUPPORTED,
        format!("{what} is dropped by an earlier operation of this migration"),
    )
    .hint(
        "Leave this operation out, or put the dropping in a migration of its own, after this one.",
    )
}

fn too_late(what: &str) -> Fault {
    Fault::new(
        state::FEATURE_NOT_SUPPORTED,
        format!("{what} is used by an earlier operation of this migration and cannot be changed by a later one"),
    )
    .detail("What the earlier operation makes would be left behind.")
    .hint("Put this operation in a migration of its own: before the other, or after it.")
}

fn changing(table: &str, column: &str) -> Fault {
    Fault::new(
        state::FEATURE_NOT_SUPPORTED,
        format!("column \"{column}\" of {table} is already being changed by an earlier operation"),
    )
    .hint("Put this operation in a migration of its own, after the first.")
}
