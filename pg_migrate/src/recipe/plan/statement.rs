//! A statement of a script: what stands for it here, now that the catalog is at hand.

use super::Planner;
use crate::document::model::{Operation, Sql, Statement};
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::Table;
use crate::recipe::quote::name_with_suffix;
use crate::recipe::written::{Known, Scene, Work};
use serde_json::Value;

const ACCEPT: &str = "Or put -- migrate:as-written before the statement, to accept it.";

/// The names of constraints and indexes that an operation makes.
fn names(operation: &mut Operation) -> Vec<&mut String> {
    match operation {
        Operation::CreateConstraint(op) => vec![&mut op.name],
        Operation::AddForeignKey(op) => vec![&mut op.name],
        Operation::CreateIndex(op) if !op.if_not_exists => vec![&mut op.name],
        Operation::AddColumn(op) => {
            let check = op.column.check.as_mut().map(|check| &mut check.name);
            let references = op.column.references.as_mut().map(|found| &mut found.name);
            check.into_iter().chain(references).collect()
        }
        _ => Vec::new(),
    }
}

impl Planner<'_> {
    /// The operations a statement stands for: its recipe, or itself where the recipe has nothing to
    /// do: a table made by this migration, one whose children ONLY leaves out, or no table at all.
    pub fn stands_for(&mut self, op: &Statement) -> Result<Vec<Operation>> {
        let Some(name) = &op.table else {
            return Ok(op.operations.clone());
        };
        let found = self.known(name)?;
        let as_written = match &found {
            // A materialized view, say, that this migration makes.
            None if self.is_made_here(name)? => true,
            None if op.if_exists => return Ok(Vec::new()),
            None => false,
            // Indexes on materialized views have recipes too.
            Some(known)
                if known.table.kind == "m"
                    && op
                        .operations
                        .iter()
                        .all(|operation| matches!(operation, Operation::CreateIndex(_))) =>
            {
                false
            }
            Some(known) => {
                let children = known.table.kind == "p" || known.table.inherited;
                known.table.fresh || (op.only && children) || !known.is_table()
            }
        };
        if !as_written {
            let mut operations = op.operations.clone();
            if let Some(known) = &found {
                for operation in &mut operations {
                    for name in names(operation) {
                        if op.invented.contains(name) {
                            *name = self.unused(&known.table, name)?;
                        }
                    }
                }
            }
            return Ok(operations);
        }
        Ok(vec![Operation::Sql(Sql {
            up: op.sql.clone(),
            online: true,
            ..Sql::default()
        })])
    }

    /// The name, with a number if it is in use.
    fn unused(&self, table: &Table, name: &str) -> Result<String> {
        for pass in 0..100 {
            let tried = match pass {
                0 => name.to_owned(),
                _ => name_with_suffix(name, &pass.to_string()),
            };
            let on_table = table.constraints.iter().any(|found| found.name == tried);
            if !on_table && !self.facts.relation_exists(&table.schema, &tried)? {
                return Ok(tried);
            }
        }
        Ok(name.to_owned())
    }

    /// Of a statement that has no online way: how long it takes as written.
    pub fn with_time_as_written(&mut self, op: &Statement, fault: Fault) -> Fault {
        let detail = fault.detail.as_deref().unwrap_or_default();
        if fault.sqlstate != state::FEATURE_NOT_SUPPORTED
            || [" rows: ", " rows ("]
                .iter()
                .any(|told| detail.contains(told))
        {
            return fault;
        }
        // Whatever is wrong here, what was to be said is the first error.
        let Ok(Some(said)) = self.as_written(op) else {
            return fault;
        };
        let detail = format!("{detail} {said}").trim_start().to_owned();
        let hint = match &fault.hint {
            Some(hint) if hint.contains("as-written") => hint.clone(),
            Some(hint) => format!("{hint} {ACCEPT}"),
            None => ACCEPT.to_owned(),
        };
        fault.detail(detail).hint(hint)
    }

    /// What the statement does to its table while it runs as written.
    fn as_written(&mut self, op: &Statement) -> Result<Option<String>> {
        let Some(name) = &op.table else {
            return Ok(None);
        };
        let Some(known) = self.known(name)?.filter(Known::filled) else {
            return Ok(None);
        };
        let Some(size) = self.facts.size(&known.key)? else {
            return Ok(None);
        };
        let written = Sql {
            up: op.sql.clone(),
            ..Sql::default()
        };
        let statements = self.facts.statements(&op.sql)?;
        let mut worst = None;
        for statement in &statements {
            worst = worst.max(self.effect(&written, statement)?.map(|effect| effect.work));
        }
        let (work, time) = match worst {
            Some(Work::Rewrites) => ("rewrites", size.to_rewrite()),
            Some(Work::Scans) => ("reads", size.to_read()),
            _ => return Ok(None),
        };
        Ok(Some(format!(
            "As written it {work} {} under a lock, {:.0} rows: {time}.",
            known.key, size.rows
        )))
    }

    /// Steps planned since the last operation say what statement they stand for.
    pub fn tell_original(&mut self, sql: &str) {
        let planned = self.planned;
        for step in self.plan.steps.iter_mut().skip(planned) {
            if let (Value::Object(args), true) = (&mut step.args, step.sql != sql) {
                args.insert("replaces".into(), Value::String(sql.to_owned()));
            }
        }
    }
}
