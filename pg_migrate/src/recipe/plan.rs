//! The planner: walks the operations of one migration over the facts, keeps an overlay of what
//! earlier operations of the same migration will have changed, and collects steps, the way back
//! and the columns touched. One file per family of operations adds methods to it.

mod ahead;
mod build;
mod known;
mod last_name;
mod order;
mod place;
mod read;
mod statement;
mod uses;

pub use ahead::only_constrains;
pub use build::{concurrent, ddl, unlocked, validate, verify};
pub use uses::{How, Touch};

use crate::document::model::Operation;
use crate::fault::{Fault, Result};
use crate::recipe::facts::{Facts, ForeignKey, Table};
use crate::recipe::object::Objects;
use crate::recipe::quote;
use crate::recipe::step::{Kind, Phase, Step};
use std::collections::{BTreeMap, BTreeSet};

/// Everything the engine needs to run a migration and to take it back.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// Operations that take the applied migration back, in the order to run them.
    pub inverse: Vec<Operation>,
    /// Why there is no way back, if there is none.
    pub irreversible: Option<String>,
    pub touches: Vec<Touch>,
    /// Columns that it uses beside those.
    pub uses: Vec<Touch>,
}

/// A rename in flight: until contract the data lives under `old`.
#[derive(Debug, Clone)]
pub struct Renaming {
    pub table: String,
    pub old: String,
    pub new: String,
    /// Indexes on `new` that serve the new application until contract.
    pub helpers: Vec<String>,
}

pub struct Planner<'a> {
    pub facts: &'a dyn Facts,
    pub revision: &'a str,
    tables: BTreeMap<String, Table>,
    pub renamings: Vec<Renaming>,
    /// Constraints and indexes (table, name) that operations so far drop, and when.
    pub dropped: BTreeMap<(String, String), Phase>,
    /// Indexes and constraints that they make, as `pg_describe_object` names them.
    pub made: BTreeSet<String>,
    /// An SQL statement as written has been planned: what it makes is not known here.
    pub written: bool,
    /// What of this operation cannot be checked before it runs.
    pub doubts: Vec<String>,
    /// Relations that leave at once (views, indexes of constraints): their names are free again.
    pub gone: BTreeSet<String>,
    /// Tables (no column) and columns that leave at contract: until then their names are taken.
    leaving: BTreeSet<(String, Option<String>)>,
    /// Columns (with their tables) in whose place one of another type comes at contract, and that
    /// type.
    pub replaced: BTreeMap<(String, String), String>,
    pub objects: Objects,
    /// Names that parts of indexes get: qualified and quoted.
    pub taken: BTreeSet<String>,
    /// Copies of foreign keys that earlier operations of this migration make over shadow columns.
    pub twins: Vec<ForeignKey>,
    /// The whole migration, and the number of the operation that is being planned.
    pub operations: &'a [Operation],
    pub at: usize,
    /// Later operations that were planned together with an earlier one.
    pub done_ahead: BTreeSet<usize>,
    /// Names of columns that this migration adds and renames.
    former: Vec<last_name::Former>,
    /// Objects other than tables that this migration makes.
    pub made_objects: BTreeSet<String>,
    /// What follows must run in another transaction than what was planned so far.
    pub barrier: bool,
    /// Steps of the operations before this one.
    pub planned: usize,
    pub plan: Plan,
}

/// Plans the operations of one migration. Errors name the operation by its number and kind, in a
/// script by its statement.
pub fn plan<'a>(
    operations: &'a [Operation],
    facts: &'a dyn Facts,
    revision: &'a str,
) -> Result<Plan> {
    let flat = flat(operations);
    let mut planner = Planner {
        facts,
        revision,
        tables: BTreeMap::new(),
        renamings: Vec::new(),
        dropped: BTreeMap::new(),
        made: BTreeSet::new(),
        written: false,
        doubts: Vec::new(),
        gone: BTreeSet::new(),
        leaving: BTreeSet::new(),
        replaced: BTreeMap::new(),
        objects: Objects::default(),
        taken: BTreeSet::new(),
        twins: Vec::new(),
        operations: &flat,
        at: 0,
        done_ahead: BTreeSet::new(),
        former: Vec::new(),
        made_objects: BTreeSet::new(),
        barrier: false,
        planned: 0,
        plan: Plan::default(),
    };
    let mut number = 0;
    for operation in operations {
        match operation {
            Operation::Statement(statement) => {
                let first = number;
                number += statement.operations.len();
                let stands_for = planner
                    .stands_for(statement)
                    .map_err(|fault| place::in_statement(fault, &statement.sql))?;
                for (more, made) in stands_for.iter().enumerate() {
                    let place = (first + more).min(number.saturating_sub(1));
                    if let Err(fault) = planner.turn(place, made) {
                        // Whether the statements before it have a part in that.
                        let alone = operations.len() == 1
                            || plan(std::slice::from_ref(operation), facts, revision)
                                .is_err_and(|other| other.message == fault.message);
                        let fault = match alone {
                            true => planner.with_time_as_written(statement, fault),
                            false => fault,
                        };
                        return Err(place::in_statement(fault, &statement.sql));
                    }
                }
                planner.tell_original(&statement.sql);
            }
            _ => {
                planner.turn(number, operation).map_err(|fault| {
                    // It may be that of a later one, planned together with this.
                    let at = planner.at;
                    match flat.get(at).unwrap_or(operation) {
                        Operation::Sql(sql) if sql.online => place::in_statement(fault, &sql.up),
                        failed => place::in_operation(fault, at, failed),
                    }
                })?;
                number += 1;
            }
        }
        planner.planned = planner.plan.steps.len();
    }
    planner.verify_renamings();
    planner.plan.inverse.reverse();
    order::drops_first(&mut planner.plan.inverse);
    // Within a phase the document's order holds, but nothing is dropped before all is verified.
    planner.plan.steps.sort_by_key(|step| {
        (
            step.phase,
            step.phase == Phase::Contract && step.kind != Kind::Verify,
        )
    });
    Ok(planner.plan)
}

/// The operations with those that each statement of a script stands for: what later ones look ahead
/// at.
fn flat(operations: &[Operation]) -> Vec<Operation> {
    operations
        .iter()
        .flat_map(|operation| match operation {
            Operation::Statement(statement) => statement.operations.clone(),
            other => vec![other.clone()],
        })
        .collect()
}

impl Planner<'_> {
    /// The operations behind the one that is planned.
    pub fn following(&self) -> &[Operation] {
        self.operations.get(self.at + 1..).unwrap_or_default()
    }

    fn one(&mut self, operation: &Operation) -> Result<()> {
        self.types_first(operation)?;
        let (steps, inverse) = (self.plan.steps.len(), self.plan.inverse.len());
        let fresh = self.is_fresh(operation)?;
        self.operation(operation)?;
        let whole = matches!(
            operation,
            Operation::DropTable(_)
                | Operation::RenameTable(_)
                | Operation::Restore(_)
                | Operation::CreatePartition(_)
        );
        if fresh && !whole {
            // It leaves with its table.
            self.plan.inverse.truncate(inverse);
        }
        let doubts = std::mem::take(&mut self.doubts);
        if let (Some(step), false) = (self.plan.steps.get_mut(steps), doubts.is_empty()) {
            let doubt = format!("can only be checked when it runs: {}", doubts.join("; "));
            step.warning = Some(match step.warning.take() {
                Some(warning) => format!("{warning}; {doubt}"),
                None => doubt,
            });
        }
        self.written |= matches!(operation, Operation::Sql(op) if !op.on_complete);
        Ok(())
    }

    /// Whether it changes a table that an earlier operation makes.
    fn is_fresh(&self, operation: &Operation) -> Result<bool> {
        let Some(name) = operation.table() else {
            return Ok(false);
        };
        let (schema, bare) = self.landing(name)?;
        let found = self.tables.get(&quote::qualified(&schema, &bare));
        Ok(found.is_some_and(|table| table.fresh))
    }

    /// Plans the operation of that number, unless it was planned together with an earlier one.
    pub fn turn(&mut self, number: usize, operation: &Operation) -> Result<()> {
        self.at = number;
        if self.done_ahead.contains(&number) {
            return Ok(());
        }
        let renamed = match self.former.is_empty() {
            true => None,
            false => Some(self.under_last_names(number, operation)?),
        };
        self.one(renamed.as_ref().unwrap_or(operation))
            .map_err(|fault| self.objects.too_early(fault))
    }

    fn operation(&mut self, operation: &Operation) -> Result<()> {
        let before = self.mark(operation)?;
        self.note_uses(operation)?;
        self.uses_what_stays(&before)?;
        self.recipe(operation)
            .map_err(|fault| self.under_its_old_name(fault))?;
        self.in_order(&before)
    }

    fn recipe(&mut self, operation: &Operation) -> Result<()> {
        match operation {
            Operation::CreateTable(op) => self.create_table(op),
            Operation::DropTable(op) => self.drop_table(op),
            Operation::RenameTable(op) => self.rename_table(op),
            Operation::AddColumn(op) => self.add_column(op),
            Operation::DropColumn(op) => self.drop_column(op),
            Operation::RenameColumn(op) => self.rename_column(op),
            Operation::AlterColumn(op) => self.alter_column(op),
            Operation::CreateIndex(op) => self.create_index(op),
            Operation::DropIndex(op) => self.drop_index(op),
            Operation::CreateConstraint(op) => self.create_constraint(op),
            Operation::DropConstraint(op) => self.drop_constraint(op),
            Operation::DropMulticolumnConstraint(op) => self.drop_multicolumn_constraint(op),
            Operation::RenameConstraint(op) => self.rename_constraint(op),
            Operation::SetReplicaIdentity(op) => self.set_replica_identity(op),
            Operation::Sql(op) => self.sql(op),
            Operation::Backfill(op) => self.backfill(op),
            Operation::AddForeignKey(op) => self.add_foreign_key(op),
            Operation::SetNotNull(op) => self.set_not_null(op),
            Operation::DropNotNull(op) => self.drop_not_null(op),
            Operation::TouchColumn(op) => self.touch_column(op),
            Operation::UntouchColumn(op) => self.untouch_column(op),
            Operation::AttachPartition(op) => self.attach_partition(op),
            Operation::CreatePartition(op) => self.create_partition(op),
            Operation::DetachPartition(op) => self.detach_partition(op),
            Operation::Restore(op) => self.restore(op),
            Operation::Statement(op) => {
                for operation in self.stands_for(op)? {
                    self.operation(&operation)?;
                }
                Ok(())
            }
            Operation::MergeColumns(op) => self.merge_columns(op),
            Operation::UnmergeColumns(op) => self.unmerge_columns(op),
            Operation::SplitTable(op) => self.split_table(op),
            Operation::UnsplitTable(op) => self.unsplit_table(op),
            other => self.object(other),
        }
    }

    /// The copy that a rename drops at contract must carry nothing but our own helpers.
    fn verify_renamings(&mut self) {
        for found in std::mem::take(&mut self.renamings) {
            let helpers: Vec<_> = found
                .helpers
                .iter()
                .map(|name| quote::literal(name))
                .collect();
            let step = verify(
                &found.table,
                format!(
                    "SELECT count(*) FROM migrate.unexpected_dependents({}, {}, ARRAY[{}]::text[])",
                    quote::literal(&found.table),
                    quote::literal(&found.new),
                    helpers.join(", ")
                ),
                &format!(
                    "objects made meanwhile on column \"{}\" of {} would be lost: drop them, and make them again after the contract",
                    found.new, found.table
                ),
            );
            self.push(step);
        }
    }

    /// The name under which the data of `column` is until contract, if a rename is in flight.
    pub fn physical(&self, table: &str, column: &str) -> String {
        self.renaming_to(table, column)
            .map_or_else(|| column.to_owned(), |found| found.old.clone())
    }

    pub fn renaming_to(&self, table: &str, column: &str) -> Option<&Renaming> {
        self.renamings
            .iter()
            .find(|found| found.table == table && found.new == column)
    }

    /// The phase of a step that must see what earlier operations did.
    pub fn now(&self) -> Phase {
        let migrating = self.barrier
            || self
                .plan
                .steps
                .iter()
                .any(|step| step.phase == Phase::Migrate);
        if migrating {
            Phase::Migrate
        } else {
            Phase::Expand
        }
    }

    pub fn irreversible(&mut self, why: impl Into<String>) {
        self.plan.irreversible.get_or_insert(why.into());
    }

    pub fn push(&mut self, step: Step) {
        self.plan.steps.push(step);
    }

    /// A name for a helper relation, free in the schema.
    pub fn free_name(&self, schema: &str, base: &str, suffix: &str) -> Result<String> {
        for number in 0..100 {
            let suffix = if number == 0 {
                suffix.to_owned()
            } else {
                format!("{suffix}{number}")
            };
            let name = quote::name_with_suffix(base, &suffix);
            if !self.facts.relation_exists(schema, &name)? {
                return Ok(name);
            }
        }
        Err(Fault::internal(format!("no free name like {base}{suffix}")))
    }
}
